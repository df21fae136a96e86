# SPDX-License-Identifier: Apache-2.0
"""A subclassed model whose layers come under every kind of name.

In files a model's property `layers` is one of its attributes: what sorts after it is
found there first. So `conv` goes by its name, `out` is `layers/dense`.
"""

from __future__ import annotations

from typing import Any


def _block(keras: Any) -> type:
    layers = keras.layers

    class Block(layers.Layer):
        """Layers under names before and after `layers`, and in lists that grow in
        turns: weights stand in the order in which they joined."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.norms: list[Any] = []
            self.dense: list[Any] = []
            for _ in range(2):
                self.norms.append(layers.LayerNormalization())
                self.dense.append(layers.Dense(4, activation="tanh"))
            self._last = layers.Dense(4)

        def build(self, input_shape: Any) -> None:
            for layer in (*self.norms, *self.dense, self._last):
                layer.build(input_shape)
            self.gain = self.add_weight(shape=(4,), initializer="ones", name="gain")

        def call(self, x: Any) -> Any:
            for norm, dense in zip(self.norms, self.dense, strict=True):
                x = x + dense(norm(x))
            return self._last(x) * self.gain

    return Block


def make(keras: Any) -> dict[str, type]:
    """The classes, for fastnn or for Keras; `Subclassed` is the model."""
    layers, Block = keras.layers, _block(keras)

    class Inner(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.proj = layers.Dense(4, use_bias=False)
            self.block = Block()
            self.other = Block()

        def call(self, x: Any) -> Any:
            return self.other(self.block(self.proj(x)))

    class Subclassed(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.out = layers.Dense(2)
            self.conv = layers.Dense(4, activation="tanh")
            self.Zeta = Inner()  # capitals sort before all
            self.stages: list[Any] = []
            self.ups: list[Any] = []
            for _ in range(2):
                self.ups.append(layers.Dense(4))
                self.stages.append(Block())
            self.ends = {"a": layers.Dense(4), "b": [layers.Dense(4)]}
            self.tail = keras.Sequential([layers.Dense(4), layers.ReLU()])
            self._hidden = layers.Dense(4)
            self.bias = self.add_weight(shape=(2,), initializer="zeros", name="bias")

        @property
        def encoder(self) -> Any:
            return self._hidden

        @property
        def not_there(self) -> Any:
            return self.missing

        def call(self, x: Any) -> Any:
            x = self.Zeta(self.conv(x))
            for stage, up in zip(self.stages, self.ups, strict=True):
                x = up(stage(x))
            x = self.ends["a"](x) + self.ends["b"][0](x)
            return self.out(self.encoder(x) + self.tail(x)) + self.bias

    return {cls.__name__: cls for cls in (Block, Inner, Subclassed)}


# Where Keras 3.15 puts the kernels: sorted by the name of the attribute, `layers` too.
PLACES = {
    "conv": "conv",
    "Zeta.proj": "Zeta/layers/dense",
    "Zeta.block.dense.1": "Zeta/block/dense/dense_1",
    "Zeta.other._last": "Zeta/layers/block_1/_last",
    "out": "layers/dense",
    "ups.0": "layers/dense_2",
    "ups.1": "layers/dense_3",
    "stages.1._last": "layers/block_1/_last",
    "ends.a": "ends/dense",
    "ends.b.0": "ends/container/dense",
    "tail.layers.0": "layers/sequential/layers/dense",
    "_hidden": "encoder",
}


def found(model: Any, name: str) -> Any:
    """The layer that a row of `PLACES` names."""
    for part in name.split("."):
        if isinstance(model, (list, dict)):
            model = model[int(part)] if isinstance(model, list) else model[part]
        else:
            model = getattr(model, part)
    return model
