# SPDX-License-Identifier: Apache-2.0
"""Policies, and what layers, losses and training make of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnn as keras
from fastnn import dtype_policies, layers, losses, mixed_precision, ops, optimizers
from fastnn.autodiff.grad import GradientTape

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = RNG.integers(0, 3, 96)
HALF = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = keras.config._dtype_policy
    yield
    keras.config._dtype_policy = before


@pytest.mark.parametrize(
    ("name", "compute", "variable"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("mixed_bfloat16", "bfloat16", "float32"),
        ("mixed_float16", "float16", "float32"),
        ("int32", "int32", "int32"),
    ],
)
def test_dtypes_of_a_policy(name: str, compute: str, variable: str) -> None:
    policy = keras.DTypePolicy(name)
    assert (policy.compute_dtype, policy.variable_dtype) == (compute, variable)
    assert policy == dtype_policies.get(name) == keras.FloatDTypePolicy(name)
    assert policy != keras.DTypePolicy("float16")
    again = dtype_policies.deserialize(
        json.loads(json.dumps(dtype_policies.serialize(policy)))
    )
    assert again == policy and policy.quantization_mode is None
    assert repr(policy) == f'<DTypePolicy "{name}">'


def test_get() -> None:
    assert dtype_policies.get(None).name == "float32"
    assert dtype_policies.get(np.float64).name == "float64"
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert dtype_policies.get(None) is mixed_precision.global_policy()
    assert layers.Dense(1).dtype_policy.name == "mixed_bfloat16"
    assert keras.DTypePolicy().name == "mixed_bfloat16"
    for wrong in ("mixed_float32", "foo", object()):
        with pytest.raises((ValueError, TypeError)):
            dtype_policies.get(wrong)
    with pytest.raises(TypeError, match="must be a string"):
        keras.DTypePolicy(3)


@pytest.mark.parametrize("name", ["int8_from_float32", "float8_from_float32", "gptq"])
def test_quantized_policies_say_that_there_are_none(name: str) -> None:
    with pytest.raises(NotImplementedError, match="does not quantize"):
        dtype_policies.get(name)
    with pytest.raises(NotImplementedError, match="does not quantize"):
        dtype_policies.QuantizedDTypePolicy("int8", "float32")


def test_policies_by_path() -> None:
    policies = dtype_policies.DTypePolicyMap("float32", {"mha/query": "bfloat16"})
    policies["mha/.*"] = "mixed_bfloat16"
    assert policies["mha/query"].name == "bfloat16"
    assert policies["mha/key"].name == "mixed_bfloat16"
    assert policies["other"].name == policies.default_policy.name == "float32"
    assert (len(policies), list(policies)) == (2, ["mha/query", "mha/.*"])
    with pytest.raises(ValueError, match="has a policy already"):
        policies["mha/.*"] = "float32"
    policies["m.*"] = "float32"
    with pytest.raises(ValueError, match="matches several"):
        policies["mha/key"]
    del policies["m.*"]
    config = json.loads(json.dumps(dtype_policies.serialize(policies)))
    again = dtype_policies.deserialize(config)
    assert {k: v.name for k, v in again.items()} == {
        k: v.name for k, v in policies.items()
    }
    layer = layers.MultiHeadAttention(2, 3, dtype=again, name="mha")
    y = layer(X[None], X[None])
    assert y.dtype == "bfloat16"
    assert layer.query_dense.kernel.dtype == "bfloat16"
    assert layer.key_dense.kernel.dtype == "float32"
    assert layer.key_dense.compute_dtype == "bfloat16"


# -- layers --


@pytest.mark.parametrize("policy", HALF)
def test_a_layer_computes_in_16_bits_and_keeps_float32(policy: str) -> None:
    layer = layers.Dense(4, dtype=policy)
    with GradientTape() as tape:
        y = layer(X)
        loss = ops.sum(ops.cast(y, "float32"))
    assert y.dtype == HALF[policy]
    assert (layer.dtype, layer.kernel.dtype) == ("float32", "float32")
    gradient = tape.gradient(loss, layer.kernel)
    assert gradient.dtype == "float32"
    rounded = ops.convert_to_numpy(ops.cast(ops.cast(X, HALF[policy]), "float32"))
    wanted = np.repeat(rounded.sum(0)[:, None], 4, axis=1)
    np.testing.assert_allclose(gradient.numpy(), wanted, 2e-2, 2e-1)


def test_variables_are_read_in_the_compute_dtype_and_written_in_theirs() -> None:
    seen = []

    class Mine(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight((6,), "ones", name="w")
            self.steps = self.add_weight((), "zeros", autocast=False, name="steps")

        def call(self, inputs: Any) -> Any:
            self.steps.assign_add(1.0)
            self.w.assign_add(ops.ones(6, "bfloat16"))
            y = inputs * self.w + self.w.value
            seen.append((self.w.dtype, self.w.value.dtype, self.steps.dtype, y.dtype))
            return y

    layer = Mine(dtype="mixed_bfloat16")
    y = layer(np.ones((2, 6)))
    assert seen == [("bfloat16", "bfloat16", "float32", "bfloat16")]
    assert (layer.w.dtype, layer.w.numpy().dtype.name) == ("float32", "float32")
    np.testing.assert_array_equal(layer.w.numpy(), np.full(6, 2.0))
    np.testing.assert_array_equal(y.numpy().astype("f4"), np.full((2, 6), 4.0))
    assert float(layer.steps) == 1.0


def test_a_float32_layer_inside_a_mixed_model_stays_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    x = keras.Input((6,))
    hidden = layers.Dense(5)(x)
    y = layers.Dense(3, dtype="float32")(hidden)
    model = keras.Model(x, y)
    assert (hidden.dtype, y.dtype, model(X).dtype) == ("bfloat16", "float32", "float32")


def test_autocast_can_be_switched_off() -> None:
    layer = layers.Dense(3, dtype="mixed_bfloat16", autocast=False)
    assert layers.Identity(autocast=False)(X.astype("f8")).dtype == "float64"
    assert layers.Identity()(X.astype("f8")).dtype == "float32"
    assert layers.Identity()(np.arange(3)).dtype == "int64"
    assert layer.autocast is False


def test_batch_statistics_are_kept_in_float32() -> None:
    layer = layers.BatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
    y = layer(X + 100.0, training=True)
    assert y.dtype == "bfloat16" and layer.moving_mean.dtype == "float32"
    rounded = ops.convert_to_numpy(ops.cast(ops.cast(X + 100.0, "bfloat16"), "float32"))
    np.testing.assert_allclose(layer.moving_mean.numpy(), rounded.mean(0), 1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), rounded.var(0), 1e-4)


def test_a_loss_takes_the_logits_of_16_bit_probabilities() -> None:
    z = ops.cast(RNG.normal(size=(9, 3)).astype("f4") * 12, "bfloat16")
    p = ops.softmax(z)
    got = losses.SparseCategoricalCrossentropy()(Y[:9], p)
    wanted = losses.SparseCategoricalCrossentropy(from_logits=True)(
        Y[:9], ops.cast(z, "float32")
    )
    assert got.dtype == "float32"
    np.testing.assert_allclose(float(got), float(wanted), 1e-6)


# -- training --


def trained(policy: str, eager: bool = False) -> Any:
    keras.utils.set_random_seed(3)
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, activation="relu"),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=eager)
    history = model.fit(X, Y, epochs=5, batch_size=16, verbose=0).history["loss"]
    return model, history


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_fit_follows_float32(policy: str) -> None:
    model, history = trained(policy)
    _, wanted = trained("float32")
    # Weights of 8 bits of precision do not see small updates.
    tolerance = 0.1 if policy == "bfloat16" else 0.01
    np.testing.assert_allclose(history, wanted, tolerance)
    assert history[-1] < history[0]
    scales = isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    assert scales == (policy == "mixed_float16")
    outputs = model.predict(X[:3], verbose=0)
    assert outputs.dtype.name == HALF.get(policy, policy)


@pytest.mark.parametrize("policy", HALF)
def test_the_plan_is_the_eager_step(policy: str) -> None:
    planned, a = trained(policy)
    eager, b = trained(policy, eager=True)
    np.testing.assert_allclose(a, b, 2e-3)
    for x, y in zip(planned.get_weights(), eager.get_weights(), strict=True):
        assert x.dtype == "float32"
        np.testing.assert_allclose(x, y, 0.05, 0.02)


def test_configs_keep_the_policy() -> None:
    model, _ = trained("mixed_bfloat16")
    keras.config.set_dtype_policy("float32")
    again = keras.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert [x.dtype_policy.name for x in again.layers] == ["mixed_bfloat16"] * 3
    again.layers[0].dtype_policy = "float32"
    assert again.layers[0](X).dtype == "float32"


def test_a_part_of_a_weight_in_a_plan_is_the_part_that_is_kept() -> None:
    """Traces once took such a weight for one of 16 bits and read half of its bytes."""

    class Halves(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((4,), "ones", name="w")

        def call(self, x):
            self.w[:2].assign(self.w[:2] * 2.0)
            return x * self.w[:2] + self.w[2:]

    layer = Halves(dtype="mixed_bfloat16")
    x = np.ones((3, 2), "float32")
    layer.build((3, 2))
    eager, planned = layer(x), keras.function(layer)(x)
    assert eager.dtype == planned.dtype == "bfloat16"
    assert (eager.numpy() == 3).all() and (planned.numpy() == 5).all()
    assert layer.w.numpy().tolist() == [4, 4, 1, 1]
