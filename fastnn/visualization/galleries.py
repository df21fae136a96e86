# SPDX-License-Identifier: Apache-2.0
"""Many images in one figure of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn._registry import export
from fastnn.utils.plots import pyplot
from fastnn.visualization.drawing import (
    Color,
    channels_last,
    classes_of,
    draw_bounding_boxes,
    draw_segmentation_masks,
)


@export("keras.visualization")
def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: tuple[float, float] = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: float = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> Any:
    """Images side by side, with their labels and what was predicted for them.

    Args:
        images: (n, height, width, channels), or channels first.
        y_true, y_pred: (n,), classes.
        label_map: class -> name; needed with `y_true` or `y_pred`.
        rows, cols: of the gallery; by default about a square with all images.
        value_range: what is black and what is white.
        scale: inches of an image.
        path: file to write; nothing is shown then.
        show: call matplotlib's `show`; the default without `path`.
        transparent, dpi: of the file.
        legend_handles: patches of matplotlib for a legend.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        The figure where it is neither shown nor written, else None.

    Raises:
        ImportError: without matplotlib.
        ValueError: for another rank, `path` with `show`, labels without names.
    """
    name = "plot_image_gallery"
    plt = pyplot(name)
    if path is not None and show:
        raise ValueError(f"[{name}] takes either path= or show=True, received both.")
    if label_map is None and not (y_true is None and y_pred is None):
        raise ValueError(f"[{name}] y_true and y_pred need label_map={{class: name}}.")
    pixels = _shown(channels_last(name, images, data_format), value_range)
    titles = _titles(label_map or {}, y_true, y_pred)
    figure = _figure(plt, pixels, titles, rows, cols, scale)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    if path is not None:
        figure.savefig(
            path, pad_inches=0, bbox_inches="tight", transparent=transparent, dpi=dpi
        )
    elif show is not False:
        plt.show()
    else:
        return figure
    plt.close(figure)
    return None


def _figure(
    plt: Any,
    pixels: np.ndarray,
    titles: list[str],
    rows: int | None,
    cols: int | None,
    scale: float,
) -> Any:
    """As many images as there is room for, each with its title."""
    count = len(pixels)
    rows = rows or (-(-count // cols) if cols else int(np.ceil(count**0.5)))
    cols = cols or -(-count // rows)
    size = (cols * scale, rows * scale)
    figure, grid = plt.subplots(
        rows, cols, figsize=size, frameon=False, layout="tight", squeeze=False
    )
    for i, place in enumerate(grid.flat):
        place.axis("off")
        if i < count:
            place.imshow(pixels[i], cmap="gray" if pixels.shape[-1] == 1 else None)
            place.set_title(titles[i] if i < len(titles) else "", fontsize=8)
    return figure


def _shown(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Values of the range as bytes."""
    low, high = value_range
    scaled = (images.astype("float64") - low) * (255 / (high - low))
    return np.clip(scaled, 0, 255).astype("uint8")


def _titles(names: Mapping[int, str], y_true: Any, y_pred: Any) -> list[str]:
    given = [("Label", y_true), ("Pred", y_pred)]
    columns = [
        [f"{what}: {names.get(int(k), 'Unknown')}" for k in np.asarray(y).ravel()]
        for what, y in given
        if y is not None
    ]
    return ["  ".join(parts) for parts in zip(*columns, strict=True)]


@export("keras.visualization")
def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None,
    value_range: tuple[float, float] = (0, 255),
    true_color: Color = (0, 188, 212),
    pred_color: Color = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """`plot_image_gallery` of images with true and predicted boxes.

    Args:
        images, value_range: see `plot_image_gallery`.
        bounding_box_format, y_true, y_pred: see `draw_bounding_boxes`.
        true_color, pred_color: red, green, blue, 0 to 255.
        line_thickness, font_scale, text_thickness: see `draw_bounding_boxes`.
        class_mapping: label -> name, for all boxes.
        ground_truth_mapping, prediction_mapping: the same for one kind of them.
        legend: say which colour is which.
        legend_handles: patches of matplotlib in its place.
        rows, cols, data_format, **kwargs: see `plot_image_gallery`.

    Raises:
        ImportError: without matplotlib or Pillow.
        ValueError: for images of another rank, and `legend` with `legend_handles`.
    """
    name = "plot_bounding_box_gallery"
    pyplot(name)
    if legend and legend_handles:
        raise ValueError(f"[{name}] takes legend or legend_handles, received both.")
    shown = _shown(channels_last(name, images, data_format), value_range)
    kinds = [
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ]
    pen = (line_thickness, text_thickness, font_scale, "channels_last")
    for boxes, color, names in kinds:
        if boxes is not None:
            shown = draw_bounding_boxes(
                shown, boxes, bounding_box_format, names, color, *pen
            )
    if legend:
        legend_handles = _legend({"Ground Truth": true_color, "Prediction": pred_color})
    options = {"legend_handles": legend_handles, "rows": rows, "cols": cols} | kwargs
    return plot_image_gallery(shown, data_format="channels_last", **options)


def _legend(colors: Mapping[str, Color]) -> list[Any]:
    from matplotlib.patches import Patch

    found = []
    for name, (red, green, blue) in colors.items():
        ink = (red / 255, green / 255, blue / 255)
        found.append(Patch(color=ink, label=name))
    return found


@export("keras.visualization")
def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: tuple[float, float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Color] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """`plot_image_gallery` with a row for each image: itself, with its true classes,
    with the predicted ones.

    Args:
        images: (n, height, width, 3), or channels first; values 0 to 255.
        num_classes, color_mapping, blend, alpha, ignore_index: see
            `draw_segmentation_masks`.
        value_range: what is black and what is white.
        y_true, y_pred: masks.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: see `plot_image_gallery`.

    Raises:
        ImportError: without matplotlib.
        ValueError: for images or masks of another shape.
    """
    name = "plot_segmentation_mask_gallery"
    pixels = _shown(channels_last(name, images, data_format), value_range)
    columns = [pixels]
    for masks in (y_true, y_pred):
        if masks is None:
            continue
        classes = np.asarray(masks).astype("int32")
        found = classes_of(name, classes, pixels.shape[:3], data_format)
        drawn = draw_segmentation_masks(
            pixels,
            found,
            num_classes,
            color_mapping,
            alpha,
            blend,
            ignore_index,
            "channels_last",
        )
        columns.append(drawn)
    mixed = np.stack(columns, axis=1).reshape(-1, *pixels.shape[1:])
    options = {"rows": len(pixels), "cols": len(columns)} | kwargs
    return plot_image_gallery(mixed, data_format="channels_last", **options)
