# SPDX-License-Identifier: Apache-2.0
"""Pictures of models as SVG, without any other program."""

from __future__ import annotations

from html import escape

from fastnn.utils.drawing.boxes import Box, Cell, Frame
from fastnn.utils.drawing.placement import Placement, Point, place

_TITLE, _BODY = 16.0, 14.0  # sizes of letters
_PAD = 10.0
_BORDER = 12.0
_DIRECTIONS = ("TB", "BT", "LR", "RL")
# Widths of Helvetica's letters in thousandths of its size (Adobe's); others: 556.
_WIDTHS = {
    letter: width
    for letters, width in (
        ("ijl'", 222),
        ("|", 260),
        (" !,./:;I[]ft\\", 278),
        ("()-r", 333),
        ("ckJsvxyz", 500),
        ("+<=>~", 584),
        ("FTZ", 611),
        ("ABEKPSVXY&", 667),
        ("CDHNRUw", 722),
        ("GOQ", 778),
        ("Mm", 833),
        ("W", 944),
    )
    for letter in letters
}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a line is."""
    thousandths = sum(_WIDTHS.get(letter, 556) for letter in text)
    return thousandths * size / 1000 * (1.07 if bold else 1.0)


def _cell_width(cell: Cell, size: float) -> float:
    return (
        text_width(cell.text, size) + text_width(cell.bold, size, bold=True) + 2 * _PAD
    )


def _row_height(size: float) -> float:
    return size + 2 * _PAD


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a box with its text."""
    rows = [sum(_cell_width(cell, _BODY) for cell in row) for row in box.rows]
    width = max([_cell_width(box.title, _TITLE), *rows])
    return width, _row_height(_TITLE) + len(box.rows) * _row_height(_BODY)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rectangle(x: float, y: float, w: float, h: float, style: str) -> str:
    numbers = (_number(v) for v in (x, y, w, h))
    return '<rect x="{}" y="{}" width="{}" height="{}" {}/>'.format(*numbers, style)


def _text(text: str, x: float, y: float, size: float, bold: bool, style: str) -> str:
    # Squeezed or stretched to the expected width, whatever font there is.
    width = text_width(text.strip(), size, bold)
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}"{weight} '
        f'textLength="{_number(width)}" lengthAdjust="spacingAndGlyphs"{style}>'
        f"{escape(text.strip())}</text>"
    )


def _label(cell: Cell, x: float, y: float, size: float, dark: bool) -> list[str]:
    """The text of a cell around x; a title has its bold part first."""
    parts = [(cell.text, False), (cell.bold, True)]
    if size == _TITLE:
        parts.reverse()
    x -= sum(text_width(text, size, bold) for text, bold in parts) / 2
    style = ' fill="white"' if dark else ""
    lines = []
    for text, bold in parts:
        if text:
            indent = text_width(" " * (len(text) - len(text.lstrip())), size)
            lines.append(_text(text, x + indent, y, size, bold, style))
        x += text_width(text, size, bold)
    return lines


def _draw_box(box: Box, x: float, y: float, w: float, h: float) -> list[str]:
    parts = [_rectangle(x, y, w, h, 'fill="black" stroke="black"')]
    top = y + _row_height(_TITLE)
    parts += _label(box.title, x + w / 2, top - _PAD - 2, _TITLE, True)
    for row in box.rows:
        wanted = [_cell_width(cell, _BODY) for cell in row]
        left, scale = x, w / sum(wanted)
        for cell, width in zip(row, wanted, strict=True):
            style = f'fill="{cell.fill}" stroke="black"'
            height = _row_height(_BODY)
            parts.append(_rectangle(left, top, width * scale, height, style))
            middle = left + width * scale / 2
            dark = cell.fill != "white"
            parts += _label(cell, middle, top + height - _PAD - 2, _BODY, dark)
            left += width * scale
        top += _row_height(_BODY)
    return parts


def _path(points: list[Point], splines: str) -> str:
    if splines in ("line", "polyline") and len(points) > 2:
        middle = points[1:-1] if splines == "polyline" else []
        points = [points[0], *middle, points[-1]]
    if splines in ("curved", "spline") and len(points) > 2:
        text = "M{} {}".format(*map(_number, points[0]))
        for a, b in zip(points[1:-1:2], points[2::2], strict=False):
            text += " C{} {} {} {} {} {}".format(
                *map(_number, (*a, *b, *_next_middle(points, b)))
            )
        return text
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _next_middle(points: list[Point], corner: Point) -> Point:
    """Where a curve that bends towards a corner ends: half-way to the next bend."""
    after = points[points.index(corner) + 1]
    if after is points[-1]:
        return after
    return (corner[0] + after[0]) / 2, (corner[1] + after[1]) / 2


def _turned(placed: Placement, rankdir: str) -> Placement:
    """What was placed from top to bottom, in another direction."""
    width, height = placed.size
    turned = Placement()
    flat = rankdir in ("LR", "RL")
    back = rankdir in ("BT", "RL")
    turned.size = (height, width) if flat else (width, height)

    def point(p: Point) -> Point:
        x, y = p[0], height - p[1] if back else p[1]
        return (y, x) if flat else (x, y)

    def rectangle(r: tuple[float, ...]) -> tuple[float, float, float, float]:
        x, y, w, h = r
        y = height - y - h if back else y
        return (y, x, h, w) if flat else (x, y, w, h)

    turned.boxes = {box: rectangle(r) for box, r in placed.boxes.items()}
    turned.frames = [(name, rectangle(r)) for name, r in placed.frames]
    turned.arrows = [[point(p) for p in arrow] for arrow in placed.arrows]
    return turned


def svg(frame: Frame, rankdir: str = "TB", splines: str = "ortho") -> str:
    """The picture as the text of an SVG file.

    Args:
        frame: what to draw.
        rankdir: direction of the arrows, "TB", "BT", "LR" or "RL".
        splines: "ortho", "polyline", "line", "spline" or "curved".
    """
    if rankdir not in _DIRECTIONS:
        raise ValueError(
            f"[plot_model] rankdir must be one of {_DIRECTIONS}, received {rankdir!r}."
        )
    sizes = {box: box_size(box) for box in frame.boxes()}
    if rankdir in ("LR", "RL"):
        sizes = {box: (h, w) for box, (w, h) in sizes.items()}
    placed = _turned(place(frame, sizes), rankdir)
    width, height = (size + 2 * _BORDER + 4 for size in placed.size)
    view = f"{_number(width)} {_number(height)}"
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {view}" '
        f'width="{_number(width)}" height="{_number(height)}" '
        'font-family="Helvetica, Arial, sans-serif">',
        f"<title>{escape(frame.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="10" refY="5" '
        'markerWidth="5" markerHeight="5" orient="auto">'
        '<path d="M0 0 L10 5 L0 10 z"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<g transform="translate({_number(_BORDER)} {_number(_BORDER)})">',
    ]
    for name, (x, y, w, h) in placed.frames:
        style = 'fill="none" stroke="gray" stroke-dasharray="6 4"'
        parts.append(_rectangle(x, y, w, h, style))
        parts.append(
            f'<text x="{_number(x + 8)}" y="{_number(y + 18)}" '
            f'font-size="{_number(_BODY)}">{escape(name)}</text>'
        )
    parts += [
        f'<path d="{_path(arrow, splines)}" fill="none" stroke="black" '
        'stroke-width="2" marker-end="url(#tip)"/>'
        for arrow in placed.arrows
    ]
    for box, rectangle in placed.boxes.items():
        parts += _draw_box(box, *rectangle)
    return "\n".join([*parts, "</g>", "</svg>", ""])
