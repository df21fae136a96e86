# SPDX-License-Identifier: Apache-2.0
"""Convolutions by cuDNN, and what is before and after: its filters have their inputs
last, and 16-bit results are rounded before bias and activation.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn import config
from fastnn.backends.cuda.cudnn import ALIGNED, DATA_TYPES
from fastnn.backends.cuda.launches import Convolution, Operand, Task, dense
from fastnn.backends.cuda.rules import unfolded
from fastnn.backends.cuda.rules.copy import copy_launch
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.rules import Scratch

    Numbers = tuple[int, ...]

WRITTEN = {"Forward": "y", "InputGradient": "x", "FilterGradient": "w"}


def fits(operands: Sequence[Operand], numbers: Numbers) -> bool:
    """Whether cuDNN has the type, and can be told of the windows."""
    after, *_, before = _fields(numbers)
    return (
        operands[0].dtype in DATA_TYPES
        and min(*after, *before) >= 0
        and all(
            x.size and unfolded.is_dense(x) and x.address % ALIGNED == 0
            for x in operands
        )
    )


def _fields(numbers: Numbers) -> tuple[Numbers, ...]:
    """Zeros after x; sizes of x, y and the window; strides, dilations, zeros before:
    along two axes, or three where there are as many.
    """
    whole = [numbers[i : i + 3] for i in range(0, 18, 3)]
    flat = all(field[0] == 1 for field in whole[:3]) and not whole[5][0]
    x, y, window, strides, dilations, before = (f[1:] if flat else f for f in whole)
    after = []
    for d, n in enumerate(x):
        reach = (y[d] - 1) * strides[d] + (window[d] - 1) * dilations[d] + 1
        last = reach - n - before[d]
        # Pixels behind the last window are left out, less than a stride of them.
        after.append(last if last >= 0 else 0 if -last < strides[d] else -1)
    return tuple(after), x, y, window, strides, dilations, before


def _task(
    problem: str, images: tuple[int, int], w: Operand, numbers: Numbers, count: int
) -> Convolution:
    """The task on x and y at these addresses."""
    after, x, y, _, strides, dilations, before = _fields(numbers)
    groups, inputs, outputs = numbers[18:21]
    return Convolution(
        dense(images[0], w.dtype, (count, *x, groups * inputs)),
        w,
        dense(images[1], w.dtype, (count, *y, groups * outputs)),
        WRITTEN[problem],
        strides,
        dilations,
        before,
        after,
        config.float32_matmul_precision() == "high",
    )


def _filters(numbers: Numbers, dtype: str, scratch: Scratch) -> Operand:
    """Room for filters as the library has them: (outputs, window..., inputs)."""
    groups, inputs, outputs = numbers[18:21]
    shape = (groups * outputs, *_fields(numbers)[3], inputs)
    return dense(scratch(prod(shape) * ITEMSIZE[dtype]), dtype, shape)


def _turned(w: Operand, shape: tuple[int, ...]) -> Operand:
    """Filters (window..., inputs, outputs) in the library's order of axes."""
    *window, inputs, outputs = w.strides
    skipped = len(shape) - len(w.shape)  # axes of size 1
    strides = (outputs, *(0,) * skipped, *window, inputs)
    return w._replace(shape=shape, strides=strides)


def _product(
    problem: str,
    source: Operand,
    w: Operand,
    to: Operand,
    numbers: Numbers,
    scratch: Scratch,
) -> list[Task]:
    """The forward product or the input gradient."""
    filters = _filters(numbers, w.dtype, scratch)
    ends = source.address, to.address
    images = ends if problem == "Forward" else ends[::-1]
    return [
        copy_launch(_turned(w, filters.shape), filters),
        _task(problem, images, filters, numbers, source.shape[0]),
    ]


def biased(
    problem: str,
    factors: tuple[Operand, Operand],
    bias: Operand,
    y: Operand,
    numbers: Numbers,
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """y = f(product + bias); a bias of size 0 is none."""
    made = _product(problem, *factors, y, numbers, scratch)
    if bias.size or activation[0] != "linear":
        flat = dense(y.address, y.dtype, (prod(y.shape[:-1]), y.shape[-1]))
        made += unfolded.finish_biased(flat, bias, flat, activation, scratch)
    return made


def back(
    factors: tuple[Operand, Operand],
    y: Operand,
    dx: Operand,
    numbers: Numbers,
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """The input gradient, times the gradient of an activation from its output y."""
    made = _product("InputGradient", *factors, dx, numbers, scratch)
    if activation[0] != "linear":
        made.append(unfolded.finish_back(dx, y, dx, activation))
    return made


def filter_gradient(
    x: Operand, dy: Operand, dw: Operand, numbers: Numbers, scratch: Scratch
) -> list[Task]:
    """The gradient, brought into our order of axes."""
    filters = _filters(numbers, dw.dtype, scratch)
    images = x.address, dy.address
    return [
        _task("FilterGradient", images, filters, numbers, x.shape[0]),
        copy_launch(filters, _turned(dw, filters.shape)),
    ]
