# SPDX-License-Identifier: Apache-2.0
"""Where public names live: public module -> home in fastnn -> names.

Written by tools/gen_stubs.py from `__all__` and `@export`; do not edit.
"""

# fmt: off
NAMES: dict[str, dict[str, str]] = {
    "keras": {
        "_names": "name_scope",
        "autodiff.scopes": "SymbolicScope device",
        "autodiff.stateless": "StatelessScope",
        "dtype_policies": "DTypePolicy FloatDTypePolicy",
        "initializers": "Initializer",
        "layers.layer": "Layer",
        "losses.base": "Loss",
        "metrics.base": "Metric",
        "models.model": "Model",
        "models.sequential": "Sequential",
        "optimizers.optimizer": "Optimizer",
        "regularizers": "Regularizer",
        "symbolic.base": "Operation",
        "symbolic.function": "Function",
        "symbolic.tensor": "KerasTensor",
    },
    "keras.activations": {
        "activations":
            "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu "
            "hard_swish hard_tanh leaky_relu linear log_sigmoid log_softmax mish relu "
            "relu6 selu sigmoid silu soft_shrink softmax softplus softsign "
            "sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink "
            "threshold",
    },
    "keras.callbacks": {
        "callbacks.backup_and_restore": "BackupAndRestore",
        "callbacks.callback": "Callback",
        "callbacks.callback_list": "CallbackList",
        "callbacks.csv_logger": "CSVLogger",
        "callbacks.early_stopping": "EarlyStopping",
        "callbacks.history": "History",
        "callbacks.lambda_callback": "LambdaCallback",
        "callbacks.model_checkpoint": "ModelCheckpoint",
        "callbacks.progress": "ProgbarLogger",
        "callbacks.remote_monitor": "RemoteMonitor",
        "callbacks.schedules": "LearningRateScheduler ReduceLROnPlateau",
        "callbacks.swap_ema_weights": "SwapEMAWeights",
        "callbacks.tensorboard": "TensorBoard",
        "callbacks.terminate_on_nan": "TerminateOnNaN",
        "callbacks.tqdm": "TqdmCallback",
    },
    "keras.constraints": {
        "constraints":
            "Constraint MaxNorm MinMaxNorm NonNeg UnitNorm max_norm min_max_norm "
            "non_neg nonneg unit_norm",
    },
    "keras.dtype_policies": {
        "dtype_policies":
            "AWQDTypePolicy DTypePolicy DTypePolicyMap FloatDTypePolicy "
            "GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy "
            "QuantizedFloat8DTypePolicy TernaryDTypePolicy",
    },
    "keras.initializers": {
        "initializers":
            "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity "
            "IdentityInitializer Initializer LecunNormal LecunUniform Ones Orthogonal "
            "OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer "
            "TruncatedNormal VarianceScaling Zeros constant glorot_normal "
            "glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform "
            "normal one ones orthogonal random_normal random_uniform stft "
            "truncated_normal uniform variance_scaling zero zeros",
    },
    "keras.layers": {
        "layers.activation": "Activation ELU LeakyReLU PReLU RReLU ReLU Softmax",
        "layers.adaptive_pooling":
            "AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
            "AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D "
            "AdaptiveMaxPooling3D",
        "layers.attention": "AdditiveAttention Attention",
        "layers.batch_normalization": "BatchNormalization",
        "layers.bidirectional": "Bidirectional",
        "layers.borders":
            "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D "
            "ZeroPadding3D",
        "layers.conv":
            "Conv1D Conv2D Conv3D Convolution1D Convolution2D Convolution3D",
        "layers.conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
        "layers.conv_transpose":
            "Conv1DTranspose Conv2DTranspose Conv3DTranspose Convolution1DTranspose "
            "Convolution2DTranspose Convolution3DTranspose",
        "layers.dense": "Dense",
        "layers.depthwise_conv":
            "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D "
            "SeparableConvolution1D SeparableConvolution2D",
        "layers.dropout": "Dropout",
        "layers.einsum_dense": "EinsumDense",
        "layers.embedding": "Embedding",
        "layers.functions": "Identity Lambda",
        "layers.global_pooling":
            "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
            "GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D "
            "GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D "
            "GlobalMaxPooling3D",
        "layers.group_query_attention": "GroupQueryAttention",
        "layers.gru": "GRU GRUCell",
        "layers.input": "Input InputLayer",
        "layers.input_spec": "InputSpec",
        "layers.layer": "Layer",
        "layers.lookup": "deserialize serialize",
        "layers.lstm": "LSTM LSTMCell",
        "layers.masking": "Masking",
        "layers.merging":
            "Add Average Concatenate Dot Maximum Minimum Multiply Subtract add "
            "average concatenate dot maximum minimum multiply subtract",
        "layers.multi_head_attention": "MultiHeadAttention",
        "layers.noise":
            "ActivityRegularization AlphaDropout GaussianDropout GaussianNoise "
            "SpatialDropout1D SpatialDropout2D SpatialDropout3D",
        "layers.normalization":
            "GroupNormalization LayerNormalization RMSNormalization UnitNormalization",
        "layers.pooling":
            "AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D "
            "AvgPool3D MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D "
            "MaxPooling3D",
        "layers.preprocessing": "Normalization Rescaling",
        "layers.reshaping": "Flatten Permute RepeatVector Reshape",
        "layers.reversible_embedding": "ReversibleEmbedding",
        "layers.rnn": "RNN",
        "layers.simple_rnn": "SimpleRNN SimpleRNNCell",
        "layers.spectral": "MelSpectrogram STFTSpectrogram",
        "layers.spectral_normalization": "SpectralNormalization",
        "layers.stacked_rnn_cells": "StackedRNNCells",
        "layers.up_sampling": "UpSampling1D UpSampling2D UpSampling3D",
        "layers.wrapper": "TimeDistributed Wrapper",
    },
    "keras.losses": {
        "losses.base": "Loss LossFunctionWrapper",
        "losses.classification":
            "CategoricalHinge Circle Dice Hinge SquaredHinge Tversky "
            "categorical_hinge circle dice hinge squared_hinge tversky",
        "losses.crossentropy":
            "BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy "
            "CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy "
            "SparseCategoricalCrossentropy binary_crossentropy "
            "binary_focal_crossentropy categorical_crossentropy "
            "categorical_focal_crossentropy categorical_generalized_cross_entropy "
            "sparse_categorical_crossentropy",
        "losses.lookup": "deserialize get serialize",
        "losses.regression":
            "CosineSimilarity Huber KLDivergence LogCosh MeanAbsoluteError "
            "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError "
            "Poisson cosine_similarity huber kl_divergence log_cosh "
            "mean_absolute_error mean_absolute_percentage_error mean_squared_error "
            "mean_squared_logarithmic_error poisson",
        "losses.sequences": "CTC ctc",
    },
    "keras.metrics": {
        "losses.classification": "categorical_hinge hinge squared_hinge",
        "losses.crossentropy":
            "binary_crossentropy binary_focal_crossentropy categorical_crossentropy "
            "categorical_focal_crossentropy sparse_categorical_crossentropy",
        "losses.regression":
            "huber kl_divergence log_cosh mean_absolute_error "
            "mean_absolute_percentage_error mean_squared_error "
            "mean_squared_logarithmic_error poisson",
        "metrics.accuracy":
            "Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy "
            "SparseTopKCategoricalAccuracy TopKCategoricalAccuracy binary_accuracy "
            "categorical_accuracy sparse_categorical_accuracy "
            "sparse_top_k_categorical_accuracy top_k_categorical_accuracy",
        "metrics.auc": "AUC",
        "metrics.base": "Metric",
        "metrics.confusion":
            "FalseNegatives FalsePositives Precision PrecisionAtRecall Recall "
            "RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity "
            "TrueNegatives TruePositives",
        "metrics.fscore": "F1Score FBetaScore",
        "metrics.iou": "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
        "metrics.lookup": "deserialize get resolve_metric serialize",
        "metrics.mean": "Mean MeanMetricWrapper Sum",
        "metrics.probabilistic":
            "BinaryCrossentropy CategoricalCrossentropy CategoricalHinge Hinge "
            "KLDivergence Poisson SparseCategoricalCrossentropy SquaredHinge",
        "metrics.regression":
            "ConcordanceCorrelation CosineSimilarity LogCoshError MeanAbsoluteError "
            "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError "
            "PearsonCorrelation R2Score RootMeanSquaredError concordance_correlation "
            "pearson_correlation",
    },
    "keras.mixed_precision": {
        "dtype_policies": "DTypePolicy Policy",
        "optimizers.loss_scale": "LossScaleOptimizer",
    },
    "keras.models": {
        "models.cloning": "clone_model",
        "models.files": "load_model model_from_json save_model",
        "models.model": "Model",
        "models.sequential": "Sequential",
    },
    "keras.ops": {
        "ops.activation":
            "celu elu gelu glu hard_shrink hard_swish hard_tanh leaky_relu "
            "log_softmax psnr sigmoid soft_shrink softmax sparse_plus sparse_sigmoid "
            "sparsemax squareplus swish tanh_shrink threshold",
        "ops.arrays":
            "arange array broadcast_to cast concatenate convert_to_numpy "
            "convert_to_tensor copy dtype empty empty_like expand_dims eye flip full "
            "full_like identity is_tensor moveaxis ndim ones ones_like ravel reshape "
            "shape size split squeeze stack swapaxes tile transpose view zeros "
            "zeros_like",
        "ops.attention": "dot_product_attention",
        "ops.control":
            "associative_scan cond fori_loop map scan switch vectorized_map "
            "while_loop",
        "ops.convolution": "conv conv_transpose",
        "ops.crossentropy":
            "binary_crossentropy categorical_crossentropy "
            "sparse_categorical_crossentropy",
        "ops.ctc": "ctc_decode ctc_loss",
        "ops.depthwise": "depthwise_conv local_response_normalization separable_conv",
        "ops.einops": "rearrange",
        "ops.elementwise":
            "allclose angle bitwise_and bitwise_invert bitwise_left_shift bitwise_not "
            "bitwise_or bitwise_right_shift bitwise_xor conj conjugate deg2rad "
            "divide_no_nan fabs fmax fmin gcd heaviside imag isclose isneginf "
            "isposinf isreal lcm ldexp left_shift logaddexp2 nan_to_num rad2deg real "
            "right_shift saturate_cast select signbit sinc",
        "ops.elsewhere": "custom_gradient jvp stop_gradient",
        "ops.image": "image",
        "ops.indexing":
            "get_item multi_hot nonzero one_hot scatter scatter_update segment_max "
            "segment_min segment_prod segment_sum slice slice_update take "
            "take_along_axis unravel_index",
        "ops.joining":
            "array_split column_stack dsplit dstack hsplit hstack unstack vsplit "
            "vstack",
        "ops.linalg": "linalg",
        "ops.math":
            "all amax amin any argmax argmin clip count_nonzero divide logical_not "
            "logsumexp matmul max mean min power prod round squared_difference std "
            "sum true_divide var where",
        "ops.matrices":
            "cholesky cholesky_inverse det eig eigh inv logdet lstsq lu_factor "
            "matrix_power matrix_rank norm pinv qr slogdet solve solve_triangular svd",
        "ops.nn": "nn",
        "ops.normalization":
            "batch_normalization layer_normalization moments normalize "
            "rms_normalization",
        "ops.numpy": "numpy",
        "ops.order":
            "append cumprod cumsum diag diagflat diagonal fliplr flipud meshgrid "
            "nancumprod nancumsum repeat roll rot90 trace tri tril triu",
        "ops.padding": "pad",
        "ops.patches": "depth_to_space fold space_to_depth unfold",
        "ops.pointwise":
            "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh "
            "cbrt ceil cos cosh equal erf erfc erfinv exp exp2 expm1 floor "
            "floor_divide fmod greater greater_equal hard_sigmoid hard_silu hypot "
            "isfinite isinf isnan less less_equal log log10 log1p log2 log_sigmoid "
            "logaddexp logical_and logical_or logical_xor maximum minimum mish mod "
            "multiply negative nextafter not_equal reciprocal relu relu6 rsqrt selu "
            "sign silu sin sinh softplus softsign sqrt square subtract tan tanh trunc",
        "ops.pooling":
            "adaptive_average_pool adaptive_max_pool average_pool max_pool",
        "ops.products": "cross dot einsum inner kron outer tensordot vdot",
        "ops.sorting":
            "argpartition argsort bincount digitize histogram in_top_k isin median "
            "nanmedian nanpercentile nanquantile percentile quantile searchsorted "
            "sort top_k unique",
        "ops.spacing":
            "bartlett blackman geomspace hamming hanning i0 kaiser linspace logspace "
            "vander",
        "ops.spectral":
            "extract_sequences fft fft2 ifft2 irfft istft polar rfft stft "
            "view_as_complex view_as_real",
        "ops.statistics":
            "average cdist corrcoef correlate diff gammainc nanargmax nanargmin "
            "nanmax nanmean nanmin nanprod nanstd nansum nanvar ptp trapezoid",
        "ops.vectorizing": "vectorize",
    },
    "keras.ops.image": {
        "ops.image.colors": "hsv_to_rgb rgb_to_grayscale rgb_to_hsv",
        "ops.image.filters": "gaussian_blur sobel_edges ssim",
        "ops.image.patches": "extract_patches extract_patches_3d reconstruct_patches",
        "ops.image.sampling": "map_coordinates",
        "ops.image.scaling": "scale_and_translate",
        "ops.image.sizes": "crop_images pad_images resize",
        "ops.image.transforms":
            "affine_transform elastic_transform perspective_transform",
    },
    "keras.optimizers": {
        "optimizers.adadelta": "Adadelta",
        "optimizers.adafactor": "Adafactor",
        "optimizers.adagrad": "Adagrad",
        "optimizers.adam": "Adam AdamW",
        "optimizers.adamax": "Adamax",
        "optimizers.ftrl": "Ftrl",
        "optimizers.lamb": "Lamb",
        "optimizers.lion": "Lion",
        "optimizers.lookup": "deserialize get serialize",
        "optimizers.loss_scale": "LossScaleOptimizer",
        "optimizers.multi": "MultiOptimizer OptimizerMap",
        "optimizers.muon": "Muon",
        "optimizers.nadam": "Nadam",
        "optimizers.optimizer": "Optimizer",
        "optimizers.rmsprop": "RMSprop",
        "optimizers.schedule_free": "ScheduleFreeAdamW",
        "optimizers.schedules": "schedules",
        "optimizers.sgd": "SGD",
    },
    "keras.optimizers.schedules": {
        "optimizers.schedules":
            "CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay "
            "LearningRateSchedule OneCycle PiecewiseConstantDecay PolynomialDecay",
    },
    "keras.regularizers": {
        "regularizers":
            "L1 L1L2 L2 OrthogonalRegularizer Regularizer l1 l1_l2 l2 "
            "orthogonal_regularizer",
    },
    "keras.saving": {
        "saving.api": "load_model load_weights save_model save_weights",
        "saving.elsewhere":
            "CustomObjectScope ModelFileError custom_object_scope "
            "deserialize_keras_object get_custom_objects get_registered_name "
            "get_registered_object register_keras_serializable serialize_keras_object",
        "saving.file_editor": "KerasFileEditor",
        "saving.formats": "load_arrays save_arrays",
    },
    "keras.src.applications.convnext": {
        "applications.convnext": "LayerScale",
    },
    "keras.src.applications.inception_resnet_v2": {
        "applications.inception_resnet_v2": "CustomScaleLayer",
    },
    "keras.src.models.functional": {
        "models.model": "Functional",
    },
    "keras.utils": {
        "utils.arrays": "normalize pad_sequences to_categorical",
        "utils.batches": "pack_x_y_sample_weight unpack_x_y_sample_weight",
        "utils.config": "Config",
        "utils.datasets": "split_dataset timeseries_dataset_from_array",
        "utils.directory_datasets":
            "audio_dataset_from_directory image_dataset_from_directory "
            "text_dataset_from_directory",
        "utils.elsewhere":
            "CustomObjectScope clear_session custom_object_scope "
            "deserialize_keras_object disable_interactive_logging "
            "enable_interactive_logging get_custom_objects get_registered_name "
            "get_registered_object get_source_inputs is_interactive_logging_enabled "
            "is_keras_tensor register_keras_serializable serialize_keras_object "
            "set_random_seed standardize_dtype",
        "utils.event_files": "EventWriter",
        "utils.files": "get_file",
        "utils.images": "array_to_img img_to_array load_img save_img",
        "utils.learning_rates": "find_learning_rate",
        "utils.model_plots": "model_to_dot plot_model",
        "utils.plots": "plot_confusion_matrix plot_history",
        "utils.progbar": "Progbar",
        "utils.py_dataset": "PyDataset Sequence",
    },
    "keras.utils.bounding_boxes": {
        "utils.bounding_boxes":
            "affine_transform clip_to_image_size compute_ciou compute_iou "
            "convert_format crop decode_deltas_to_boxes encode_box_to_deltas pad",
    },
    "keras.visualization": {
        "visualization.drawing": "draw_bounding_boxes draw_segmentation_masks",
        "visualization.galleries":
            "plot_bounding_box_gallery plot_image_gallery "
            "plot_segmentation_mask_gallery",
    },
    "opset": {
        "opset.activations":
            "elu elu_grad gelu gelu_grad leaky_relu leaky_relu_grad relu relu_grad "
            "selu selu_grad sigmoid sigmoid_grad silu silu_grad softplus "
            "softplus_grad softsign softsign_grad tanh tanh_grad",
        "opset.conv": "conv conv_grad_input conv_grad_kernel conv_transpose",
        "opset.copy":
            "broadcast_to cast concatenate copy diagonal reshape slice transpose",
        "opset.ctc": "ctc_beam_search",
        "opset.cumulative": "cumprod cumsum linear_recurrence",
        "opset.depthwise":
            "depthwise_conv depthwise_conv_grad_input depthwise_conv_grad_kernel",
        "opset.elementary":
            "arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and "
            "bitwise_not bitwise_or bitwise_xor cbrt cosh erfc erfinv exp2 fmax fmin "
            "fmod gcd hypot left_shift log10 log2 logaddexp nextafter right_shift "
            "signbit sinh tan trunc",
        "opset.factorizations":
            "cholesky eig eigh lu_factor pivots_to_order qr svd svdvals",
        "opset.gemm": "linear linear_grad_input matmul",
        "opset.hard_activations":
            "celu celu_grad hard_sigmoid hard_sigmoid_grad hard_silu hard_silu_grad "
            "log_sigmoid log_sigmoid_grad mish mish_grad relu6 relu6_grad",
        "opset.index": "batch_take dynamic_slice gather_rows one_hot take",
        "opset.linalg": "cofactor det inv lstsq pinv slogdet solve solve_triangular",
        "opset.loss":
            "mean_squared_error mean_squared_error_grad sigmoid_cross_entropy "
            "sigmoid_cross_entropy_grad softmax_cross_entropy "
            "softmax_cross_entropy_grad sparse_softmax_cross_entropy "
            "sparse_softmax_cross_entropy_grad",
        "opset.lrn": "lrn lrn_grad window_sum",
        "opset.norm":
            "batch_norm batch_norm_apply batch_norm_grad moments unit_norm "
            "unit_norm_grad",
        "opset.norm_rows": "group_norm group_norm_grad layer_norm layer_norm_grad",
        "opset.optim":
            "adadelta adagrad adam adam_amsgrad adamax ftrl lion moving_average nadam "
            "rmsprop rmsprop_centered rmsprop_centered_momentum rmsprop_momentum sgd "
            "sgd_momentum",
        "opset.optim_norms": "lamb lamb_direction square_sums",
        "opset.pad": "pad",
        "opset.pointwise":
            "abs add ceil cos divide equal erf exp expm1 floor floor_divide greater "
            "greater_equal isfinite isinf isnan less less_equal log log1p logical_and "
            "logical_not logical_or logical_xor maximum minimum mod multiply negative "
            "not_equal power reciprocal round rsqrt sign sin sqrt square subtract "
            "where",
        "opset.pool":
            "average_pool average_pool_grad max_pool max_pool_grad max_pool_take "
            "max_pool_with_index",
        "opset.random": "dropout random_normal random_uniform truncated_normal",
        "opset.recurrent":
            "gru gru_grad gru_outputs lstm lstm_grad lstm_outputs simple_rnn "
            "simple_rnn_grad",
        "opset.reduce": "all any argmax argmin max min prod sum",
        "opset.resize": "resize resize_grad",
        "opset.sampling":
            "random_beta random_binomial random_categorical random_gamma "
            "random_integers random_permutation",
        "opset.scatter": "batch_take_grad scatter_rows take_grad update_slice",
        "opset.softmax": "log_softmax log_softmax_grad softmax softmax_grad",
        "opset.sort": "argsort searchsorted sort top_k",
        "opset.special": "bessel_i bitcast gamma_density gammainc",
        "opset.spectral": "fft irfft rfft",
    },
}
