# SPDX-License-Identifier: Apache-2.0
"""Curves of benchmarks/growth.py as an SVG (matplotlib, of the benchmarks alone)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS

COLOURS = {"fastnn": "#c1272d", "jax_scan": "#0000a7", "torch": "#eecc16"}
LIMIT = "#888888"


def draw_growth(document: dict[str, Any], path: Path) -> None:
    """Microseconds per sample over each axis, logarithmic, beside the limit.

    Raises:
        ImportError: without matplotlib.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    axes = document["axes"]
    figure = Figure(figsize=(9, 7), layout="constrained")
    boxes = figure.subplots(2, 2, squeeze=False).ravel()
    for box, (axis, result) in zip(boxes, axes.items(), strict=False):
        _curves(box, axis, result)
    for box in boxes[len(axes) :]:
        box.set_visible(False)
    boxes[0].legend(fontsize="small")
    # The same document makes the same bytes: no date, no random identifiers.
    with mpl.rc_context({"svg.hashsalt": "growth"}):
        figure.savefig(path, metadata={"Date": None})


def _curves(box: Any, axis: str, result: dict[str, Any]) -> None:
    points = result["points"]
    names = {name for point in points for name in point["peers"]}
    for name in sorted(names):
        own = [p for p in points if name in p["peers"]]
        costs = [1e6 * p["peers"][name]["cost"]["median"] for p in own]
        box.plot(
            [p["value"] for p in own],
            costs,
            marker="o",
            markersize=4,
            label=PEERS[name].label.replace("`", ""),
            color=COLOURS.get(name),
        )
    box.plot(
        [p["value"] for p in points],
        [1e6 * p["limit"] for p in points],
        linestyle="--",
        color=LIMIT,
        label="limit (FMA rate)",
    )
    box.set_yscale("log")
    if axis != "threads":
        box.set_xscale("log")
    else:
        box.set_xticks([p["value"] for p in points])
        box.set_ylim(bottom=0.8e6 * min(p["limit"] for p in points))
    box.set_xlabel(axis)
    box.set_ylabel("us per sample")
    box.set_title(result["fixed"], fontsize="medium")
    box.grid(alpha=0.3)
