# SPDX-License-Identifier: Apache-2.0
"""Layers find variables, layers, metrics and seeds among their attributes."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers, metrics, random
from fastnn.autodiff.tensor import Variable
from fastnn.errors import NotBuiltError, ShapeError
from fastnn.layers import _tracking


class Holder(layers.Layer):
    """Whatever is set on it."""

    def call(self, inputs):
        return inputs


def variable(value, **kwargs):
    return Variable(np.float32(value), **kwargs)


class TestFinding:
    @pytest.mark.feature("4C-30")
    def test_variables_in_attributes_and_containers(self):
        a, b, c, d, e = map(variable, range(5))
        holder = Holder()
        holder.one = a
        holder.many = [b, (c, {"deep": d})]
        holder.table = {"e": e, "n": 3, "text": "x"}
        assert holder.weights == [a, b, c, d, e] or all(
            x is y for x, y in zip(holder.weights, [a, b, c, d, e], strict=True)
        )

    def test_lists_may_grow_later(self):
        holder = Holder()
        holder.blocks = []
        holder.blocks.append(layers.Dense(2))
        assert [type(x).__name__ for x in holder._sublayers()] == ["Dense"]

    def test_lists_that_grow_in_turns_stand_in_turns(self):
        """As in Keras, whose optimizers keep their state in the order of weights."""
        holder = Holder()
        holder.first, holder.second = [], {}
        holder.end = layers.Dense(1, name="end")
        early = layers.Dense(1, name="early")
        for i in range(2):
            holder.second[i] = layers.Dense(1, name=f"second{i}")
            holder.first.append(layers.Dense(1, name=f"first{i}"))
        holder.last = early
        names = [layer.name for layer in holder._sublayers()]
        assert names == ["end", "second0", "first0", "second1", "first1", "early"]
        holder.first.append(layers.Dense(1, name="first2"))
        assert [layer.name for layer in holder._sublayers()][-1] == "first2"
        holder.first.pop(0)
        assert "first0" not in [layer.name for layer in holder._sublayers()]

    def test_a_list_stands_in_its_order(self):
        holder = Holder()
        early = layers.Dense(1, name="early")
        holder.blocks = []
        holder.blocks += [layers.Dense(1, name="late"), early]
        assert [layer.name for layer in holder._sublayers()] == ["late", "early"]

    def test_deleted_and_replaced_attributes_are_forgotten(self):
        holder = Holder()
        holder.w = variable(1)
        holder.w = new = variable(2)
        assert len(holder.weights) == 1 and holder.weights[0] is new
        del holder.w
        assert holder.weights == []

    def test_each_object_is_listed_once(self):
        holder = Holder()
        shared = variable(1)
        inner = Holder()
        inner.w = holder.a = holder.b = shared
        holder.inner, holder.again = inner, [inner, inner]
        assert len(holder.weights) == 1
        assert len(holder._sublayers()) == 1

    def test_containers_that_hold_themselves_end(self):
        holder = Holder()
        loop = [variable(1)]
        loop.append(loop)
        holder.loop = loop
        assert len(holder.weights) == 1

    def test_own_weights_come_first_and_trainable_ones_before_others(self):
        class Normalise(layers.Layer):
            def build(self, input_shape):
                self.mean = self.add_weight((2,), "zeros", trainable=False, name="mean")
                self.gamma = self.add_weight((2,), "ones", name="gamma")
                self.inner = layers.Dense(2)
                self.inner.build(input_shape)

            def call(self, inputs):
                return self.inner(inputs * self.gamma - self.mean)

        layer = Normalise()
        layer(np.ones((1, 2)))
        names = [w.name for w in layer.weights]
        assert names == ["gamma", "mean", "kernel", "bias"]
        assert [w.name for w in layer.trainable_weights] == ["gamma", "kernel", "bias"]
        assert [w.name for w in layer.non_trainable_weights] == ["mean"]

    def test_metrics_and_seeds_are_no_weights(self):
        holder = Holder()
        holder.metric = metrics.Mean(name="m")
        holder.seeds = [random.SeedGenerator(1)]
        assert holder.weights == []
        assert holder.metrics == [holder.metric]
        assert len(holder.variables) == 1
        assert holder.variables[0] is holder.seeds[0].state

    def test_what_a_layer_was_made_with_is_not_held(self):
        class Chooser(layers.Layer):
            def __init__(self, blocks):
                super().__init__()
                self.chosen = blocks[0]

        blocks = [layers.Dense(1), layers.Dense(2)]
        assert Chooser(blocks)._sublayers() == blocks[:1]

    def test_unique_keeps_order(self):
        a, b = object(), object()
        assert _tracking.unique([b, a, b]) == [b, a]


class TestTrainable:
    def test_freezing_reaches_inner_layers(self):
        outer, inner = Holder(), Holder()
        inner.w = variable(1)
        outer.inner, outer.w = inner, variable(2)
        outer.trainable = False
        assert outer.trainable_weights == [] and inner.trainable_weights == []
        assert len(outer.non_trainable_weights) == 2
        outer.trainable = True
        assert len(outer.trainable_weights) == 2

    def test_freezing_one_inner_layer(self):
        outer, inner = Holder(), Holder()
        inner.w = variable(1)
        outer.inner, outer.w = inner, variable(2)
        inner.trainable = False
        assert len(outer.trainable_weights) == 1
        assert outer.trainable_weights[0] is outer.w


class TestWeights:
    def dense(self):
        layer = layers.Dense(3, name="d")
        layer.build((None, 2))
        return layer

    def test_round_trip(self):
        layer = self.dense()
        kernel = np.arange(6, dtype="f4").reshape(2, 3)
        layer.set_weights([kernel, [1, 2, 3]])
        got = layer.get_weights()
        np.testing.assert_array_equal(got[0], kernel)
        np.testing.assert_array_equal(got[1], [1, 2, 3])
        got[0][:] = 9  # copies
        np.testing.assert_array_equal(layer.kernel.numpy(), kernel)

    def test_all_mismatches_are_in_one_error_and_nothing_changes(self):
        layer = self.dense()
        before = layer.get_weights()
        with pytest.raises(ShapeError) as error:
            layer.set_weights([np.ones((2, 2)), np.ones(4), np.ones(7)])
        text = str(error.value)
        assert "has 2 weights, received 3 arrays" in text
        assert "d/kernel: expected (2, 3), received (2, 2)" in text
        assert "d/bias: expected (3,), received (4,)" in text
        assert "array 2 of shape (7,): no weight left" in text
        for old, new in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_missing_arrays_are_named(self):
        with pytest.raises(ShapeError, match="d/bias: no array given"):
            self.dense().set_weights([np.ones((2, 3))])

    def test_text_is_refused_before_anything_changes(self):
        layer = self.dense()
        before = layer.get_weights()
        with pytest.raises(TypeError, match="d/bias cannot hold dtype <U1"):
            layer.set_weights([np.ones((2, 3)), np.array(["a", "b", "c"])])
        np.testing.assert_array_equal(layer.get_weights()[0], before[0])

    def test_count_params(self):
        assert self.dense().count_params() == 2 * 3 + 3
        with pytest.raises(NotBuiltError, match="'x' has no weights yet"):
            layers.Dense(3, name="x").count_params()

    def test_add_weight(self):
        layer = Holder(name="h")
        scalar = layer.add_weight(initializer="ones", name="s")
        counter = layer.add_weight((2,), dtype="int32", trainable=False)
        assert scalar.shape == () and float(scalar) == 1.0 and scalar.path == "h/s"
        assert counter.dtype == "int32" and not counter.numpy().any()
        with pytest.raises(ShapeError, match=r"weight of shape \(None, 3\)"):
            layer.add_weight((None, 3))
        with pytest.raises(TypeError, match=r"add_weight\(shape=..., name='old'\)"):
            layer.add_weight("old", (3,))
        with pytest.raises(ValueError, match="unknown keyword arguments: sape=3"):
            layer.add_weight(sape=3)


class TestBuild:
    def test_a_failing_build_leaves_no_weights(self):
        class Broken(layers.Layer):
            def build(self, input_shape):
                self.add_weight((2,), name="a")
                raise RuntimeError("half way")

            def call(self, inputs):
                return inputs

        layer = Broken()
        with pytest.raises(RuntimeError, match="half way"):
            layer(np.ones((1, 2)))
        assert layer.weights == [] and not layer.built

    def test_paths_follow_the_nesting(self):
        class Block(layers.Layer):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.dense = layers.Dense(2, name="inner")

            def call(self, inputs):
                return self.dense(inputs)

        block = Block(name="block")
        block(np.ones((1, 3)))
        paths = [w.path for w in block.weights]
        assert paths == ["block/inner/kernel", "block/inner/bias"]

    @pytest.mark.feature("4C-31")
    def test_super_build_and_direct_build(self):
        class Scale(layers.Layer):
            def build(self, input_shape):
                self.w = self.add_weight((input_shape[-1],), "ones", name="w")
                super().build(input_shape)

            def call(self, inputs):
                return inputs * self.w

        layer = Scale(name="s")
        layer.build((None, 4))
        assert layer.built and layer.w.path == "s/w"
        assert layer.get_build_config() == {"input_shape": (None, 4)}
        again = Scale()
        again.build_from_config({"input_shape": [None, 4]})
        assert again.w.shape == (4,)

    def test_forgotten_super_init_is_explained(self):
        class Forgetful(layers.Layer):
            def __init__(self):
                self.units = 3

            def call(self, inputs):
                return inputs

        with pytest.raises(RuntimeError, match=r"call super\(\).__init__\(\) first"):
            Forgetful()(np.ones(2))


class TestCall:
    @pytest.mark.feature("4G-79")
    def test_training_reaches_inner_layers(self):
        seen = []

        class Spy(layers.Layer):
            def call(self, inputs, training=None):
                seen.append(training)
                return inputs

        class Outer(layers.Layer):
            def __init__(self):
                super().__init__()
                self.spy = Spy()

            def call(self, inputs):  # takes no `training` itself
                return self.spy(inputs)

        outer, x = Outer(), np.ones((1, 1))
        outer(x, training=True)
        outer(x, training=False)
        outer(x)
        assert seen == [True, False, None]

    def test_explicit_training_wins_and_ends_with_the_call(self):
        seen = []

        class Spy(layers.Layer):
            def call(self, inputs, training=None):
                seen.append(training)
                return inputs

        class Outer(layers.Layer):
            def __init__(self):
                super().__init__()
                self.a, self.b = Spy(), Spy()

            def call(self, inputs):
                return self.b(self.a(inputs, training=False))

        Outer()(np.ones((1, 1)), training=True)
        assert seen == [False, True]

    def test_floats_get_the_layers_dtype_and_integers_stay(self):
        dtypes = []

        class Spy(layers.Layer):
            def call(self, inputs):
                dtypes.append(inputs.dtype)
                return inputs

        spy = Spy()
        spy(np.ones((1, 2), "float64"))
        spy(np.ones((1, 2), "int32"))
        spy([[1.0, 2.0]])
        Spy(dtype="float64")(np.ones((1, 2), "float32"))
        assert dtypes == ["float32", "int32", "float32", "float64"]

    def test_structures_and_keywords(self):
        class Add(layers.Layer):
            def call(self, inputs):
                return inputs["a"] + inputs["b"]

        x = {"a": np.ones((2, 2)), "b": np.full((2, 2), 3.0)}
        np.testing.assert_array_equal(Add()(x).numpy(), np.full((2, 2), 4.0))
        np.testing.assert_array_equal(Add()(inputs=x).numpy(), np.full((2, 2), 4.0))

    @pytest.mark.parametrize("bad", [3, "text", np.array(["a"]), object()])
    def test_inputs_that_are_no_arrays(self, bad):
        with pytest.raises(TypeError, match=r"\[Dense\] layer 'd' expects arrays"):
            layers.Dense(2, name="d")(bad)

    def test_an_error_says_in_which_layer_it_happened(self):
        class Bad(layers.Layer):
            def call(self, inputs):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as error:
            Bad(name="b")(np.ones((2, 5)))
        assert error.value.__notes__ == ["in Bad 'b', called on (2, 5)"]

    def test_missing_call(self):
        with pytest.raises(NotImplementedError, match="implement call"):
            layers.Layer()(np.ones(2))


class TestLosses:
    def test_added_losses_live_until_the_next_call(self):
        class Penalty(layers.Layer):
            def call(self, inputs):
                self.add_loss(inputs.shape[0] * 1.0)
                return inputs

        class Outer(layers.Layer):
            def __init__(self):
                super().__init__()
                self.inner = Penalty()

            def call(self, inputs):
                return self.inner(self.inner(inputs))

        outer = Outer()
        outer(np.ones((3, 1)))
        outer(np.ones((2, 1)))
        assert outer.losses == [2.0, 2.0]

    @pytest.mark.feature("4D-50")
    def test_regularizers_of_weights_and_outputs(self):
        layer = layers.Dense(
            2,
            kernel_initializer="ones",
            kernel_regularizer="l2",
            activity_regularizer="l1",
        )
        layer(np.ones((4, 3)))  # the outputs' is divided by the batch size
        values = [float(loss) for loss in layer.losses]
        np.testing.assert_allclose(values, [0.01 * 6, 0.01 * 6], rtol=1e-6)
        layer.trainable = False
        assert len(layer.losses) == 1  # frozen weights are not regularized


class TestConfig:
    def test_plain_arguments_need_no_get_config(self):
        class Power(layers.Layer):
            def __init__(self, exponent, scale=1.0, **kwargs):
                super().__init__(**kwargs)
                self.exponent, self.scale = exponent, scale

        layer = Power(2, scale=0.5, name="p")
        config = layer.get_config()
        assert config == {
            "name": "p",
            "trainable": True,
            "dtype": {  # as Keras writes it
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": {"name": "float32"},
                "registered_name": None,
            },
            "exponent": 2,
            "scale": 0.5,
        }
        again = Power.from_config(config)
        assert (again.exponent, again.scale, again.name) == (2, 0.5, "p")

    def test_objects_as_arguments_need_one(self):
        class Wrap(layers.Layer):
            def __init__(self, inner, **kwargs):
                super().__init__(**kwargs)
                self.inner = inner

        with pytest.raises(NotImplementedError, match=r"takes objects \(inner\)"):
            Wrap(layers.Dense(1)).get_config()

    @pytest.mark.feature("4C-21")
    def test_names(self):
        with pytest.raises(ValueError, match="without '/'"):
            layers.Dense(1, name="a/b")
        first, second = layers.Dense(1), layers.Dense(1)
        assert first.name != second.name and first.name.startswith("dense")

    def test_keras_policy_dicts_are_read(self):
        policy = {"class_name": "DTypePolicy", "config": {"name": "float64"}}
        assert layers.Dense(1, dtype=policy).dtype == "float64"

    def test_unknown_arguments_get_a_hint(self):
        with pytest.raises(ValueError, match="Did you mean 'activation'"):
            layers.Dense(1, activaton="relu")
