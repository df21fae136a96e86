# SPDX-License-Identifier: Apache-2.0
"""Functions that build networks, with Keras's signatures, from lists of arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, NamedTuple

from fastnn.applications._checks import Options
from fastnn.applications._frame import Network
from fastnn.models import Model

USUAL = (
    "include_top weights input_tensor input_shape pooling classes "
    "classifier_activation name"
)


class _Argument(NamedTuple):
    """What an argument is wherever it occurs; texts of docstrings."""

    type: str
    default: Any
    text: str


_ARGUMENTS = {
    "include_top": _Argument("bool", True, "whether it has its classifier."),
    "weights": _Argument(
        "Any",
        "imagenet",
        """"imagenet" (downloaded once, checked by its hash), the path of a file
            of weights, or None: random.""",
    ),
    "input_tensor": _Argument(
        "Any", None, "a symbolic tensor to begin with, in place of a new Input."
    ),
    "input_shape": _Argument(
        "Any",
        None,
        """of one image, ({size}, {size}, 3) by default; at least {smallest} rows and
            columns, any number of them (None) without the classifier.""",
    ),
    "pooling": _Argument(
        "str | None",
        None,
        """without the classifier: "avg" or "max" over the places, or None for
            features (batch, rows, columns, channels).""",
    ),
    "classes": _Argument("int", 1000, "how many the classifier tells apart."),
    "classifier_activation": _Argument(
        "Any", "softmax", "its activation; None for logits."
    ),
    "name": _Argument("str | None", None, "of the model."),
    "alpha": _Argument("float", 1.0, "factor of the filters of each layer."),
    "depth_multiplier": _Argument(
        "int", 1, "channels that a depthwise convolution makes of each."
    ),
    "dropout": _Argument("float", 0.001, "rate before the classifier."),
    "dropout_rate": _Argument("float", 0.2, "rate before the classifier."),
    "minimalistic": _Argument(
        "bool", False, "no squeezing, no h-swish, 3x3 kernels only."
    ),
    "include_preprocessing": _Argument(
        "bool", True, "whether it takes images in [0, 255] and scales them itself."
    ),
}
_REST = """
    Returns:
        A Model from images to probabilities, or to features.

    Raises:
        ValueError: for arguments that do not go together, images that are too small.
        OSError: the trained weights could not be downloaded; it says where to put them.
    """


def builder(
    title: str,
    make: Callable[..., Model],
    paper: str,
    arguments: str = USUAL,
    name: str | None = None,
    size: int = 224,
    smallest: int = 32,
) -> Callable[..., Model]:
    """The function that builds a network.

    Args:
        title: its name.
        make: called with `Options` and, by keyword, those arguments that they lack.
        paper: where the network comes from, for the docstring.
        arguments: in Keras's order.
        name: default name of the models.
        size: usual rows and columns of images.
        smallest: the fewest.
    """
    signature = Signature(
        [
            Parameter(
                a,
                Parameter.POSITIONAL_OR_KEYWORD,
                default=name if a == "name" else _ARGUMENTS[a].default,
                annotation=_ARGUMENTS[a].type,
            )
            for a in arguments.split()
        ],
        return_annotation="Model",
    )

    def build(*args: Any, **kwargs: Any) -> Model:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{title}() {error}") from None
        given.apply_defaults()
        rest = dict(given.arguments)
        shared = {f: rest.pop(f) for f in Options._fields if f in rest}
        return make(Options(**shared), **rest)

    lines = [f"        {a}: {_ARGUMENTS[a].text}" for a in arguments.split()]
    told = "\n".join(lines).format(size=size, smallest=smallest)
    build.__doc__ = f"{title}, {paper}\n\n    Args:\n{told}\n{_REST}"
    build.__signature__ = signature  # type: ignore[attr-defined]
    build.__name__ = build.__qualname__ = title
    build.__module__ = sys._getframe(1).f_globals["__name__"]
    return build


def usual(network: Network, paper: str, **more: Any) -> Callable[..., Model]:
    """`builder` of what the arguments do not change."""
    more = {"name": network.title.lower(), **more}
    more |= {"size": network.size, "smallest": network.smallest}
    build = builder(network.title, network.build, paper, **more)
    build.__module__ = sys._getframe(1).f_globals["__name__"]
    return build
