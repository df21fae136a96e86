# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification (Graves et al., ICML 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.scatters import index_tensor
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import integer, to_float
from fastnn.ops.arrays import concatenate
from fastnn.ops.control import scan
from fastnn.ops.indexing import take_along_axis
from fastnn.opset._dtypes import HALVES

# Log-probability of what cannot be, and the loss where there is no alignment: finite,
# so that no difference of them is NaN.
_NEVER, _HOPELESS = -1e30, 1e5


def _frames(name: str, x: Any, mask_index: Any) -> tuple[Tensor, int]:
    """(batch, frames, classes) as float32 or wider, and the index of the blank."""
    t = to_float(x)
    if t.ndim != 3 or not t.shape[2]:
        raise ShapeError(
            f"[{name}] needs logits (batch, frames, classes), received {t.shape}"
        )
    classes = t.shape[2]
    blank = (
        classes - 1 if mask_index is None else integer(name, "mask_index", mask_index)
    )
    if not -classes <= blank < classes:
        raise ValueError(f"[{name}] mask_index {blank} is none of {classes} classes")
    return raw.cast(t, "float32") if t.dtype in HALVES else t, blank % classes


def _lengths(name: str, label: str, value: Any, batch: int) -> Tensor:
    t = integers.cast(index_tensor(name, value), "int32")
    if t.shape != (batch,):
        raise ShapeError(
            f"[{name}] {label} needs one length per input, ({batch},), received "
            f"{t.shape}"
        )
    return t


def _states(target: Tensor, classes: int, blank: int) -> tuple[Tensor, Tensor]:
    """Labels with blanks between, before and behind: (batch, 2 n + 1); and 0 where a
    label may follow the label before at once, else the log-probability of what cannot
    be.
    """
    batch, n = target.shape
    known = raw.logical_and(raw.greater_equal(target, 0), raw.less(target, classes))
    labels = raw.where(known, target, 0)  # what is behind a target's end is never read
    labels = raw.reshape(labels, (batch, n, 1))
    between = Tensor(np.full((batch, n, 1), blank, "int32"))
    pairs = raw.reshape(concatenate([between, labels], 2), (batch, 2 * n))
    states = concatenate([pairs, Tensor(np.full((batch, 1), blank, "int32"))], 1)
    two = Tensor(np.full((batch, 2), blank, "int32"))
    before = concatenate([two, states], 1)[:, : 2 * n + 1]
    odd = Tensor((np.arange(2 * n + 1) % 2 == 1)[None])
    free = raw.logical_and(odd, raw.not_equal(states, before))
    return states, free


def _forward(said: Tensor, labels: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """log-probabilities of being in each state behind the last frame, with two states
    in front that nothing is ever in: (batch, 2 + 2 labels + 1).
    """
    batch, frames, classes = said.shape
    states, free = _states(labels, classes, blank)
    count = states.shape[1]
    never = Tensor(np.asarray(_NEVER, said.dtype))
    skip = raw.where(free, 0.0, never)
    said = raw.batch_take(raw.transpose(said, (0, 2, 1)), states)
    said = raw.transpose(said, (2, 0, 1))  # frame, batch, state
    frame = Tensor(np.arange(frames, dtype="int32").reshape(frames, 1, 1))
    running = raw.less(frame, raw.reshape(lengths, (1, batch, 1)))
    start = np.full((batch, count + 2), _NEVER, said.dtype)
    start[:, 2] = 0

    def step(a: Tensor, x: Any) -> tuple[Tensor, None]:
        spoken, go = x
        skipped = raw.add(a[:, :count], skip)
        come = raw.logaddexp(raw.logaddexp(a[:, 2:], a[:, 1 : count + 1]), skipped)
        b = raw.pad(raw.add(come, spoken), never, (0, 2), (0, 0))
        return raw.where(go, b, a), None

    return scan(step, Tensor(start), (said, running))[0]


def ctc_loss(
    target: Any,
    output: Any,
    target_length: Any,
    output_length: Any,
    mask_index: int = 0,
) -> Tensor:
    """-log of the probability that frames spell target, over all alignments.

    Each frame says a label or a blank; labels repeated without a blank between them
    count once (Graves et al., ICML 2006, equations 6 to 8, in logarithms).

    Args:
        target: (batch, labels) integers; the rest behind a target's length is ignored.
        output: (batch, frames, classes) logits.
        target_length: (batch,): how many labels count.
        output_length: (batch,): how many frames count.
        mask_index: the class that is the blank.

    Returns:
        (batch,), float32 or float64. 1e5, with gradient 0, where the frames are too few
        to say the target.

    Raises:
        ShapeError: for shapes that do not go together.
        TypeError, ValueError: for labels that are no integers; for a mask_index that is
            no class.
    """
    name = "ctc_loss"
    z, blank = _frames(name, output, mask_index)
    labels = integers.cast(index_tensor(name, target), "int32")
    batch = z.shape[0]
    if labels.ndim != 2 or labels.shape[0] != batch:
        raise ShapeError(
            f"[{name}] target must be ({batch}, labels), received {labels.shape}"
        )
    many = _lengths(name, "target_length", target_length, batch)
    last = _lengths(name, "output_length", output_length, batch)
    end = _forward(raw.log_softmax(z, 2), labels, last, blank)
    whole = raw.reshape(raw.multiply(many, 2), (batch, 1))
    ends = take_along_axis(
        end, concatenate([raw.add(whole, 2), raw.add(whole, 1)], 1), 1
    )
    total = raw.logaddexp(ends[:, 0], ends[:, 1])
    return raw.where(raw.greater(total, _NEVER / 2), raw.negative(total), _HOPELESS)


def _greedy(x: Tensor, lengths: Tensor, merge: bool, blank: int) -> Any:
    batch, frames = x.shape[:2]
    frame = Tensor(np.arange(frames, dtype="int32")[None])
    over = raw.greater_equal(frame, raw.reshape(lengths, (batch, 1)))
    said = raw.where(over, blank, raw.argmax(x, 2, False))
    scores = raw.where(over, 0.0, raw.max(x, (2,), False))
    silent = raw.equal(said, blank)
    if merge and frames:
        same = raw.equal(said[:, 1:], said[:, :-1])
        first = Tensor(np.zeros((batch, 1), bool))
        silent = raw.logical_or(silent, concatenate([first, same], 1))
    labels = raw.where(silent, -1, said)
    # Labels to the front, in their order.
    place = raw.argsort(raw.where(silent, frames, raw.broadcast_to(frame, said.shape)))
    labels = take_along_axis(labels, place, 1)
    score = raw.negative(raw.sum(scores, (1,), True))
    return raw.reshape(labels, (1, batch, frames)), score


def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Tensor, Tensor]:
    """The labels that frames spell.

    Args:
        inputs: (batch, frames, classes) logits.
        sequence_lengths: (batch,): how many frames count.
        strategy: "greedy" takes the best class of each frame; "beam_search" the most
            probable labels over all alignments (Hannun et al., arXiv:1408.2873).
        beam_width: how many sequences beam search keeps from frame to frame.
        top_paths: how many it returns.
        merge_repeated: whether "greedy" counts a repeated class once.
        mask_index: the class that is the blank; None is the last.

    Returns:
        Labels (1 or top_paths, batch, frames), int32, with -1 behind them, and scores:
        for "greedy" -sum of the best logits, (batch, 1), for "beam_search"
        log-probabilities, (batch, top_paths), best first.

    Raises:
        ShapeError: for shapes that do not go together.
        ValueError: for an unknown strategy, and for a mask_index that is no class.
    """
    name = "ctc_decode"
    if strategy not in ("greedy", "beam_search"):
        raise ValueError(
            f'[{name}] strategy must be "greedy" or "beam_search", received '
            f"{strategy!r}"
        )
    x, blank = _frames(name, inputs, mask_index)
    lengths = _lengths(name, "sequence_lengths", sequence_lengths, x.shape[0])
    if strategy == "greedy":
        return _greedy(x, lengths, bool(merge_repeated), blank)
    width = integer(name, "beam_width", beam_width)
    top = integer(name, "top_paths", top_paths)
    if not 0 < top <= width:
        raise ValueError(
            f"[{name}] needs 0 < top_paths <= beam_width, received {top} and {width}"
        )
    paths, scores = raw.ctc_beam_search(
        raw.log_softmax(x, 2), lengths, width, top, blank
    )
    return paths, scores


__all__ = ["ctc_decode", "ctc_loss"]
