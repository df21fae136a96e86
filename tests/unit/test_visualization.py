# SPDX-License-Identifier: Apache-2.0
"""Boxes, masks and galleries: which pixels change, and what a figure shows."""

from __future__ import annotations

import builtins
import importlib

import numpy as np
import pytest

from fastnn import keras
from fastnn.errors import ShapeError
from fastnn.utils.bounding_boxes import convert_format

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("agg")
pytest.importorskip("PIL")

visual = keras.visualization
RED = (255, 0, 0)
BOXES = np.array([[[10, 12, 30, 28.0], [4, 40, 20, 44]]])
LABELS = np.array([[1, -1]])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def blank(channels: int = 3) -> np.ndarray:
    return np.zeros((1, 60, 50, channels), "uint8")


def given(**more) -> dict:
    return {"boxes": BOXES, "labels": LABELS, **more}


def frame(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """Where a line of one pixel around a box lies."""
    wanted = np.zeros((60, 50), bool)
    wanted[[y1, y2], x1 : x2 + 1] = True
    wanted[y1 : y2 + 1, [x1, x2]] = True
    return wanted


def draw(**options) -> np.ndarray:
    options = {"images": blank(), "bounding_boxes": given()} | options
    arguments = {"bounding_box_format": "xyxy", "color": RED} | options
    return visual.draw_bounding_boxes(**arguments)


@pytest.mark.parametrize("target", ["xyxy", "yxyx", "xywh", "rel_xyxy", "center_xywh"])
def test_a_thin_box_is_its_outline_in_every_format(target) -> None:
    boxes = convert_format(BOXES, "xyxy", target, 60, 50)
    # Half a pixel more: sizes of relative boxes are rounded down.
    boxes = boxes.numpy() + (1e-4 if target.startswith("rel") else 0)
    found = draw(
        bounding_boxes=given(boxes=boxes), bounding_box_format=target, line_thickness=1
    )
    wanted = frame(10, 12, 30, 28)[None, ..., None] * np.array(RED)
    np.testing.assert_array_equal(found, wanted)


def test_a_thick_box_lies_on_both_sides_of_the_thin_one() -> None:
    found = draw(line_thickness=3)[0, ..., 0] > 0
    rows = np.flatnonzero(found[:, 20])
    columns = np.flatnonzero(found[20])
    assert rows.tolist() == [11, 12, 13, 27, 28, 29]
    assert columns.tolist() == [9, 10, 11, 29, 30, 31]


def test_names_stand_above_the_box_or_in_it_and_only_for_known_labels() -> None:
    plain = draw()
    assert (draw(class_mapping={0: "cat"}) == plain).all()
    options = {"class_mapping": {1: "dog"}, "font_scale": 0.2}
    named = draw(**options)
    rows = np.flatnonzero((named != plain).any((0, 2, 3)))
    assert rows.size and rows.max() < 12
    high = given(boxes=BOXES - [0, 11, 0, 0])  # no room above
    inside = draw(bounding_boxes=high, **options) != draw(bounding_boxes=high)
    rows = np.flatnonzero(inside.any((0, 2, 3)))
    assert rows.size and rows.min() > 1
    sure = draw(bounding_boxes=given(confidences=np.array([[0.5, 0.1]])), **options)
    assert (sure != named).any()
    bold = draw(text_thickness=3, **options)
    assert (bold > 0).sum() > (named > 0).sum()


def test_images_of_other_layouts_and_dtypes() -> None:
    plain = draw()
    first = draw(images=blank().transpose(0, 3, 1, 2), data_format="channels_first")
    np.testing.assert_array_equal(first, plain.transpose(0, 3, 1, 2))
    grey = draw(images=blank(1))
    np.testing.assert_array_equal(grey[..., 0] > 0, plain[..., 0] > 0)
    assert grey.max() == 76  # 0.299 * 255
    alpha = draw(images=blank(4))
    np.testing.assert_array_equal(alpha[..., :3], plain)
    noise = np.random.default_rng(0).random((1, 60, 50, 3))
    whole = draw(images=(noise * 255).astype("uint8"))
    np.testing.assert_array_equal(draw(images=noise), whole)
    tensors = given(boxes=keras.ops.convert_to_tensor(BOXES))
    found = draw(images=keras.ops.convert_to_tensor(blank()), bounding_boxes=tensors)
    np.testing.assert_array_equal(found, plain)


IMAGES = np.random.default_rng(1).integers(0, 256, (2, 4, 5, 3)).astype("uint8")
MASKS = np.random.default_rng(2).integers(0, 4, (2, 4, 5, 1))


@pytest.mark.parametrize("blend", [True, False])
@pytest.mark.parametrize("ignored", [-1, 2])
@pytest.mark.parametrize("colors", [None, {k: (9 * k, 80, k) for k in range(4)}])
def test_masks_pixel_by_pixel(blend, ignored, colors) -> None:
    found = visual.draw_segmentation_masks(
        IMAGES, MASKS, 4, colors, 0.6, blend, ignored
    )
    step = [2**25 - 1, 2**15 - 1, 2**21 - 1]
    for place in np.ndindex(2, 4, 5):
        kind, pixel = int(MASKS[place][0]), IMAGES[place].astype("float32")
        color = colors[kind] if colors else [kind * s % 255 for s in step]
        color = np.array(color, "float32")
        if blend and kind != ignored:
            color = np.floor(pixel * np.float32(0.4) + color * np.float32(0.6))
        elif blend:
            color = pixel
        np.testing.assert_array_equal(found[place], color)
    assert found.dtype == ("uint8" if blend else "float32")


def test_masks_may_lack_their_channels_and_come_channels_first() -> None:
    wanted = visual.draw_segmentation_masks(IMAGES, MASKS)
    flat = visual.draw_segmentation_masks(IMAGES, MASKS[..., 0])
    np.testing.assert_array_equal(flat, wanted)
    first = visual.draw_segmentation_masks(
        IMAGES.transpose(0, 3, 1, 2),
        MASKS.transpose(0, 3, 1, 2),
        data_format="channels_first",
    )
    np.testing.assert_array_equal(first, wanted.transpose(0, 3, 1, 2))
    again = visual.draw_segmentation_masks(IMAGES, MASKS, num_classes=4)
    np.testing.assert_array_equal(again, wanted)  # the largest class counts as one


def pixels(figure) -> list[np.ndarray]:
    return [np.asarray(a.images[0].get_array()) for a in figure.axes if a.images]


def test_a_gallery_shows_all_images_with_titles() -> None:
    images = np.arange(5 * 2 * 3 * 3).reshape(5, 2, 3, 3) / 90
    figure = visual.plot_image_gallery(
        images,
        y_true=[0, 1, 0, 1, 2],
        y_pred=[0, 0, 0, 1, 1],
        label_map={0: "cat", 1: "dog"},
        value_range=(0, 1),
        show=False,
    )
    assert len(figure.axes) == 6 and len(pixels(figure)) == 5
    np.testing.assert_array_equal(pixels(figure)[3], (images[3] * 255).astype("uint8"))
    titles = [a.get_title() for a in figure.axes]
    assert titles[1] == "Label: dog  Pred: cat"
    assert titles[4:] == ["Label: Unknown  Pred: dog", ""]
    wide = visual.plot_image_gallery(images, rows=1, cols=2, show=False)
    assert len(wide.axes) == 2


def test_a_gallery_is_written_or_shown_and_closed(tmp_path, monkeypatch) -> None:
    path = tmp_path / "gallery.png"
    assert visual.plot_image_gallery(IMAGES, path=path) is None
    assert path.read_bytes().startswith(b"\x89PNG")
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    assert visual.plot_image_gallery(IMAGES) is None
    assert len(shown) == 1 and plt.get_fignums() == []


def test_a_gallery_of_boxes() -> None:
    figure = visual.plot_bounding_box_gallery(
        blank() / 1.0,
        "xyxy",
        y_true=given(),
        y_pred=given(boxes=BOXES + 5, labels=np.array([[0, -1]])),
        value_range=(0, 1),
        line_thickness=1,
        legend=True,
        show=False,
    )
    (image,) = pixels(figure)
    assert image[12, 10].tolist() == [0, 188, 212]
    assert image[17, 15].tolist() == [255, 235, 59]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["Ground Truth", "Prediction"]


def test_a_gallery_of_masks() -> None:
    figure = visual.plot_segmentation_mask_gallery(
        IMAGES, 4, y_true=MASKS, y_pred=MASKS[::-1], show=False
    )
    true = visual.draw_segmentation_masks(IMAGES, MASKS, 4)
    wrong = visual.draw_segmentation_masks(IMAGES, MASKS[::-1], 4)
    wanted = [a[i] for i in range(2) for a in (IMAGES, true, wrong)]
    np.testing.assert_array_equal(pixels(figure), wanted)


MISTAKES = {
    "one image": (
        lambda: visual.plot_image_gallery(IMAGES[0]),
        ShapeError,
        r"received shape \(4, 5, 3\); write images\[None\]",
    ),
    "boxes that are no dict": (
        lambda: draw(bounding_boxes=BOXES),
        TypeError,
        "a dict with 'boxes' and 'labels', received ndarray",
    ),
    "boxes without labels": (
        lambda: draw(bounding_boxes={"boxes": BOXES}),
        ValueError,
        r"needs the keys 'boxes' and 'labels', received \['boxes'\]",
    ),
    "masks of floats": (
        lambda: visual.draw_segmentation_masks(IMAGES, MASKS / 2),
        TypeError,
        r"received float64: write masks.astype\('int32'\)",
    ),
    "masks of another size": (
        lambda: visual.draw_segmentation_masks(IMAGES, MASKS[:, 1:]),
        ShapeError,
        r"the shape \(2, 4, 5\) of the images .* received \(2, 3, 5, 1\)",
    ),
    "a missing colour": (
        lambda: visual.draw_segmentation_masks(IMAGES, MASKS, 4, {0: RED, 1: RED}),
        ValueError,
        "no colour for class 2 of 4",
    ),
    "labels without names": (
        lambda: visual.plot_image_gallery(IMAGES, y_true=[0, 1]),
        ValueError,
        "need label_map",
    ),
    "a file that is shown": (
        lambda: visual.plot_image_gallery(IMAGES, path="a.png", show=True),
        ValueError,
        "either path= or show=True",
    ),
    "two legends": (
        lambda: visual.plot_bounding_box_gallery(
            IMAGES, "xyxy", legend=True, legend_handles=[1]
        ),
        ValueError,
        "legend or legend_handles",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name) -> None:
    write, kind, message = MISTAKES[name]
    with pytest.raises(kind, match=message):
        write()


@pytest.mark.parametrize(
    ("write", "package", "extra"),
    [
        (lambda: visual.plot_image_gallery(IMAGES), "matplotlib", "plot"),
        (draw, "PIL", "images"),
    ],
)
def test_what_is_not_installed_is_named(monkeypatch, write, package, extra) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(package):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"fastnn-dl\[{extra}\]"):
        write()


def test_a_script_may_import_the_module() -> None:
    module = importlib.import_module("fastnn.keras.visualization")
    assert module.plot_image_gallery is visual.plot_image_gallery
