# SPDX-License-Identifier: Apache-2.0
"""The vocabulary: one record per op. Pure Python and NumPy, no kernels."""

from fastnn.opset import (  # noqa: F401  (importing registers the records)
    activations,
    conv,
    copy,
    ctc,
    cumulative,
    depthwise,
    elementary,
    factorizations,
    gemm,
    hard_activations,
    index,
    linalg,
    loss,
    lrn,
    norm,
    norm_rows,
    optim,
    optim_norms,
    pad,
    pointwise,
    pool,
    random,
    reduce,
    resize,
    sampling,
    scatter,
    softmax,
    sort,
    special,
    spectral,
)
from fastnn.opset._opdef import OpDef as OpDef
from fastnn.opset._opdef import Spec as Spec
from fastnn.opset._opdef import all_ops as all_ops
from fastnn.opset._opdef import get_op as get_op
