# SPDX-License-Identifier: Apache-2.0
"""Operations with Keras 3's names, signatures and promotion.

Integers and Python numbers promote as `keras.backend.result_type` says. The strict
functions that gradients and layers are made of are `fastnn.autodiff.raw`.
"""

from fastnn.autodiff import raw as _raw  # noqa: F401  (for layers, losses, optimizers)
from fastnn.autodiff.forward import jvp as jvp
from fastnn.autodiff.grad import custom_gradient as custom_gradient
from fastnn.autodiff.grad import stop_gradient as stop_gradient
from fastnn.ops import _namespaces, _symbolic
from fastnn.ops import image as image
from fastnn.ops import linalg as linalg
from fastnn.ops import nn as nn
from fastnn.ops import numpy as numpy
from fastnn.ops.arrays import *  # noqa: F403  (its __all__ is explicit)
from fastnn.ops.arrays import __all__ as _arrays
from fastnn.ops.attention import *  # noqa: F403
from fastnn.ops.attention import __all__ as _attention
from fastnn.ops.control import *  # noqa: F403
from fastnn.ops.control import __all__ as _control
from fastnn.ops.conv import *  # noqa: F403
from fastnn.ops.conv import __all__ as _conv
from fastnn.ops.crossentropy import *  # noqa: F403
from fastnn.ops.crossentropy import __all__ as _crossentropy
from fastnn.ops.ctc import *  # noqa: F403
from fastnn.ops.ctc import __all__ as _ctc
from fastnn.ops.depthwise import *  # noqa: F403
from fastnn.ops.depthwise import __all__ as _depthwise
from fastnn.ops.einops import *  # noqa: F403
from fastnn.ops.einops import __all__ as _einops
from fastnn.ops.elementwise import *  # noqa: F403
from fastnn.ops.elementwise import __all__ as _elementwise
from fastnn.ops.indexing import *  # noqa: F403
from fastnn.ops.indexing import __all__ as _indexing
from fastnn.ops.joining import *  # noqa: F403
from fastnn.ops.joining import __all__ as _joining
from fastnn.ops.linalg import *  # noqa: F403
from fastnn.ops.linalg import __all__ as _linalg
from fastnn.ops.math import *  # noqa: F403
from fastnn.ops.math import __all__ as _math
from fastnn.ops.nn import *  # noqa: F403
from fastnn.ops.nn import __all__ as _nn
from fastnn.ops.normalization import *  # noqa: F403
from fastnn.ops.normalization import __all__ as _normalization
from fastnn.ops.order import *  # noqa: F403
from fastnn.ops.order import __all__ as _order
from fastnn.ops.padding import *  # noqa: F403
from fastnn.ops.padding import __all__ as _padding
from fastnn.ops.patches import *  # noqa: F403
from fastnn.ops.patches import __all__ as _patches
from fastnn.ops.pooling import *  # noqa: F403
from fastnn.ops.pooling import __all__ as _pooling
from fastnn.ops.products import *  # noqa: F403
from fastnn.ops.products import __all__ as _products
from fastnn.ops.sorting import *  # noqa: F403
from fastnn.ops.sorting import __all__ as _sorting
from fastnn.ops.spacing import *  # noqa: F403
from fastnn.ops.spacing import __all__ as _spacing
from fastnn.ops.spectral import *  # noqa: F403
from fastnn.ops.spectral import __all__ as _spectral
from fastnn.ops.statistics import *  # noqa: F403
from fastnn.ops.statistics import __all__ as _statistics
from fastnn.ops.vectorizing import *  # noqa: F403
from fastnn.ops.vectorizing import __all__ as _vectorizing

__all__ = [
    *_arrays,
    *_control,
    *_attention,
    *_conv,
    *_crossentropy,
    *_ctc,
    *_depthwise,
    *_einops,
    *_elementwise,
    *_indexing,
    *_linalg,
    *_math,
    *_nn,
    *_normalization,
    *_padding,
    *_patches,
    *_pooling,
    *_order,
    *_sorting,
    *_products,
    *_joining,
    *_spacing,
    *_spectral,
    *_statistics,
    *_vectorizing,
    "custom_gradient",
    "jvp",
    "stop_gradient",
]

_symbolic.make_aware(globals(), __all__)
_symbolic.make_aware(vars(image), image.__all__)
_namespaces.fill(
    {"linalg": linalg, "nn": nn, "numpy": numpy},
    {name: globals()[name] for name in __all__},
)
