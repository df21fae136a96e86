# SPDX-License-Identifier: Apache-2.0
"""Functions of fastnn.ops as operations of a functional model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastnn import ops, tree
from fastnn._allowance import states
from fastnn._names import auto_name
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import SerializationError
from fastnn.serialization import deserialize_keras_object
from fastnn.symbolic.base import Operation
from fastnn.symbolic.infer import infer
from fastnn.symbolic.node import record
from fastnn.symbolic.tensor import KerasTensor, symbolic_leaves

# Keras's module of each operation class is `numpy` but for these.
_MODULES = {
    "core": """cast convert_to_tensor scatter scatter_update shape slice slice_update
        stop_gradient unstack""",
    "einops": "rearrange",
    "image": """affine_transform crop_images elastic_transform extract_patches
        gaussian_blur hsv_to_rgb map_coordinates pad_images perspective_transform resize
        rgb_to_grayscale rgb_to_hsv scale_and_translate""",
    "linalg": """cholesky cholesky_inverse det eig eigh inv lstsq lu_factor matrix_rank
        norm pinv qr solve solve_triangular svd""",
    "math": """erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft
        logdet logsumexp rfft rsqrt segment_max segment_min segment_prod segment_sum
        stft top_k""",
    "nn": """adaptive_average_pool adaptive_max_pool average_pool batch_normalization
        binary_crossentropy categorical_crossentropy celu conv conv_transpose ctc_decode
        ctc_loss depth_to_space depthwise_conv dot_product_attention elu fold gelu glu
        hard_shrink hard_sigmoid hard_silu hard_tanh layer_normalization leaky_relu
        log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot psnr relu
        relu6 rms_normalization selu separable_conv sigmoid silu soft_shrink softmax
        softplus softsign space_to_depth sparse_categorical_crossentropy sparse_plus
        sparse_sigmoid sparsemax squareplus tanh_shrink threshold unfold""",
}
_MODULE_OF = {name: m for m, names in _MODULES.items() for name in names.split()}
# Functions that are other names of Keras's operations.
_ALIASES = {"abs": "absolute", "conj": "conjugate", "bitwise_invert": "bitwise_not"}
# Class names that are not the function's in camel case.
_CLASSES = {
    "allclose": "AllClose",
    "batch_normalization": "BatchNorm",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "fft": "FFT",
    "fft2": "FFT2",
    "hsv_to_rgb": "HSVToRGB",
    "ifft2": "IFFT2",
    "irfft": "IRFFT",
    "isin": "IsIn",
    "istft": "ISTFT",
    "layer_normalization": "LayerNorm",
    "psnr": "PSNR",
    "rfft": "RFFT",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
    "stft": "STFT",
    "svd": "SVD",
}
# Parameters that Keras's operations take in the call; the others are their options.
_OPERANDS = frozenset(
    """a b abs_ angle arrays atol beta bias bins choicelist condition condlist
    coordinates data default depthwise_kernel end_points fill_value gamma image1 image2
    images indices inputs kernel key mask mean offset operands output output_length
    pointwise_kernel predictions q query rtol scale segment_ids sequence_lengths
    sorted_sequence start_indices start_points target target_length targets transform
    translation updates value values variance weights x x1 x2 xs y""".split()
)
# Options of some, operands of others: what is no tensor is an option there.
_EITHER = frozenset({"b", "bins", "offset", "weights"})


def class_name(name: str) -> str:
    """`"expand_dims"` -> `"ExpandDims"`, as Keras calls the operation."""
    parts = (part[:1].upper() + part[1:] for part in name.split("_"))
    return _CLASSES.get(name) or "".join(parts)


class FunctionOperation(Operation):
    """A function of fastnn.ops that a functional model calls.

    Args:
        function: the function.
        name: unique name, by default the function's, numbered.
        options: arguments of every call.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.function = function
        super().__init__(name or auto_name(self.kind))
        self.options = options or {}

    @property
    def kind(self) -> str:
        """The function's name, as Keras names the operation."""
        own = self.function.__name__
        return _ALIASES.get(own, own)

    @property
    def _class_name(self) -> str:
        """The name of Keras's class for it."""
        return class_name(self.kind)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **{**self.options, **kwargs})

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Operation {self.function.__name__} name={self.name}>"

    # -- config ----------------------------------------------------------------------

    def split(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
        """(operands in order, operands by name, options) of a call, as Keras has it."""
        bound = inspect.signature(self.function).bind(*args, **kwargs)
        bound.apply_defaults()
        operands: list[Any] = []
        named: dict[str, Any] = {}
        options: dict[str, Any] = {}
        for i, (name, value) in enumerate(bound.arguments.items()):
            if i == 0:
                operands.append(value)
            elif name not in _OPERANDS or (name in _EITHER and _is_plain(value)):
                options[name] = value
            elif options:
                named[name] = value
            else:
                operands.append(value)
        return operands, named, options

    def config_of_call(self, options: dict[str, Any]) -> dict[str, Any]:
        """The operation in Keras's format."""
        module = f"keras.src.ops.{_MODULE_OF.get(self.kind, 'numpy')}"
        return {
            "module": module,
            "class_name": self._class_name,
            "config": {"name": self.name, **options},
            "registered_name": self._class_name,
        }


def _is_plain(value: Any) -> bool:
    return not any(
        isinstance(leaf, (KerasTensor, Tensor)) or hasattr(leaf, "__array__")
        for leaf in tree.flatten(value)
    )


# Arguments that say how much an op makes, before it has seen any numbers; the most that
# a file may ask for. At these, memory is 16 MiB and time 0.1 s.
_SIZES = {
    **dict.fromkeys(("bins", "num"), 1 << 20),
    **dict.fromkeys(("fft_length", "sequence_length"), 1 << 16),
    **dict.fromkeys(("output_size", "padding", "indices_or_sections"), 1 << 12),
    **dict.fromkeys(("filter_size", "kernel_size", "sigma"), 1 << 8),
}


def check_sizes(
    operation: FunctionOperation, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """Refuses a call from a file that would take long, or much memory, to describe.

    Raises:
        SerializationError: for sizes above `_SIZES`, while a file is being loaded.
    """
    if states.left is None:
        return
    signature = inspect.signature(operation.function)
    given = signature.bind_partial(*args, **{**operation.options, **kwargs}).arguments
    for name in given.keys() & _SIZES.keys():
        for value in tree.flatten(given[name]):
            if isinstance(value, (int, float)) and abs(value) > _SIZES[name]:
                raise SerializationError(
                    f"[from_config] {operation.name} with {name}={value}; a file may "
                    f"ask for {_SIZES[name]}."
                )


def is_operation_config(config: dict[str, Any]) -> bool:
    """Whether a config describes an operation and no layer."""
    return str(config.get("module")).startswith("keras.src.ops.")


def operation_from_config(config: dict[str, Any]) -> FunctionOperation:
    """The operation that `FunctionOperation.config_of_call`, or Keras, described."""
    wanted = config["class_name"]
    spaces = (ops, ops.image)
    names = ((space, name) for space in spaces for name in space.__all__)
    found = next((place for place in names if class_name(place[1]) == wanted), None)
    if found is None:
        raise SerializationError(
            f"[from_config] fastnn.ops has no function for Keras's {wanted!r}."
        )
    options = deserialize_keras_object(dict(config["config"]))
    own_name = options.pop("name", None)
    function = getattr(*found)
    known = inspect.signature(function).parameters
    options = {key: value for key, value in options.items() if key in known}
    return FunctionOperation(function, own_name, options)


def call_symbolically(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What `function`, one of fastnn.ops, gives for symbolic tensors.

    Raises:
        SymbolicTensorError: the one in flight, when no argument is symbolic.
    """
    if not symbolic_leaves(args, kwargs):
        raise
    if function is ops.convert_to_tensor:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        dtype = given.get("dtype")
        x = given["x"]
        return x if dtype in (None, x.dtype) else ops.cast(x, dtype)
    outputs = infer(function, args, kwargs)
    if not symbolic_leaves(outputs):
        return outputs  # a shape, a number of axes
    return record(FunctionOperation(function), args, kwargs, outputs)
