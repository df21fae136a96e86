# SPDX-License-Identifier: Apache-2.0
"""The tape's manners: what is recorded, erased, summed, stopped and nested."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, custom_gradient, ops, stop_gradient
from fastnn.autodiff.grad import grad, value_and_grad
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError, ShapeError


def f(w1, w2):
    return 3 * w1**2 + 2 * w1 * w2


@pytest.mark.feature("1D-1f", "1D-30a")
def test_gradients_of_the_textbook_function() -> None:
    w1, w2 = Variable(5.0), Variable(3.0)
    with GradientTape() as tape:
        z = f(w1, w2)
    g1, g2 = tape.gradient(z, [w1, w2])
    assert float(g1) == 36.0
    assert float(g2) == 10.0


@pytest.mark.feature("4B-11", "1D-30b")
def test_a_tape_is_erased_by_gradient_unless_persistent() -> None:
    w = Variable(5.0)
    with GradientTape() as tape:
        z = w * w
    tape.gradient(z, w)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(z, w)
    with GradientTape(persistent=True) as tape:
        z = w * w
    assert float(tape.gradient(z, w)) == float(tape.gradient(z, w)) == 10.0


def test_only_variables_are_watched() -> None:
    c1, c2 = convert_to_tensor(5.0), convert_to_tensor(3.0)
    with GradientTape() as tape:
        z = f(c1, c2)
    assert tape.gradient(z, [c1, c2]) == [None, None]
    with GradientTape() as tape:
        tape.watch(c1)
        tape.watch(c2)
        z = f(c1, c2)
    assert [float(g) for g in tape.gradient(z, [c1, c2])] == [36.0, 10.0]


def test_untrainable_variables_and_unwatched_access() -> None:
    w, frozen = Variable(2.0), Variable(3.0, trainable=False)
    with GradientTape() as tape:
        z = w * frozen
    assert [None if g is None else float(g) for g in tape.gradient(z, [w, frozen])] == [
        3.0,
        None,
    ]
    with GradientTape(watch_accessed_variables=False) as tape:
        z = w * w
    assert tape.gradient(z, w) is None


@pytest.mark.feature("4B-13", "1D-31")
def test_several_targets_are_summed() -> None:
    w1, w2 = Variable(5.0), Variable(3.0)
    with GradientTape() as tape:
        zs = [f(w1, w2 + 2.0), f(w1, w2 + 5.0), f(w1, w2 + 7.0)]
    g1, g2 = tape.gradient(zs, [w1, w2])
    assert (float(g1), float(g2)) == (136.0, 30.0)


@pytest.mark.feature("4B-15", "4B-20b")
def test_hessian_by_nested_tapes_inside_their_own_blocks() -> None:
    w1, w2 = Variable(5.0), Variable(3.0)
    with GradientTape(persistent=True) as outer:
        with GradientTape() as inner:
            z = f(w1, w2)
            jacobians = inner.gradient(z, [w1, w2])
        hessians = [outer.gradient(j, [w1, w2]) for j in jacobians]
    values = [[None if h is None else float(h) for h in row] for row in hessians]
    assert values == [[6.0, 2.0], [2.0, None]]


def test_stop_gradient_keeps_the_value() -> None:
    w1, w2 = Variable(5.0), Variable(3.0)
    with GradientTape() as tape:
        z = 3 * w1**2 + stop_gradient(2 * w1 * w2)
    assert float(z) == 105.0
    g1, g2 = tape.gradient(z, [w1, w2])
    assert (float(g1), g2) == (30.0, None)


def test_stop_recording_pauses() -> None:
    w = Variable(2.0)
    with GradientTape() as tape:
        y = w * w
        with tape.stop_recording():
            hidden = w * 100.0
        z = y + hidden
    assert float(tape.gradient(z, w)) == 4.0


@pytest.mark.feature("4B-17")
def test_custom_gradient_replaces_the_inside() -> None:
    @custom_gradient
    def softplus(z):
        e = ops.exp(z)
        return ops.log(e + 1.0), lambda upstream: upstream / (1.0 + 1.0 / e)

    x = Variable([0.0, 1.0, 100.0])
    with GradientTape() as tape:
        y = softplus(x)
    expected = 1 / (1 + np.exp(-np.array([0.0, 1.0])))
    gradient = tape.gradient(y, x).numpy()
    np.testing.assert_allclose(gradient[:2], expected, rtol=1e-6)
    assert gradient[2] == 1.0  # the naive gradient is NaN here


@pytest.mark.feature("4B-14b")
def test_integer_and_argmax_have_no_gradient() -> None:
    x = Variable([1.0, 3.0, 2.0])
    with GradientTape() as tape:
        y = ops.argmax(x)
    assert tape.gradient(y, x) is None
    with pytest.raises(DTypeError, match="only float"):
        GradientTape().watch(convert_to_tensor([1, 2]))


def test_unconnected_gradients_zero() -> None:
    a, b = Variable([1.0, 2.0]), Variable([[3.0]])
    with GradientTape() as tape:
        z = ops.sum(a * a)
    got = tape.gradient(z, {"a": a, "b": b}, unconnected_gradients="zero")
    np.testing.assert_array_equal(got["a"].numpy(), [2.0, 4.0])
    np.testing.assert_array_equal(got["b"].numpy(), [[0.0]])


def test_output_gradients_scale() -> None:
    w = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = w * w
    seed = convert_to_tensor([10.0, 100.0])
    np.testing.assert_array_equal(
        tape.gradient(y, w, output_gradients=seed).numpy(), [20.0, 400.0]
    )


def test_a_variable_changed_after_recording_keeps_its_recorded_value() -> None:
    w = Variable(3.0)
    with GradientTape() as tape:
        y = w * w
    w.assign(100.0)
    assert float(tape.gradient(y, w)) == 6.0


def test_grad_and_value_and_grad() -> None:
    def g(x, y):
        return ops.sum(x * x * y)

    x, y = np.array([1.0, 2.0], "f"), np.array([3.0, 4.0], "f")
    value, (gx, gy) = value_and_grad(g, (0, 1))(x, y)
    assert float(value) == 19.0
    np.testing.assert_array_equal(gx.numpy(), 2 * x * y)
    np.testing.assert_array_equal(gy.numpy(), x * x)
    np.testing.assert_array_equal(grad(g)(x, y).numpy(), 2 * x * y)
    with pytest.raises(ValueError, match="scalar"):
        grad(lambda t: t * 2)(x)


def test_memory_of_the_tape_is_freed_by_gradient() -> None:
    w = Variable(np.ones(10, "f"))
    with GradientTape() as tape:
        hidden = ops.exp(w)
        z = ops.sum(hidden * hidden)
    alive = weakref.ref(hidden)
    del hidden
    assert alive() is not None, "the record needs it"
    tape.gradient(z, w)
    gc.collect()
    assert alive() is None


def test_nothing_of_a_step_waits_for_the_garbage_collector() -> None:
    x, w = Tensor(np.ones((4, 3), "f")), Variable(np.ones((3, 2), "f"))
    dy = Tensor(np.ones((4, 2), "f"))
    with GradientTape(persistent=True) as tape:
        y = ops.matmul(ops.stack([x, 2 * x])[0], w)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            alive = weakref.ref(tape.gradient([y], {"w": [w], "x": x}, [dy])["w"][0])
            assert alive() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_gradient_through_indexing_and_masks() -> None:
    x = Variable(np.arange(6.0, dtype="f").reshape(2, 3))
    with GradientTape() as tape:
        y = ops.sum(x[0, ::-2] * 2.0) + ops.sum(x[np.array([[True, False, False]] * 2)])
    expected = [[3.0, 0.0, 2.0], [1.0, 0.0, 0.0]]
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), expected)


def test_operators_are_strict_between_tensors_and_lenient_with_numbers() -> None:
    a = convert_to_tensor([1.0, 2.0])
    assert (a + 10).dtype == "float32"
    assert (a * np.float64(2)).dtype == "float32"
    with pytest.raises(DTypeError, match="cast"):
        a + convert_to_tensor([1, 2])
    with pytest.raises(DTypeError, match="cast"):
        a + Tensor(np.ones(2))
    with pytest.raises(DTypeError):
        convert_to_tensor([1, 2]) + 1.5
    with pytest.raises(ShapeError, match="broadcast"):
        a + convert_to_tensor([1.0, 2.0, 3.0])
    assert ops.add(a, convert_to_tensor([1, 2])).dtype == "float32"


@pytest.mark.feature("1D-1a")
def test_tensors_are_immutable_and_speak_numpy() -> None:
    a = convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(TypeError, match="immutable"):
        a[0] = 1.0
    np.testing.assert_array_equal(np.square(a), [[1, 4], [9, 16]])
    assert isinstance(np.ones((2, 2), "f") + a, Tensor)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(a)[0, 0] = 5.0
    np.testing.assert_array_equal((a @ a).numpy(), a.numpy() @ a.numpy())
    assert [float(t) for t in a[:, 1]] == [2.0, 4.0]


def test_variable_values_are_snapshots() -> None:
    v = Variable([1.0, 2.0])
    before = v.value
    view = np.asarray(v)
    v.assign_add([1.0, 1.0])
    np.testing.assert_array_equal(before.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(view, [1.0, 2.0])
    np.testing.assert_array_equal(v.numpy(), [2.0, 3.0])
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        v.assign([1.0])


def test_the_value_of_a_variable_is_recorded_as_the_variable() -> None:
    v, frozen = Variable(3.0), Variable(3.0, trainable=False)
    with GradientTape() as tape:
        y = v.value * 2.0 + frozen.value
    assert [g if g is None else float(g) for g in tape.gradient(y, [v, frozen])] == [
        2.0,
        None,
    ]

    @fastnn.function
    def slope():
        with GradientTape() as tape:
            y = v.value * v.value
        return tape.gradient(y, v)

    assert float(slope()) == 6.0


@pytest.mark.parametrize("made", [lambda x: x * 2, lambda x: (x, x), lambda x: None])
def test_custom_gradient_says_what_a_function_must_return(made) -> None:
    with pytest.raises(TypeError, match=r"must return \(output, grad_fn\)"):
        custom_gradient(made)(1.0)


def test_custom_gradient_can_be_differentiated_again() -> None:
    @custom_gradient
    def log1pexp(x):
        e = ops.exp(x)

        def grad(upstream):
            return upstream * (1.0 - 1.0 / (1.0 + e))

        return ops.log(1.0 + e), grad

    x = Variable(1.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = log1pexp(x)
        first = inner.gradient(y, x)
    second = outer.gradient(first, x)
    s = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(float(first), s, rtol=1e-6)
    np.testing.assert_allclose(float(second), s * (1 - s), rtol=1e-6)


def test_custom_gradient_passes_keywords_and_asks_for_its_variables() -> None:
    w = Variable(3.0)

    @custom_gradient
    def scaled(x, power=1):
        def grad(upstream, variables):
            assert [v is w for v in variables] == [True]
            return upstream * 10.0, [upstream * 100.0]

        return w * x**power, grad

    x = Variable(2.0)
    with GradientTape() as tape:
        y = scaled(x, power=2)
    assert float(y) == 12.0
    assert [float(g) for g in tape.gradient(y, [x, w])] == [10.0, 100.0]

    @custom_gradient
    def forgetful(x):
        return w * x, lambda upstream: upstream

    with pytest.raises(TypeError, match="`variables`"):
        forgetful(x)


def test_custom_gradient_of_several_outputs_gets_zeros_for_the_unused() -> None:
    @custom_gradient
    def both(x):
        return (x * 2.0, x * 3.0), lambda a, b: a * 2.0 + b * 3.0

    x = Variable(1.0)
    with GradientTape() as tape:
        y, _ = both(x)
    assert float(tape.gradient(y, x)) == 2.0

    @custom_gradient
    def wrong(x):
        return x * 2.0, lambda a: (a, a)

    with GradientTape() as tape:
        y = wrong(x)
    with pytest.raises(ValueError, match=r"1 arguments.*2 gradients"):
        tape.gradient(y, x)


def test_gradient_checks_what_it_is_asked_for() -> None:
    w = Variable([[1.0, 2.0]])
    with GradientTape(persistent=True) as tape:
        y = w * 2.0
    with pytest.raises(TypeError, match=r"sources.*ndarray"):
        tape.gradient(y, np.ones(2))
    with pytest.raises(ValueError, match="'none' or 'zero'"):
        tape.gradient(y, w, unconnected_gradients="zeros")
    with pytest.raises(ShapeError, match=r"\(3, 1, 1\)"):
        tape.gradient(y, w, output_gradients=np.ones((3, 1, 1), "f"))
    with pytest.raises(ValueError, match="1 targets"):
        tape.gradient(y, w, output_gradients=[y, y])
