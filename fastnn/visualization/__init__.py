# SPDX-License-Identifier: Apache-2.0
"""Images with what is known of them: boxes, masks, labels.

Images are batches (n, height, width, channels) of values 0 to 255, or channels first.
Pillow draws, matplotlib shows.
"""

from __future__ import annotations

from fastnn.visualization.drawing import draw_bounding_boxes as draw_bounding_boxes
from fastnn.visualization.drawing import (
    draw_segmentation_masks as draw_segmentation_masks,
)
from fastnn.visualization.galleries import (
    plot_bounding_box_gallery as plot_bounding_box_gallery,
)
from fastnn.visualization.galleries import plot_image_gallery as plot_image_gallery
from fastnn.visualization.galleries import (
    plot_segmentation_mask_gallery as plot_segmentation_mask_gallery,
)
