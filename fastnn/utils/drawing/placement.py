# SPDX-License-Identifier: Apache-2.0
"""Where the boxes of a picture stand: ranks from top to bottom, few crossings.

The four steps of Sugiyama, Tagawa and Toda, "Methods for visual understanding of
hierarchical system structures" (1981): ranks, order inside of ranks by barycentres,
places that keep the order and are near to the neighbours', arrows around the boxes. A
frame is placed by itself and is one large box to what is around it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from fastnn.utils.drawing.boxes import Box, Frame

GAP = 28.0  # between boxes of a rank
BAND = 36.0  # least height between ranks
TRACK = 10.0  # between parallel lines in a band
MARGIN = 16.0  # around what stands in a frame
LABEL = 22.0  # the name of a frame
_SWEEPS = 12

Point = tuple[float, float]
Item = Any  # Box, Frame, or the place of an arrow in a rank that it passes


class Bend:
    """Where a long arrow passes a rank."""


class Placement:
    """Rectangles (x, y, width, height) of boxes and frames, and the arrows' corners."""

    def __init__(self) -> None:
        self.boxes: dict[Box, tuple[float, float, float, float]] = {}
        self.frames: list[tuple[str, tuple[float, float, float, float]]] = []
        self.arrows: list[list[Point]] = []
        self.size = (0.0, 0.0)


def place(frame: Frame, sizes: dict[Box, tuple[float, float]]) -> Placement:
    """Places everything in a frame; y grows in the direction of the arrows."""
    return _Layout(frame, sizes).place()


class _Layout:
    def __init__(self, frame: Frame, sizes: dict[Box, tuple[float, float]]) -> None:
        self.frame = frame
        self.inner = {
            item: place(item, sizes) for item in frame.items if isinstance(item, Frame)
        }
        self.sizes: dict[Item, tuple[float, float]] = dict(sizes)
        for item, placed in self.inner.items():
            width = placed.size[0] + 2 * MARGIN
            height = placed.size[1] + 2 * MARGIN + LABEL
            self.sizes[item] = max(width, 9.0 * len(item.name) + 2 * MARGIN), height
        owner: dict[Box, Item] = {}
        for part in frame.items:
            for box in part.boxes() if isinstance(part, Frame) else [part]:
                owner[box] = part
        self.owner = owner
        self.arrows = [
            (a, b) for a, b in frame.arrows if owner[a] is not owner[b] or owner[a] is a
        ]

    def place(self) -> Placement:
        self._find_ranks()
        self._make_paths()
        self._sort_ranks()
        self._find_x()
        self._find_y()
        return self._result()

    # -- ranks -----------------------------------------------------------------------

    def _find_ranks(self) -> None:
        """Longest distance from a start; arrows that would go upwards are turned."""
        after: dict[Item, list[Item]] = {item: [] for item in self.frame.items}
        for a, b in self.arrows:
            if self.owner[a] is not self.owner[b]:
                after[self.owner[a]].append(self.owner[b])
        order = _finished_last_first(after)
        position = {item: i for i, item in enumerate(order)}
        self.forward = {
            pair: position[self.owner[pair[0]]] < position[self.owner[pair[1]]]
            for pair in self.arrows
        }
        ranks = dict.fromkeys(order, 0)
        below: dict[Item, list[Item]] = {item: [] for item in order}
        above = set()
        for item in order:
            for other in after[item]:
                a, b = (
                    (item, other) if position[item] < position[other] else (other, item)
                )
                below[a].append(b)
                above.add(b)
        for item in order:
            for other in below[item]:
                ranks[other] = max(ranks[other], ranks[item] + 1)
        for item in reversed(order):  # a late input stands right above its reader
            if item not in above and below[item]:
                ranks[item] = min(ranks[other] for other in below[item]) - 1
        lowest = min(ranks.values(), default=0)
        self.rank = {item: rank - lowest for item, rank in ranks.items()}
        self.rows: list[list[Item]] = [
            [] for _ in range(max(self.rank.values(), default=0) + 1)
        ]
        for item in order:
            self.rows[self.rank[item]].append(item)

    def _make_paths(self) -> None:
        """For each arrow the items and bends from its upper to its lower end."""
        self.paths: dict[tuple[Box, Box], list[Item]] = {}
        known: dict[tuple[int, int], list[Item]] = {}
        for pair in self.arrows:
            a, b = (self.owner[box] for box in pair)
            if a is b:
                continue
            top, bottom = (a, b) if self.forward[pair] else (b, a)
            path = known.get((id(top), id(bottom)))
            if path is None:
                path = [top]
                for rank in range(self.rank[top] + 1, self.rank[bottom]):
                    bend = Bend()
                    self.sizes[bend] = (2.0, 0.0)
                    self.rank[bend] = rank
                    self.rows[rank].append(bend)
                    path.append(bend)
                path.append(bottom)
                known[id(top), id(bottom)] = path
            self.paths[pair] = path
        self.links = sorted(
            {
                (id(u), id(v)): (u, v)
                for p in self.paths.values()
                for u, v in pairwise(p)
            }.values(),
            key=lambda link: self.rank[link[0]],
        )
        self.up: dict[Item, list[Item]] = {i: [] for row in self.rows for i in row}
        self.down: dict[Item, list[Item]] = {i: [] for row in self.rows for i in row}
        for u, v in self.links:
            self.down[u].append(v)
            self.up[v].append(u)

    # -- order -----------------------------------------------------------------------

    def _crossings(self) -> int:
        count = 0
        places = [{item: i for i, item in enumerate(row)} for row in self.rows]
        for row, there in zip(self.rows, places[1:], strict=False):
            seen: list[int] = []
            for item in row:
                ends = sorted(there[v] for v in self.down[item])
                count += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return count

    def _sort_ranks(self) -> None:
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            downwards = sweep % 2 == 0
            neighbours = self.up if downwards else self.down
            for row in self.rows if downwards else reversed(self.rows):
                self._sort_row(row, neighbours)
            count = self._crossings()
            if count < fewest:
                best, fewest = [list(row) for row in self.rows], count
        self.rows = best

    def _sort_row(self, row: list[Item], neighbours: dict[Item, list[Item]]) -> None:
        place = {item: i for other in self.rows for i, item in enumerate(other)}
        centre = {
            item: sum(place[n] for n in near) / len(near) if near else place[item]
            for item in row
            for near in [neighbours[item]]
        }
        row.sort(key=lambda item: centre[item])

    # -- places ----------------------------------------------------------------------

    def _find_x(self) -> None:
        """Centres: those of a row near the mean of what they are tied to."""
        self.x: dict[Item, float] = {}
        for row in self.rows:
            at = 0.0
            for item in row:
                width = self.sizes[item][0]
                self.x[item] = at + width / 2
                at += width + GAP
        for sweep in range(_SWEEPS):
            downwards = sweep % 2 == 0
            ties = self.up if downwards else self.down
            for row in self.rows if downwards else reversed(self.rows):
                wanted = [
                    sum(self.x[n] for n in near) / len(near) if near else self.x[item]
                    for item in row
                    for near in [ties[item]]
                ]
                widths = [self.sizes[item][0] for item in row]
                self.x.update(zip(row, _spread(wanted, widths), strict=True))
        left = min((x - self.sizes[i][0] / 2 for i, x in self.x.items()), default=0.0)
        self.x = {item: x - left for item, x in self.x.items()}

    def _corners_x(self, pair: tuple[Box, Box]) -> list[float]:
        """x along an arrow, from its upper to its lower end."""
        path = self.paths[pair]
        xs = [self.x[item] for item in path]
        ends = pair if self.forward[pair] else pair[::-1]
        for end, box in zip((0, -1), ends, strict=True):
            if path[end] is not box:
                inner = self.inner[path[end]].boxes[box]
                offset = (
                    self.sizes[path[end]][0] / 2 - self.inner[path[end]].size[0] / 2
                )
                left = xs[end] - self.sizes[path[end]][0] / 2
                xs[end] = left + offset + inner[0] + inner[2] / 2
        return xs

    def _find_y(self) -> None:
        """Tops of the ranks, and a track for each level part of an arrow."""
        levels: list[list[tuple[float, float, float, float]]] = [[] for _ in self.rows]
        self.track: dict[tuple[int, float, float], int] = {}
        for pair, path in self.paths.items():
            xs = self._corners_x(pair)
            for item, a, b in zip(path, xs, xs[1:], strict=False):
                if abs(a - b) > 0.5:
                    levels[self.rank[item]].append((min(a, b), max(a, b), a, b))
        heights = []
        for rank, level in enumerate(levels):
            count = self._assign_tracks(rank, sorted(set(level)))
            heights.append(max(BAND, BAND - TRACK + TRACK * count))
        self.top, self.height, at = [], [], 0.0
        for row, band in zip(self.rows, heights, strict=True):
            tall = max((self.sizes[item][1] for item in row), default=0.0)
            self.top.append(at)
            self.height.append(tall)
            at += tall + band
        self.bottom = at - heights[-1] if heights else 0.0

    def _assign_tracks(self, rank: int, level: list[Any]) -> int:
        taken: list[list[Any]] = []
        for low, high, a, b in level:
            # Lines may lie on each other when they come from one place.
            free = (
                i
                for i, others in enumerate(taken)
                if all(o[1] < low or o[0] > high or o[2] == a for o in others)
            )
            track = next(free, len(taken))
            taken += [[]] * (track == len(taken))
            taken[track] = [*taken[track], (low, high, a, b)]
            self.track[rank, a, b] = track
        return len(taken)

    # -- result ----------------------------------------------------------------------

    def _result(self) -> Placement:
        placed = Placement()
        for item, (width, height) in self.sizes.items():
            if item not in self.x or isinstance(item, Bend):
                continue
            x = self.x[item] - width / 2
            rank = self.rank[item]
            y = self.top[rank] + (self.height[rank] - height) / 2
            if isinstance(item, Box):
                placed.boxes[item] = (x, y, width, height)
            else:
                self._move_in(placed, item, (x, y, width, height))
        for pair in self.arrows:
            placed.arrows.append(self._corners(pair, placed))
        right = max((b[0] + b[2] for b in self._rectangles(placed)), default=0.0)
        bends = [self.x[i] + 2 for i in self.x if isinstance(i, Bend)]
        placed.size = (max([right, *bends]), self.bottom)
        return placed

    @staticmethod
    def _rectangles(placed: Placement) -> list[tuple[float, float, float, float]]:
        return [*placed.boxes.values(), *(r for _, r in placed.frames)]

    def _move_in(self, placed: Placement, frame: Frame, own: Any) -> None:
        inner = self.inner[frame]
        dx = own[0] + (own[2] - inner.size[0]) / 2
        dy = own[1] + MARGIN + LABEL
        placed.frames.append((frame.name, own))
        for name, (x, y, w, h) in inner.frames:
            placed.frames.append((name, (x + dx, y + dy, w, h)))
        for box, (x, y, w, h) in inner.boxes.items():
            placed.boxes[box] = (x + dx, y + dy, w, h)
        placed.arrows += [[(x + dx, y + dy) for x, y in a] for a in inner.arrows]

    def _corners(self, pair: tuple[Box, Box], placed: Placement) -> list[Point]:
        boxes = placed.boxes
        if pair[0] is pair[1]:
            x, y, w, h = boxes[pair[0]]
            right = x + w
            return [
                (right, y + h * 0.7),
                (right + 14, y + h * 0.7),
                (right + 14, y + h * 0.3),
                (right, y + h * 0.3),
            ]
        first, last = pair if self.forward[pair] else pair[::-1]
        xs = self._corners_x(pair)
        points = [(xs[0], boxes[first][1] + boxes[first][3])]
        for item, a, b in zip(self.paths[pair], xs, xs[1:], strict=False):
            if abs(a - b) > 0.5:
                rank = self.rank[item]
                y = self.top[rank] + self.height[rank] + BAND / 2 - TRACK / 2
                y += TRACK * self.track[rank, a, b]
                points += [(a, y), (b, y)]
        points.append((xs[-1], boxes[last][1]))
        return points if self.forward[pair] else points[::-1]


def _finished_last_first(after: dict[Item, list[Item]]) -> list[Item]:
    """An order in which arrows lead forward, but those that close a circle."""
    done: list[Item] = []
    seen: set[Item] = set()
    for start in reversed(list(after)):
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(reversed(after[start])))]
        while stack:
            item, others = stack[-1]
            for other in others:
                if other not in seen:
                    seen.add(other)
                    stack.append((other, iter(reversed(after[other]))))
                    break
            else:
                stack.pop()
                done.append(item)
    return done[::-1]


def _spread(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Centres nearest to the wanted ones (least squares) that do not overlap.

    Shifted to the left by what must stand before them, centres must not fall: isotonic
    regression, by pooling adjacent violators.
    """
    shifts, at = [], 0.0
    for i, width in enumerate(widths):
        at += (widths[i - 1] + width) / 2 + GAP if i else 0.0
        shifts.append(at)
    pools: list[list[float]] = []  # mean, count
    for value, shift in zip(wanted, shifts, strict=True):
        pools.append([value - shift, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            total = pools[-1][1] + count
            pools[-1][0] = (pools[-1][0] * pools[-1][1] + mean * count) / total
            pools[-1][1] = total
    flat = [mean for mean, count in pools for _ in range(int(count))]
    return [value + shift for value, shift in zip(flat, shifts, strict=True)]
