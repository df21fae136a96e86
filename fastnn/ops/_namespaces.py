# SPDX-License-Identifier: Apache-2.0
"""Which functions of fastnn.ops Keras also has in ops.linalg, ops.nn and ops.numpy.

Those of ops.numpy are all that are neither in the lists below nor fastnn's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from fastnn import ops

LINALG = frozenset(
    """cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_power
    matrix_rank norm pinv qr solve solve_triangular svd""".split()
)
NN = frozenset(
    """adaptive_average_pool adaptive_max_pool average_pool batch_normalization
    binary_crossentropy categorical_crossentropy celu conv conv_transpose ctc_decode
    ctc_loss depth_to_space depthwise_conv dot_product_attention elu fold gelu glu
    hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh layer_normalization
    leaky_relu log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot
    polar psnr relu relu6 rms_normalization selu separable_conv sigmoid silu
    soft_shrink softmax softplus softsign space_to_depth
    sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus
    swish tanh_shrink threshold unfold""".split()
)
NOWHERE_ELSE = frozenset(
    """associative_scan cast cdist cond convert_to_numpy convert_to_tensor
    custom_gradient dtype erf erfc erfinv extract_sequences fft fft2 fori_loop
    gammainc ifft2 in_top_k irfft is_tensor istft logdet logsumexp map rearrange
    rfft rsqrt saturate_cast scan scatter scatter_update segment_max segment_min
    segment_prod segment_sum shape slice slice_update stft stop_gradient switch
    top_k unstack vectorized_map view_as_complex view_as_real while_loop""".split()
)


def members(names: Iterable[str]) -> dict[str, set[str]]:
    """Of all names of fastnn.ops those of each namespace."""
    every = set(names)
    rest = every - LINALG - NN - NOWHERE_ELSE
    return {"linalg": every & LINALG, "nn": every & NN, "numpy": rest}


def attach(
    module: str,
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of one of these namespaces."""
    space = vars(sys.modules[module])
    names = sorted(members(ops.__all__)[module.rpartition(".")[2]])

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return space.setdefault(name, getattr(ops, name))

    return __getattr__, lambda: sorted({*space, *names}), names
