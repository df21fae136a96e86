# SPDX-License-Identifier: Apache-2.0
"""Axes split, permuted and merged by a pattern of names, as einops writes them."""

from __future__ import annotations

import math
import re
from typing import Any

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError

Groups = list[list[str]]
TOKEN = re.compile(r"\s*(\(|\)|\.\.\.|1(?!\w)|[A-Za-z_]\w*)")


def _groups(side: str, pattern: str) -> Groups:
    """The names that each axis is made of; (), 1: an axis of size 1."""
    groups: Groups = []
    inside, at = False, 0
    side = side.rstrip()
    while at < len(side):
        found = TOKEN.match(side, at)
        token = found[1] if found else ""
        wrong = ("", "(", "...", "1") if inside else ("", ")")
        if token in wrong:
            raise ValueError(
                f"[rearrange] cannot read {side[at:]!r} in the pattern {pattern!r}: "
                f'expected names, 1, ... or groups such as "b (h w) c -> b h w c"'
            )
        at += len(found[0]) if found else 0
        if token in "()":
            inside = token == "("
            groups += [[]] if inside else []
        elif inside:
            groups[-1].append(token)
        else:
            groups.append([] if token == "1" else [token])
    if inside:
        raise ValueError(f"[rearrange] a bracket is open in the pattern {pattern!r}")
    return groups


def _without_dots(groups: Groups, names: list[str]) -> Groups:
    return [g for h in groups for g in ([[n] for n in names] if h == ["..."] else [h])]


def _parsed(pattern: str, rank: int) -> tuple[Groups, Groups]:
    """Both sides, with names in the place of the ellipsis."""
    sides = str(pattern).split("->")
    if len(sides) != 2:
        raise ValueError(f'[rearrange] the pattern {pattern!r} needs one "->"')
    left, right = (_groups(side, pattern) for side in sides)
    more = [f"...{i}" for i in range(rank - len(left) + 1)] if ["..."] in left else []
    left, right = _without_dots(left, more), _without_dots(right, more)
    a, b = ([n for g in side for n in g] for side in (left, right))
    if sorted(a) != sorted(b) or len(set(a)) != len(a) or "..." in b:
        raise ValueError(
            f"[rearrange] both sides of {pattern!r} must have the same names, once each"
        )
    if len(left) != rank:
        raise ShapeError(
            f"[rearrange] the pattern {pattern!r} has {len(left)} axes, the tensor "
            f"{rank}"
        )
    return left, right


def _sizes(
    left: Groups, shape: tuple[int, ...], known: dict[str, int], pattern: str
) -> dict[str, int]:
    sizes = dict(known)
    for group, n in zip(left, shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        rest = math.prod(sizes[name] for name in group if name in sizes)
        if len(unknown) == 1 and rest and n % rest == 0:
            sizes[unknown[0]] = n // rest
        elif unknown or rest != n:
            raise ShapeError(
                f"[rearrange] an axis of size {n} of {shape} is no product of "
                f"{group} with {known} in {pattern!r}: pass the sizes of "
                f"all names of a group but one"
            )
    return sizes


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Axes split, permuted and merged: "b (h w) c -> b c h w" with `h=4`.

    Args:
        tensor: the axes that the left side of the pattern names.
        pattern: names of axes; those in brackets are one axis, the last varying
            fastest; "1" is an axis of size 1, "..." stands for any axes.
        axes_lengths: sizes of names that do not follow from the shape.
    """
    x = convert_to_tensor(tensor)
    left, right = _parsed(pattern, x.ndim)
    names = [n for g in left for n in g]
    if unknown := sorted(set(axes_lengths) - set(names)):
        raise ValueError(f"[rearrange] {unknown} are not in the pattern {pattern!r}")
    sizes = _sizes(left, x.shape, axes_lengths, pattern)
    split = raw.reshape(x, tuple(sizes[n] for n in names))
    turned = raw.transpose(split, tuple(names.index(n) for g in right for n in g))
    return raw.reshape(turned, tuple(math.prod(sizes[n] for n in g) for g in right))


__all__ = ["rearrange"]
