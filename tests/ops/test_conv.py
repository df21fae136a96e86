# SPDX-License-Identifier: Apache-2.0
"""Convolutions against SciPy, values recorded from torch 2.13, and by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import GradientTape, _core, config, function, ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.opset import all_ops


def normal(*shape: int) -> np.ndarray:
    """Normal numbers: the same for one shape in whatever order tests run."""
    return np.random.default_rng([3, *shape]).normal(size=shape)


@pytest.fixture
def signal() -> Any:
    return pytest.importorskip("scipy.signal")


def by_scipy(signal: Any, x: np.ndarray, w: np.ndarray, mode: str) -> np.ndarray:
    """Channels last, stride 1: a sum of single-channel correlations."""
    images = []
    for image in x:
        maps = [
            sum(
                signal.correlate(image[..., c], w[..., c, o], mode, "direct")
                for c in range(x.shape[-1])
            )
            for o in range(w.shape[-1])
        ]
        images.append(np.stack(maps, -1))
    return np.stack(images)


@pytest.mark.parametrize("padding", ["valid", "same", "SAME"])
@pytest.mark.parametrize(
    ("x", "w"),
    [
        ((2, 9, 3), (4, 3, 5)),
        ((2, 8, 11, 3), (3, 4, 3, 5)),
        ((1, 30, 31, 20), (5, 3, 20, 33)),
        ((2, 5, 6, 7, 2), (2, 3, 3, 2, 4)),
        ((2, 8, 1, 3), (3, 1, 3, 2)),
    ],
)
def test_stride_one_as_scipy(signal: Any, x: tuple, w: tuple, padding: str) -> None:
    a, k = normal(*x), normal(*w)
    got = ops.conv(a, k, 1, padding, "channels_last").numpy()
    if padding == "valid":
        expected = by_scipy(signal, a, k, "valid")
    else:  # Keras puts the odd zero behind
        pads = [(0, 0), *[((n - 1) // 2, n // 2) for n in w[:-2]], (0, 0)]
        expected = by_scipy(signal, np.pad(a, pads), k, "valid")
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_strides_and_dilation_pick_from_the_dense_result(signal: Any) -> None:
    x, w = normal(2, 17, 13, 3), normal(3, 3, 3, 4)
    wide = np.zeros((5, 7, 3, 4))
    wide[::2, ::3] = w
    got = ops.conv(x, w, (2, 3), "valid", "channels_last", (2, 3)).numpy()
    expected = by_scipy(signal, x, wide, "valid")[:, ::2, ::3]
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_gives_the_size_over_the_stride_rounded_up(size: int, stride: int) -> None:
    x, w = normal(1, size, 1), normal(4, 1, 1)
    got = ops.conv(x, w, stride, "same").numpy()
    out = -(-size // stride)
    total = max((out - 1) * stride + 4 - size, 0)
    padded = np.pad(x[0, :, 0], (total // 2, total - total // 2))
    expected = [padded[o * stride : o * stride + 4] @ w[:, 0, 0] for o in range(out)]
    np.testing.assert_allclose(got[0, :, 0], expected, rtol=1e-12)


def test_causal_sees_nothing_later() -> None:
    x, w = normal(1, 12, 2), normal(3, 2, 2)
    before = ops.conv(x, w, 1, "causal", dilation_rate=2).numpy()
    x[:, 7:] = 100.0
    after = ops.conv(x, w, 1, "causal", dilation_rate=2).numpy()
    assert before.shape == (1, 12, 2)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert (before[:, 7] != after[:, 7]).all()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_the_same_convolution(rank: int) -> None:
    x, w = normal(2, *(5, 6, 7)[:rank], 4), normal(*(3, 2, 3)[:rank], 4, 5)
    moved = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    last = ops.conv(x, w, 2, "same", "channels_last").numpy()
    first = ops.conv(moved, w, 2, "same", "channels_first").numpy()
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), last)
    w = np.swapaxes(w, -1, -2)
    last = ops.conv_transpose(x, w, 2, "same", None, "channels_last").numpy()
    first = ops.conv_transpose(moved, w, 2, "same", None, "channels_first").numpy()
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), last)
    config.set_image_data_format("channels_first")
    try:
        chosen = ops.conv_transpose(moved, w, 2, "same").numpy()
    finally:
        config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(chosen, first)


def waves(fn: Any, *shape: int) -> np.ndarray:
    return fn(np.arange(float(np.prod(shape)))).reshape(shape)


def test_groups_strides_and_dilation_as_torch() -> None:
    """torch.nn.functional.conv2d(x, w, stride=(2, 1), padding=(1, 0),
    dilation=(1, 2), groups=2) and its gradients, float64."""
    x = Tensor(waves(np.sin, 1, 4, 5, 5).transpose(0, 2, 3, 1))
    w = Tensor(waves(np.cos, 6, 2, 3, 2).transpose(2, 3, 1, 0))
    none = Tensor(np.zeros(0))
    with GradientTape() as tape:
        tape.watch([x, w])
        y = raw.conv(x, w, none, (2, 1), (1, 2), (1, 0, 1, 0), 2)
        weights = waves(lambda i: np.sin(0.5 * i), 1, 6, 3, 3).transpose(0, 2, 3, 1)
        loss = ops.sum(y * Tensor(weights))
    dx, dw = tape.gradient(loss, [x, w])
    assert y.shape == TORCH["shape"]
    np.testing.assert_allclose(y.numpy()[0, 1, 2], TORCH["y"], rtol=1e-12)
    np.testing.assert_allclose(y.numpy().sum(), TORCH["sum"], rtol=1e-12)
    np.testing.assert_allclose(dx.numpy()[0, 2, 1], TORCH["dx"], rtol=1e-12)
    np.testing.assert_allclose(dx.numpy().sum(), TORCH["dx_sum"], rtol=1e-11)
    np.testing.assert_allclose(dw.numpy()[2, 0, 1], TORCH["dw"], rtol=1e-12)
    np.testing.assert_allclose(dw.numpy().sum(), TORCH["dw_sum"], rtol=1e-11)


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "rates", "padding"),
    [
        ((2, 7, 6, 5), (3, 2, 1, 5), (1, 1), (1, 1), "same"),
        ((2, 7, 6, 5), (3, 3, 1, 15), (2, 2), (1, 1), "same"),
        ((1, 9, 8, 4), (2, 3, 1, 4), (1, 1), (2, 3), "valid"),
        ((1, 9, 8, 4), (2, 3, 1, 8), (2, 3), (3, 2), "valid"),
        ((2, 8, 3), (4, 1, 6), (1,), (2,), "causal"),
        ((1, 4, 5, 4, 2), (2, 2, 2, 1, 2), (2, 1, 2), (1, 1, 1), "same"),
    ],
)
def test_a_group_for_each_channel_is_the_sum_of_the_groups(
    shape, kernel, strides, rates, padding
) -> None:
    """Against convolutions of one channel each, joined; and their gradients."""
    x, w = (Tensor(normal(*s)) for s in (shape, kernel))
    channels = shape[-1]
    with GradientTape(persistent=True) as tape:
        tape.watch([x, w])
        y = ops.conv(x, w, strides, padding, None, rates)
        parts = [
            ops.conv(a, b, strides, padding, None, rates)
            for a, b in zip(
                ops.split(x, channels, -1), ops.split(w, channels, -1), strict=True
            )
        ]
        expected = ops.concatenate(parts, -1)
        weights = Tensor(normal(*y.shape))
        losses = [ops.sum(weights * value) for value in (y, expected)]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    mine, theirs = (tape.gradient(loss, [x, w]) for loss in losses)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


TORCH: dict[str, Any] = {
    "shape": (1, 3, 3, 6),
    "y": [
        1.7061175761610006,
        1.9856660397919106,
        1.6451067206371477,
        1.146893177460287,
        0.051981932600307854,
        -1.0591628582456163,
    ],
    "sum": 16.64207257253362,
    "dx": [
        -0.9958993256589922,
        -0.8787313886514011,
        0.6798692713188308,
        0.7250964848688636,
    ],
    "dx_sum": -5.777408358790705,
    "dw": [
        0.320802428340373,
        0.11975696953167969,
        -0.37129096060004885,
        -0.30235886137855483,
        0.8701844064240865,
        -0.06450357383017291,
    ],
    "dw_sum": -6.535105174400648,
}


def test_transposed_with_dilation_as_torch() -> None:
    """torch.nn.functional.conv_transpose1d(x, w, stride=2, padding=1,
    output_padding=1, dilation=2), float64."""
    x = Tensor(waves(np.sin, 1, 3, 4).transpose(0, 2, 1))
    w = Tensor(waves(np.cos, 3, 2, 3).transpose(2, 1, 0))
    none = Tensor(np.zeros(0))
    y = raw.conv_transpose(x, w, none, (10,), (2,), (2,), (1, 0)).numpy()
    expected = np.zeros(10)
    expected[1::2] = [
        0.5957430536610031,
        0.533022616883974,
        -0.4392333980353063,
        -0.7480209673785585,
        -0.29105409633183094,
    ]
    np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_transposed_is_a_full_convolution_of_the_stretched_input(
    signal: Any, size: int, stride: int
) -> None:
    x, w = normal(1, 5, 4, 2), normal(size, 2, 3, 2)
    wide = np.zeros((1, 4 * stride + 1, 3 * stride + 1, 2))
    wide[:, ::stride, ::stride] = x
    full = np.stack(
        [
            sum(
                signal.convolve(wide[0, ..., c], w[..., o, c], "full") for c in range(2)
            )
            for o in range(3)
        ],
        -1,
    )
    valid = ops.conv_transpose(x, w, stride, "valid").numpy()[0]
    shape = [4 * stride + max(size, stride), 3 * stride + max(2, stride)]
    assert list(valid.shape[:2]) == shape
    n, m = full.shape[:2]
    np.testing.assert_allclose(valid[:n, :m], full, rtol=1e-12, atol=1e-12)
    assert not valid[n:].any() and not valid[:, m:].any()
    same = ops.conv_transpose(x, w, stride, "same").numpy()[0]
    assert same.shape == (5 * stride, 4 * stride, 3)
    # Keras puts these zeros around the stretched input; a kernel shorter than the
    # stride gets more than full of them.
    for axis, k in enumerate((size, 2)):
        total = stride + k - 2
        left = min(total // 2 + total % 2, k - 1)
        cut = k - 1 - left
        full = np.moveaxis(full, axis, 0)
        room = np.zeros((cut + same.shape[axis], *full.shape[1:]))
        room[: len(full)] = full[: len(room)]
        full = np.moveaxis(room[cut:], 0, axis)
    np.testing.assert_allclose(same, full, rtol=1e-12, atol=1e-12)


def test_output_padding_sets_the_size() -> None:
    x, w = normal(1, 5, 2), normal(3, 3, 2)
    for extra, size in ((0, 11), (1, 12), ([np.int64(1)], 12)):
        y = ops.conv_transpose(x, w, 2, "valid", extra).numpy()
        assert y.shape == (1, size, 3)
    for extra, size in ((0, 9), (1, 10)):  # (5 - 1) * 2 + 3 % 2 + extra
        y = ops.conv_transpose(x, w, 2, "same", extra).numpy()
        assert y.shape == (1, size, 3)


def test_a_dense_layer_is_a_convolution_as_large_as_its_input() -> None:
    x, w = normal(3, 7, 7, 10).astype("f"), normal(7, 7, 10, 20).astype("f")
    y = ops.conv(x, w).numpy().reshape(3, 20)
    expected = x.reshape(3, -1).astype(float) @ w.reshape(-1, 20)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_numpy_integers_are_integers() -> None:
    x, w = normal(1, 6, 5, 2), normal(3, 2, 2, 3)
    expected = ops.conv(x, w, (2, 1)).numpy()
    for steps in (np.array([2, 1]), [np.int64(2), np.int32(1)]):
        np.testing.assert_array_equal(ops.conv(x, w, steps).numpy(), expected)


def test_integers_are_cast_and_mixed_floats_promoted() -> None:
    assert ops.conv(np.ones((1, 4, 1), "i"), np.ones((2, 1, 1), "i")).dtype == "float32"
    assert ops.conv(np.ones((1, 4, 1), "f"), np.ones((2, 1, 1))).dtype == "float64"


@pytest.mark.parametrize(
    ("shape", "size", "filters"),
    [
        ((1, 40, 40, 70), 3, 40),
        ((3, 9, 9, 300), 3, 40),
        ((20, 7, 7, 16), 3, 40),
        ((10, 9, 9, 300), 3, 140),  # weights packed panel by panel
        ((2, 150, 150, 3), 3, 40),  # the gradient puts lanes over pixels
        ((5, 12, 15, 64), 1, 40),  # a product of pixels, in windows
        ((5, 12, 15, 300), 1, 260),  # and at once
    ],
)
def test_windows_blocks_of_k_and_parts_give_the_same_bits(
    shape: tuple, size: int, filters: int
) -> None:
    """Sizes beyond one window and one block of k, in 1 to 5 parts."""
    x, w = normal(*shape).astype("f"), normal(size, size, shape[-1], filters)
    w, b = w.astype("f"), normal(filters).astype("f")
    y = ops.conv(x, w, 1, "same").numpy()
    none = np.zeros(0, "f")
    ints = [np.array(v, np.int64) for v in ((1, 1), (1, 1), (size // 2,) * 2)]
    attrs = [*[a.ctypes.data for a in ints], 1, 1, 1.0]
    refs = {name: all_ops()[name].ref for name in ("conv", "conv_transpose")}
    geometry = ((1, 1), (1, 1), ((size - 1) // 2,) * 4, 1)
    wide = [a.astype("d") for a in (x, w, b, y, none)]
    exact = {
        "conv": refs["conv"](*wide[:3], *geometry, "relu", 1.0),
        "conv_transpose": refs["conv_transpose"](
            wide[3], wide[1], wide[4], x.shape[1:-1], *geometry, "relu", 1.0
        ),
        "conv_grad_kernel": all_ops()["conv_grad_kernel"].ref(
            wide[0], wide[3], (size, size), *geometry
        ),
    }
    runs = {
        "conv": ([x, w, b], y.shape, attrs),
        "conv_transpose": ([y, w, none], x.shape, attrs),
        "conv_grad_kernel": ([x, y], w.shape, attrs[:4]),
    }
    for name, (given, shape_out, values) in runs.items():
        whole = np.full(shape_out, np.nan, "f")
        _core.launch(name, given, [whole], values)
        assert np.isfinite(whole).all()
        for count in (2, 5):
            parts = np.full(shape_out, np.nan, "f")
            for index in range(count):
                _core.launch(name, given, [parts], values, part=(index, count))
            np.testing.assert_array_equal(parts, whole, err_msg=f"{name} {count}")
        bound = 1e-5 * abs(exact[name]).max()
        np.testing.assert_allclose(whole, exact[name], rtol=0, atol=bound)


def test_the_input_gradient_is_computed_only_for_who_asks() -> None:
    from fastnn.graph.trace import trace
    from fastnn.opset import Spec

    def step(x: Tensor, w: Tensor) -> Any:
        with GradientTape() as tape:
            tape.watch(w)
            loss = ops.sum(ops.conv(x, w, 1, "same"))
        return tape.gradient(loss, w)

    specs = [Spec((2, 5, 5, 1), "float32"), Spec((3, 3, 1, 4), "float32")]
    graph, _ = trace(step, specs)
    found = [n.op.name for n in graph.nodes]
    assert "conv_grad_kernel" in found and "conv_transpose" not in found


def test_a_compiled_training_step_equals_the_eager_one() -> None:
    x, w1, w2 = normal(4, 8, 8, 3), normal(3, 3, 3, 8), normal(3, 3, 8, 5)
    b = normal(8)

    def step(x: Tensor, w1: Tensor, b: Tensor, w2: Tensor) -> Any:
        with GradientTape() as tape:
            tape.watch([x, w1, b, w2])
            h = ops.relu(ops.conv(x, w1, 1, "same") + ops.reshape(b, (1, 1, 1, 8)))
            y = ops.tanh(ops.conv(h, w2, 2, "same"))
            loss = ops.sum(y * y)
        return tape.gradient(loss, [x, w1, b, w2])

    args = [Tensor(a) for a in (x, w1, b, w2)]
    for a, c in zip(step(*args), function(step)(*args), strict=True):
        np.testing.assert_allclose(a.numpy(), c.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [ops.conv, ops.conv_transpose])
@pytest.mark.parametrize("rate", [10**5, 2**31, 2**61, 10**30])
def test_reaches_beyond_32_bits_are_refused(function: Any, rate: int) -> None:
    x, w = np.ones((1, 5, 5, 4), "f"), np.ones((2, 2, 4, 4), "f")
    for padding in ("same", "valid") if function is ops.conv_transpose else ("same",):
        with pytest.raises(ShapeError, match=r"^\[conv\w*\].*exceeds 2147483647"):
            function(x, w, 1, padding, dilation_rate=rate)
    with pytest.raises(ShapeError, match="exceeds 2147483647"):
        ops.depthwise_conv(x, w[..., :1], 1, "same", dilation_rate=rate)


def test_far_taps_that_fit_are_computed() -> None:
    x, w = normal(1, 7, 3), normal(3, 3, 4)
    y = ops.conv(x, w, 1, "same", dilation_rate=10**5).numpy()
    np.testing.assert_allclose(y, x @ w[1], rtol=1e-12, atol=1e-12)


def test_errors_show_what_was_received() -> None:
    x, w = normal(1, 5, 5, 3), normal(3, 3, 3, 4)
    with pytest.raises(ShapeError, match=r"\[conv\] 3 input channels"):
        ops.conv(x, normal(3, 3, 2, 4))
    with pytest.raises(ShapeError, match=r'do not fit.*padding="same"'):
        ops.conv(x, normal(6, 6, 3, 4))
    with pytest.raises(ShapeError, match=r"\[conv\w*\].*no elements"):
        ops.conv(x, normal(0, 3, 3, 4))
    with pytest.raises(ShapeError, match=r"\[conv\w*\].*no elements"):
        ops.conv_transpose(x, normal(3, 0, 4, 3))
    with pytest.raises(ShapeError, match='data_format="channels_first"'):
        ops.conv(normal(1, 3, 5, 5), w)
    for steps in (2.0, "2", None, (1, 1.0)):
        with pytest.raises(ValueError, match=r"^\[conv\] strides must be"):
            ops.conv(x, w, steps)
    for extra in ((1, 1, 1), -1, 0.5):
        with pytest.raises(ValueError, match="output_padding must"):
            ops.conv_transpose(x, normal(3, 3, 4, 3), 2, "valid", extra)
    with pytest.raises(ValueError, match="less than the strides"):
        ops.conv_transpose(x, normal(3, 3, 4, 3), 2, "same", (1, 2))
    with pytest.raises(ShapeError, match="rank 3 to 5"):
        ops.conv(x[0, 0], w)
    with pytest.raises(ValueError, match="padding must be"):
        ops.conv(x, w, 1, "causal")
    with pytest.raises(ValueError, match="data_format"):
        ops.conv(x, w, data_format="NHWC")
    with pytest.raises(ValueError, match="strides must be"):
        ops.conv(x, w, (1, 2, 3))
    with pytest.raises(ShapeError, match="needs 5 input channels"):
        ops.conv_transpose(x, normal(3, 3, 4, 5))
    with pytest.raises(ShapeError, match="bias must be"):
        raw.conv(*map(Tensor, (x, w, normal(3))), (1, 1), (1, 1), (0, 0, 0, 0))
    with pytest.raises(ShapeError, match="2 spatial axes need"):
        raw.conv(*map(Tensor, (x, w, normal(4))), (1,), (1, 1), (0, 0, 0, 0))
