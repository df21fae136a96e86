# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.ops.image.colors import hsv_to_rgb as hsv_to_rgb
from fastnn.ops.image.colors import rgb_to_grayscale as rgb_to_grayscale
from fastnn.ops.image.colors import rgb_to_hsv as rgb_to_hsv
from fastnn.ops.image.filters import gaussian_blur as gaussian_blur
from fastnn.ops.image.filters import sobel_edges as sobel_edges
from fastnn.ops.image.filters import ssim as ssim
from fastnn.ops.image.patches import extract_patches as extract_patches
from fastnn.ops.image.patches import extract_patches_3d as extract_patches_3d
from fastnn.ops.image.patches import reconstruct_patches as reconstruct_patches
from fastnn.ops.image.sampling import map_coordinates as map_coordinates
from fastnn.ops.image.scaling import scale_and_translate as scale_and_translate
from fastnn.ops.image.sizes import crop_images as crop_images
from fastnn.ops.image.sizes import pad_images as pad_images
from fastnn.ops.image.sizes import resize as resize
from fastnn.ops.image.transforms import affine_transform as affine_transform
from fastnn.ops.image.transforms import elastic_transform as elastic_transform
from fastnn.ops.image.transforms import perspective_transform as perspective_transform

__all__ = [
    "affine_transform",
    "crop_images",
    "elastic_transform",
    "extract_patches",
    "extract_patches_3d",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "reconstruct_patches",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "sobel_edges",
    "ssim",
]
