# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's names for functions of `fastnn.ops` that take the same arguments."""

FUNCTIONS = {
    name: name
    for name in """abs add broadcast_to cast ceil cos cosh divide einsum
    equal erf exp expand_dims expm1 eye floor greater greater_equal isfinite isinf isnan
    less less_equal linspace log1p logical_and logical_not logical_or logical_xor
    maximum minimum mod multiply negative norm not_equal one_hot ones ones_like
    repeat reshape roll round rsqrt searchsorted sigmoid sign sin sinh softplus split
    sqrt square squared_difference squeeze stack subtract tan tanh tensordot tile
    transpose unstack zeros zeros_like""".split()
}
# Of these `tf` refuses tensors of two dtypes; `fastnn.ops` promotes as Keras does.
STRICT = frozenset(
    """add atan2 concat divide equal floordiv floormod greater greater_equal less
    less_equal maximum minimum mod multiply not_equal pow squared_difference stack
    subtract truediv""".split()
)
FUNCTIONS |= {
    "acos": "arccos",
    "asin": "arcsin",
    "atan": "arctan",
    "atan2": "arctan2",
    "clip_by_value": "clip",
    "concat": "concatenate",
    "cond": "cond",
    "fill": "full",
    "floordiv": "floor_divide",
    "floormod": "mod",
    "identity": "copy",
    "is_tensor": "is_tensor",
    "pow": "power",
    "range": "arange",
    "reciprocal": "reciprocal",
    "reduce_all": "all",
    "reduce_any": "any",
    "reduce_logsumexp": "logsumexp",
    "reduce_max": "max",
    "reduce_mean": "mean",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_std": "std",
    "reduce_sum": "sum",
    "reduce_variance": "var",
    "switch_case": "switch",
    "truediv": "true_divide",
    "vectorized_map": "vectorized_map",
    "while_loop": "while_loop",
}
