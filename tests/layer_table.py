# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of layers is; layer_cases.py has the rows."""

from __future__ import annotations

from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

IMAGE = (2, 7, 6, 4)
FIRST = {"data_format": "channels_first"}


class Inner(NamedTuple):
    """A layer that is an argument of another one."""

    layer: str
    arguments: dict[str, Any]


class Case(NamedTuple):
    """A layer and what it is called on.

    Attributes:
        name: class and number, the key in the golden file.
        layer: class in `keras.layers`.
        shapes: of the inputs; more than one are given as a list.
        arguments: of the constructor.
        training: given to the call.
        classes: inputs are integers below it, 0 for floats.
        masked: the call gets a mask (batch, steps).
        spread: inputs are arguments of their own instead of a list.
        options: further arguments of the call.
        masks: shapes of boolean arguments of the call, by name.
        states: the name of the argument that the inputs after the first are, as a list.
    """

    name: str
    layer: str
    shapes: tuple[tuple[int, ...], ...]
    arguments: dict[str, Any]
    training: bool | None
    classes: int
    masked: bool
    spread: bool
    options: dict[str, Any]
    masks: dict[str, tuple[int, ...]]
    states: str | None = None

    def make(self, layers: Any, **more: Any) -> Any:
        """The layer, from `keras.layers` or `fastnn.layers`."""

        def made(value: Any) -> Any:
            if isinstance(value, Inner):
                inner = {k: made(v) for k, v in value.arguments.items()}
                return getattr(layers, value.layer)(**inner, **more)
            return [made(v) for v in value] if isinstance(value, list) else value

        return made(Inner(self.layer, self.arguments))

    def arranged(self, values: list[Any]) -> tuple[Any, ...]:
        """Values, one per input, as the arguments of `call`, or of `build`."""
        if self.states:
            return (values[0],)
        if self.spread:
            return tuple(values)
        return (values if len(values) > 1 else values[0],)

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of the call but the masks."""
        training = {} if self.training is None else {"training": self.training}
        return {**self.options, **training}

    def call(self, layer: Any, values: list[Any], masks: dict[str, Any]) -> Any:
        """What `layer` makes of values, one per input."""
        states = {self.states: list(values[1:])} if self.states else {}
        return layer(*self.arranged(values), **states, **masks, **self.keywords())

    def drawn_masks(self) -> dict[str, np.ndarray]:
        """Boolean arguments by name.

        Of the mask of steps, some rows begin, others end with steps that do not count;
        of the others each row keeps its first place.
        """
        rng, found = self.rng(), {}
        if self.masked:
            own = np.random.PCG64(crc32(f"{self.name}/mask".encode()))
            found["mask"] = np.random.Generator(own).random(self.shapes[0][:2]) > 0.4
        for name, shape in self.masks.items():
            found[name] = rng.random(shape) < 0.6
            found[name][..., 0] = True
        return found

    def rng(self) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(crc32(self.name.encode())))

    def inputs(self, rng: np.random.Generator) -> list[np.ndarray]:
        if self.classes:
            return [rng.integers(0, self.classes, shape) for shape in self.shapes]
        return [uniform(rng, shape) for shape in self.shapes]


def uniform(rng: np.random.Generator, shape: Any) -> np.ndarray:
    """Doubles in [-1, 1)."""
    return rng.random(tuple(shape)) * 2 - 1


def weight(rng: np.random.Generator, name: str, shape: Any) -> np.ndarray:
    """A weight; variances and deviations are positive."""
    value = uniform(rng, shape)
    positive = "variance" in name or "stddev" in name
    return np.abs(value) + 0.5 if positive else value


def output_names(outputs: list[Any]) -> list[str]:
    return ["y", *(f"y{i}" for i in range(1, len(outputs)))]


def changed(before: list[np.ndarray], weights: list[Any]) -> dict[str, np.ndarray]:
    """Those of `weights`, of fastnn or Keras, that are no longer what they were."""
    now = [(w.name, np.array(w.numpy())) for w in weights]
    pairs = zip(now, before, strict=True)
    return {name: a for (name, a), old in pairs if not np.array_equal(a, old)}


def plain(config: Any) -> Any:
    """The config without what depends on the run: names, seeds, dtype objects."""
    if isinstance(config, dict):
        if "class_name" in config and "config" in config:
            return [config["class_name"], plain(config["config"])]
        # fastnn does not quantize.
        skipped = ("name", "dtype", "trainable", "seed", "quantization_config")
        return {k: plain(v) for k, v in config.items() if k not in skipped}
    if isinstance(config, (list, tuple)):
        return [plain(v) for v in config]
    return config


CASES: list[Case] = []


def case(
    layer: str,
    /,
    *shapes: tuple[int, ...],
    training: bool | None = None,
    classes: int = 0,
    masked: bool = False,
    spread: bool = False,
    options: dict[str, Any] | None = None,
    masks: dict[str, tuple[int, ...]] | None = None,
    states: str | None = None,
    table: list[Case] = CASES,
    **arguments: Any,
) -> None:
    number = sum(c.layer == layer for c in table)
    more = masked, spread, options or {}, masks or {}, states
    name = f"{layer}{'-' if table is CASES else '+'}{number}"
    table.append(Case(name, layer, shapes, arguments, training, classes, *more))
