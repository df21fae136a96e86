# SPDX-License-Identifier: Apache-2.0
"""The best label sequences of frames, by prefix beam search: a host op.

A beam is a label sequence, kept as a node of a trie: the node of the sequence without
its last label, and that label. Its score is split into that of alignments that end in a
blank and of those that end in its last label (Hannun et al., arXiv:1408.2873).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_rank
from fastnn.opset._opdef import HOST, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform

NAME = "ctc_beam_search"


class _Beams:
    """The w best sequences of every one of b inputs, best first."""

    def __init__(self, batch: int, width: int, frames: int, dtype: Any) -> None:
        shape = (batch, width)
        self.blank = np.full(shape, -np.inf, dtype)  # scores, ending in a blank
        self.label = np.full(shape, -np.inf, dtype)  # ending in the last label
        self.blank[:, 0] = 0  # nothing said yet
        self.node = np.full(shape, -1)  # -1: nothing
        self.node[:, 0] = 0
        self.parents = np.full((batch, frames * width + 1), -1)
        self.labels = np.full((batch, frames * width + 1), -1)
        self.nodes = 1
        self.rows = np.arange(batch)[:, None]

    def step(self, x: Any, blank: int, running: Any) -> None:
        """One more frame of log-probabilities (b, classes), where running (b, 1)."""
        width, classes = self.node.shape[1], x.shape[1]
        last = np.where(self.node > 0, self.labels[self.rows, self.node], -1)
        total = np.logaddexp(self.blank, self.label)
        spoken = np.take_along_axis(x, np.maximum(last, 0), 1)
        spoken = np.where(last < 0, -np.inf, spoken)
        stay_blank = total + x[:, blank, None]
        stay_label = self.label + spoken
        # Every sequence with every label behind it; a label said twice needs a blank.
        more = total[:, :, None] + x[:, None, :]
        twice = last[:, :, None] == np.arange(classes)
        more = np.where(twice, self.blank[:, :, None] + x[:, None, :], more)
        more[:, :, blank] = -np.inf
        # Some of those are beams themselves: j is i and its last label.
        above = np.where(self.node > 0, self.parents[self.rows, self.node], -2)
        b, j, i = np.nonzero(above[:, :, None] == self.node[:, None, :])
        stay_label[b, j] = np.logaddexp(stay_label[b, j], more[b, i, last[b, j]])
        more[b, i, last[b, j]] = -np.inf
        found = np.concatenate(
            [np.logaddexp(stay_blank, stay_label), more.reshape(len(x), -1)], 1
        )
        best = np.argsort(-found, 1, kind="stable")[:, :width]
        self._keep(best, found, (stay_blank, stay_label), classes, running)

    def _keep(self, best: Any, found: Any, stay: Any, classes: int, go: Any) -> None:
        width = self.node.shape[1]
        score = np.take_along_axis(found, best, 1)
        old = best < width
        here = np.where(old, best, 0)
        source = np.where(old, best, (best - width) // classes)
        fresh = np.arange(self.nodes, self.nodes + width)
        self.parents[:, fresh] = np.take_along_axis(self.node, source, 1)
        self.labels[:, fresh] = np.where(old, -1, (best - width) % classes)
        self.nodes += width
        node = np.where(old, np.take_along_axis(self.node, here, 1), fresh)
        ends = np.where(old, np.take_along_axis(stay[0], here, 1), -np.inf)
        says = np.where(old, np.take_along_axis(stay[1], here, 1), score)
        node = np.where(score == -np.inf, -1, node)
        self.node = np.where(go, node, self.node)
        self.blank = np.where(go, ends, self.blank)
        self.label = np.where(go, says, self.label)

    def best(self, count: int, frames: int) -> tuple[Any, Any]:
        """(count, b, frames) labels with -1 behind them, and (b, count) scores."""
        node = self.node[:, :count]
        backwards = np.full((*node.shape, frames), -1, np.int32)
        length = np.zeros(node.shape, int)
        for k in range(frames):
            backwards[..., k] = np.where(
                node > 0, self.labels[self.rows, np.maximum(node, 0)], -1
            )
            length += node > 0
            node = np.where(node > 0, self.parents[self.rows, np.maximum(node, 0)], 0)
        place = length[..., None] - 1 - np.arange(frames)
        paths = np.take_along_axis(backwards, np.maximum(place, 0), 2)
        paths = np.where(place >= 0, paths, -1).astype(np.int32)
        scores = np.logaddexp(self.blank, self.label)[:, :count]
        return np.ascontiguousarray(np.moveaxis(paths, 1, 0)), scores


def _search(x: Any, lengths: Any, beam_width: int, top_paths: int, blank: int) -> Any:
    batch, frames, _ = x.shape
    beams = _Beams(batch, max(beam_width, top_paths), frames, x.dtype)
    with np.errstate(all="ignore"):  # differences of infinities
        for t in range(frames):
            beams.step(x[:, t], blank, (t < lengths)[:, None])
    return beams.best(top_paths, frames)


def _infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, lengths = specs
    check_rank(NAME, "log-probabilities", x.shape, 3)
    check_float(NAME, x.dtype)
    batch, frames, classes = x.shape
    if lengths.shape != (batch,) or not -classes <= attrs[2] < classes:
        raise ShapeError(
            f"[{NAME}] needs a length per input, ({batch},), and a mask_index of "
            f"{classes} classes; received lengths {lengths.shape} and {attrs[2]}"
        )
    return [
        Spec((attrs[1], batch, frames), "int32"),
        Spec((batch, attrs[1]), x.dtype),
    ]


def _samples(rng: Any, dtype: str) -> Any:
    for shape, width, top in (((2, 5, 4), 6, 2), ((1, 1, 2), 1, 1), ((3, 7, 3), 9, 4)):
        x = uniform(rng, shape, dtype, -4, 0)
        lengths = rng.integers(1, shape[1] + 1, shape[0]).astype("int32")
        yield Sample((x, lengths), (width, top, 0))


op(
    NAME,
    inputs="x lengths",
    outputs="paths scores",
    attrs=(
        Attr("beam_width", "static"),
        Attr("top_paths", "static"),
        Attr("blank", "static"),
    ),
    infer=_infer,
    kind=HOST,
    ref=_search,
    samples=_samples,
    differentiable=False,
    tol=Tol(1e-5, 1e-12, 1e-5),
    doc="most probable label sequences of frames of log-probabilities, by prefix beam "
    "search",
)
