# SPDX-License-Identifier: Apache-2.0
"""Every item of features.md 1A-1C, the layers of 1F, and 4C-4E, 4G, 4H, 4J has a test.

Items are written as there: "A5", "4C 21". A test is named by its file and function.
"""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

# file -> test -> items
WALK: dict[str, dict[str, str]] = {
    "classic/test_classic.py": {
        "test_truth_tables": "A1",
        "test_networks_of_ones_own": "A2 A2b A11",
        "test_steps": "A3",
        "test_the_perceptrons_rule": "A5",
        "test_the_perceptron_separates_setosa": "A6",
        "test_adaline_is_least_squares": "A7 A10",
        "test_adalines_stopping_criterion": "A8",
        "test_madaline_separates_xor": "A9",
    },
    "examples/test_examples.py": {
        "test_playground": "A23",
        "test_digits_transfer": "C22",
        "test_california_tour": "B17 B18 B19",
    },
    "unit/test_activations.py": {
        "test_values": "A14 A16 C10",
        "test_gradients": "A21",
    },
    "unit/test_losses.py": {
        "test_values": "A17 A20",
        "test_from_logits_and_after_the_activation": "A19",
        "test_classes_reduce_their_functions": "4D-49",
        "test_sample_weight": "4D-48",
    },
    "unit/test_optimizers.py": {
        "test_rules": "A22 C23 C24 C25 C26 C27 C28 C29 C30 C31",
        "test_schedule_counts_updates": "C39",
        "test_constraints_follow_the_update": "4G-78",
        "test_old_spellings": "C33",
    },
    "unit/test_schedules.py": {
        "test_values": "C34",
        "test_power_scheduling_of_the_old_decay": "C33",
    },
    "unit/test_penalties.py": {
        "test_penalties": "C40",
        "test_projections": "C46 4H-91",
        "test_user_subclasses": "4G-77",
    },
    "unit/test_initializers.py": {"test_moments_and_bounds": "C2 C3 C4 C5"},
    "unit/test_callbacks.py": {
        "test_scheduler_of_epoch_and_rate": "C35 4E-64",
        "test_scheduler_of_the_epoch_alone": "C37",
        "test_plateau_reduces_after_patience_epochs": "C38 4E-65",
        "test_best_weights": "B24 4E-62",
        "test_it_records_and_becomes_the_models_history": "4D-52",
    },
    "unit/test_plots.py": {
        "test_the_training_curve_is_half_an_epoch_earlier": "B12",
        "test_one_cycle_in_fit": "C36",
    },
    "unit/test_utils.py": {"test_to_categorical": "B4"},
    "unit/test_model_plots.py": {"test_svg_files": "B30"},
    "unit/test_event_files.py": {
        "test_curves_are_those_of_the_history": "B26 4E-66",
        "test_tensorboard_reads_the_files": "B26",
    },
    "unit/test_summary.py": {
        "test_mlp_table": "B6 4J-110",
        "test_nested_models_and_frozen_layers": "4C-36",
        "test_subclassed_model": "4C-28",
        "test_two_layer_mnist_model_has_623290_parameters": "4J-109",
        "test_unbuilt_model": "4C-22",
    },
    "unit/test_progbar.py": {
        "test_logger_writes_a_title_and_a_line_per_epoch_to_a_file": "4J-105",
        "test_logger_in_a_terminal": "4J-106",
        "test_logger_of_evaluate": "4J-107",
    },
    "unit/test_old_spellings.py": {
        "test_the_phase_set_for_good": "C17",
        "test_the_learning_phase_switches_dropout_in_predict": "C44 4H-88",
        "test_other_spellings_are_keras_own": "4J-112",
    },
    "unit/test_tracking.py": {
        "test_variables_in_attributes_and_containers": "4C-30",
        "test_super_build_and_direct_build": "4C-31",
        "test_names": "4C-21",
        "test_training_reaches_inner_layers": "4G-79",
        "test_regularizers_of_weights_and_outputs": "4D-50",
    },
    "datasets/test_load_data.py": {"test_real_mnist": "B2"},
    "wrappers/test_wrappers.py": {
        "test_a_randomized_search_finds_the_rate_that_learns": "B27 4D-60",
        "test_a_classifier_in_a_pipeline": "B3",
    },
    "saving/test_formats.py": {"test_whole_model": "B22"},
    "saving/test_resume.py": {"test_checkpoint_names_and_best": "B23 4E-61"},
    "layers/test_activation.py": {
        "test_leaky_relu_knows_its_old_argument": "C7",
        "test_prelu_shares_axes": "C9",
    },
    "layers/test_noise.py": {
        "test_slopes_are_uniform_and_drawn_anew": "C8",
        "test_alpha_dropout_keeps_mean_and_variance": "C43 4H-90",
    },
    "layers/test_normalization.py": {"test_statistics_follow_the_batches": "C13"},
    "layers/test_dropout.py": {
        "test_share_and_scale": "C42",
        "test_subclass_that_drops_always": "C45 4H-89",
    },
    "layers/test_against_keras.py": {
        "test_results_and_gradients": "A4 F2 F5 F8 F10 F23 F37 F38",
        "test_weights_and_output_shape": "4C-32",
    },
    "features/test_numbers.py": {
        "test_n50_clipping": "C19",
        "test_n60_padding": "F3",
        "test_n61_memory_of_a_convolution": "F6",
        "test_n63_max_pooling": "F7",
        "test_n65_a_dense_layer_as_a_convolution": "F32",
        "test_n73_resnet_34": "F21 F22",
        "test_n73_the_fashion_mnist_cnn": "F11",
        "test_n73_lenet_5": "F13",
        "test_n73_alexnet": "F14",
    },
    "features/test_custom_loops.py": {
        "test_d35_the_loop_as_printed": "4J-108",
        "test_d28_a_metric_of_the_inside_in_the_progress_line": "4G-80",
        "test_g75_constructors_pass_keywords_on": "4G-75",
        "test_g76_calling_a_metric_updates_it_and_resets_are_zeros": "4G-76",
        "test_g82_batches_with_replacement_miss_the_rest": "4G-82",
    },
    "features/test_low_level.py": {
        "test_g81_82_what_a_loop_by_hand_must_do_itself": "4G-81",
    },
    "features/test_components.py": {"test_reductions_of_a_loss": "4G-83"},
    "features/test_keras_usage.py": {
        "test_versions": "B1",
        "test_initializers_are_arguments": "B9 4C-25",
        "test_unit_variance_survives_only_scaled_weights": "C1",
        "test_a_dead_unit_gets_no_gradient": "C6 4H-92",
        "test_selu_normalizes_itself": "C11 4H-93",
        "test_batch_normalization_of_images": "C14 C15 C16 4H-85 4H-86 4H-87",
        "test_pretraining_layer_by_layer": "C21",
        "test_a_partial_layer": "C41",
        "test_the_default_configurations": "C47",
        "test_a_base_of_shared_layers_is_frozen_layer_by_layer": "4D-38",
        "test_the_last_batch_is_smaller": "4D-51",
        "test_an_endless_dataset_needs_steps": "4D-54",
        "test_an_activation_is_a_function_a_name_or_a_layer": "4C-33",
        "test_reprs_name_the_class": "4J-111",
    },
    "models/test_scripts.py": {
        "test_a_script_prints_what_it_prints_in_keras": "B25 C20 4E-67",
    },
    "models/test_sequential.py": {
        "test_numbers_of_the_classic_models": "A12 B15",
        "test_list_and_add_are_the_same": "B5",
        "test_get_layer": "B7 4C-24",
        "test_nothing_is_known_before_the_first_data": "B8",
        "test_models_are_layers": "B21",
        "test_two_models_on_the_same_layers_share_weights": "4C-27",
        "test_a_layer_that_does_not_fit_is_not_added": "4C-26",
    },
    "models/test_functional.py": {
        "test_wrong_numbers_and_names_of_inputs": "4C-29 4D-56",
        "test_open_axes_stay_open": "4C-23",
    },
    "models/test_compile.py": {
        "test_names_functions_classes_and_objects_agree": "B10",
        "test_accuracy_takes_the_form_that_the_shapes_ask_for": "A18",
        "test_loss_weights": "4C-34",
        "test_several_outputs_prefix_the_names": "4C-35",
        "test_order_of_evaluate_and_of_metrics_names": "4D-45",
    },
    "models/test_fit.py": {
        "test_regression": "A13 4D-40",
        "test_names_epochs_and_params": "B11",
        "test_defaults": "4D-39",
        "test_initial_epoch": "4D-43",
        "test_validation_split_takes_the_last_rows_and_does_not_train_on_them": "4D-41",
        "test_class_weights": "4D-42",
        "test_class_weights_do_not_apply": "4D-42",
        "test_python_that_cannot_be_planned_runs_eagerly_with_a_warning": "4D-58",
        "test_the_same_seed_gives_the_same_bits": "4D-59",
        "test_thawing_after_another_compile": "4D-37",
    },
    "models/test_fit_data.py": {
        "test_predict_classes": "B13 4D-47",
        "test_evaluate_and_predict": "4D-55 4D-57",
    },
    "models/test_fit_callbacks.py": {
        "test_hooks_of_evaluate_predict_and_streams": "4E-63",
    },
    "models/test_functional_training.py": {"test_structures": "4D-46"},
    "models/test_errors.py": {"test_flattened_images": "4D-44"},
    "models/test_book_numbers.py": {
        "test_losses_of_the_last_epoch": "A15 B16 B20",
    },
    "models/test_real_data.py": {
        "test_mnist_mlp_reaches_97_5_percent": "B14 B29",
    },
}
# Items that only name something, or state what follows from others.
NOTHING_TO_TEST = {
    "B28": "names of other tools",
    "B31": "scikit-learn's neighbours on predictions",
    "C12": "a ranking of activations",
    "C18": "the name of an initialization",
    "C32": "names of optimizers",
    "4D-53": "a remark about running means, which 4D-40 tests",
    "4G-84": "a remark about other implementations",
}


def wanted() -> set[str]:
    """All items of the parts in question."""
    parts = {"C": (21, 36), "D": (37, 60), "E": (61, 67), "G": (75, 84), "H": (85, 93)}
    parts["J"] = (105, 112)
    counts = {"A": 23, "B": 31, "C": 47}
    items = {f"{part}{i}" for part, n in counts.items() for i in range(1, n + 1)}
    for part, (first, last) in parts.items():
        items |= {f"4{part}-{i}" for i in range(first, last + 1)}
    layers = "F2 F3 F5 F7 F8 F10 F23 F37 F38".split()
    return items | {"A2b", *layers}


def test_every_item_has_a_test_or_a_reason() -> None:
    covered = {i for tests in WALK.values() for t in tests.values() for i in t.split()}
    assert wanted() - covered - set(NOTHING_TO_TEST) == set()
    assert covered & set(NOTHING_TO_TEST) == set()


def test_the_tests_named_exist() -> None:
    missing = [
        f"{path}::{name}"
        for path, names in WALK.items()
        for name in names
        if f"def {name}(" not in (TESTS / path).read_text()
    ]
    assert missing == []
