# SPDX-License-Identifier: Apache-2.0
"""`keras.ops.image`: (batch, height, width, channels), or one without a batch."""

from fastnn.ops.image.colors import *  # noqa: F403  (its __all__ is explicit)
from fastnn.ops.image.colors import __all__ as _colors
from fastnn.ops.image.filters import *  # noqa: F403
from fastnn.ops.image.filters import __all__ as _filters
from fastnn.ops.image.patches import *  # noqa: F403
from fastnn.ops.image.patches import __all__ as _patches
from fastnn.ops.image.sampling import *  # noqa: F403
from fastnn.ops.image.sampling import __all__ as _sampling
from fastnn.ops.image.scaling import *  # noqa: F403
from fastnn.ops.image.scaling import __all__ as _scaling
from fastnn.ops.image.sizes import *  # noqa: F403
from fastnn.ops.image.sizes import __all__ as _sizes
from fastnn.ops.image.transforms import *  # noqa: F403
from fastnn.ops.image.transforms import __all__ as _transforms

__all__ = [
    *_colors,
    *_filters,
    *_patches,
    *_sampling,
    *_scaling,
    *_sizes,
    *_transforms,
]
