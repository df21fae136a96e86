# SPDX-License-Identifier: Apache-2.0
"""Pictures of models in the DOT language of Graphviz, as Keras writes them."""

from __future__ import annotations

from html import escape

from fastnn.utils.drawing.boxes import Box, Cell, Frame


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _cell(cell: Cell, columns: int, size: int) -> str:
    dark = cell.fill != "white"
    colour = ' color="white"' if dark else ""
    text = escape(cell.text)
    bold = f"<b>{escape(cell.bold)}</b>"
    span = f' colspan="{columns}"' if columns > 1 else ""
    return (
        f'<td{span} bgcolor="{cell.fill}"><font point-size="{size}"{colour}>'
        f"{bold + text if size == 16 else text + bold}</font></td>"
    )


def _label(box: Box) -> str:
    columns = max((len(row) for row in box.rows), default=1)
    title = _cell(box.title._replace(fill="black"), columns, 16)
    rows = [f"<tr>{title}</tr>"]
    for row in box.rows:
        span = columns if len(row) == 1 else 1
        rows.append(f"<tr>{''.join(_cell(cell, span, 14) for cell in row)}</tr>")
    table = '<table border="0" cellborder="1" bgcolor="black" cellpadding="10">'
    return f"<{table}{''.join(rows)}</table>>"


def _nodes(frame: Frame, names: dict[Box, str], indent: str) -> list[str]:
    lines = []
    for item in frame.items:
        if isinstance(item, Box):
            names[item] = f"n{len(names)}"
            style = 'fontname="Helvetica", border="0", margin="0"'
            lines.append(f"{indent}{names[item]} [label={_label(item)}, {style}];")
        else:
            lines += _cluster(item, names, indent)
    return lines


def _cluster(frame: Frame, names: dict[Box, str], indent: str) -> list[str]:
    return [
        f"{indent}subgraph {_quoted(f'cluster_{frame.name}')} {{",
        f'{indent}  style="dashed";',
        f"{indent}  label={_quoted(frame.name)};",
        f'{indent}  labeljust="l";',
        *_nodes(frame, names, indent + "  "),
        f"{indent}}}",
    ]


def dot(
    frame: Frame,
    rankdir: str = "TB",
    splines: str = "ortho",
    dpi: int = 200,
    cluster: bool = False,
) -> str:
    """The picture as text that the program `dot` reads.

    Args:
        frame: what to draw.
        rankdir, splines, dpi: Graphviz's attributes of those names.
        cluster: put everything into a dashed frame.
    """
    names: dict[Box, str] = {}
    inside = _cluster(frame, names, "  ") if cluster else _nodes(frame, names, "  ")
    arrows = [f"  {names[a]} -> {names[b]} [penwidth=2];" for a, b in frame.arrows]
    lines = [
        "digraph G {",
        f"  rankdir={_quoted(rankdir)};",
        "  concentrate=true;",
        f"  dpi={dpi};",
        f"  splines={_quoted(splines)};",
        "  node [shape=record];",
        *inside,
        *arrows,
        "}",
    ]
    return "\n".join(lines) + "\n"
