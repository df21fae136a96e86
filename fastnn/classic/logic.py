# SPDX-License-Identifier: Apache-2.0
"""Networks of McCulloch and Pitts: neurons that are on or off, without learning.

W. McCulloch, W. Pitts, "A logical calculus of the ideas immanent in nervous activity"
(1943). A neuron is active when at least `threshold` of its signals are, and no
inhibitory one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_array, check_is_fitted

Neuron = tuple[str, Sequence[str], Sequence[str]]


class McCullochPitts(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network of neurons with binary inputs and outputs.

    Args:
        inputs: names of the inputs, one per column of X.
        neurons: tuples (name, excitatory, inhibitory): the names of the inputs and
            earlier neurons whose signals come in; a name twice is two signals.
        output: name of the neuron that `predict` returns; the last one by default.
        threshold: active signals that make a neuron active.

    Example:
        >>> from fastnn.classic import McCullochPitts
        >>> net = McCullochPitts(["A", "B"], [("C", ["A", "A"], ["B"])])
        >>> net.predict([[1, 0], [1, 1]]).tolist()  # A and not B
        [1, 0]
    """

    def __init__(
        self,
        inputs: Sequence[str] = ("A",),
        neurons: Sequence[Neuron] = (("C", ("A", "A"), ()),),
        output: str | None = None,
        threshold: int = 2,
    ) -> None:
        self.inputs = inputs
        self.neurons = neurons
        self.output = output
        self.threshold = threshold

    def fit(self, X: Any = None, y: Any = None) -> McCullochPitts:
        """Checks the network; there is nothing to learn.

        Raises:
            ValueError: for names that are unknown, or used twice.
        """
        known = list(self.inputs)
        for name, excitatory, inhibitory in self.neurons:
            for source in (*excitatory, *inhibitory):
                if source not in known:
                    raise ValueError(
                        f"[McCullochPitts] neuron {name!r} gets signals from "
                        f"{source!r}, which is none of {known}: neurons come after "
                        "those they listen to."
                    )
            if name in known:
                raise ValueError(f"[McCullochPitts] two neurons are called {name!r}.")
            known.append(name)
        if self.output is not None and self.output not in known:
            raise ValueError(f"[McCullochPitts] there is no neuron {self.output!r}.")
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = len(self.inputs)
        return self

    def activity(self, X: Any) -> dict[str, np.ndarray]:
        """Name -> int64 (n,), 1 where the input or neuron is active."""
        if not hasattr(self, "classes_"):
            self.fit()
        check_is_fitted(self, "classes_")
        values = check_array(X)
        if values.shape[1] != len(self.inputs):
            raise ValueError(
                f"[McCullochPitts] X has {values.shape[1]} columns, the network "
                f"{len(self.inputs)} inputs: {list(self.inputs)}."
            )
        if not np.isin(values, (0, 1)).all():
            raise ValueError("[McCullochPitts] inputs are 0 or 1.")
        columns = values.T.astype("int64")
        state = dict(zip(self.inputs, columns, strict=True))
        none = np.zeros(len(values), "int64")
        for name, excitatory, inhibitory in self.neurons:
            signals = sum((state[source] for source in excitatory), none)
            blocked = sum((state[source] for source in inhibitory), none) > 0
            state[name] = ((signals >= self.threshold) & ~blocked).astype("int64")
        return state

    def predict(self, X: Any) -> np.ndarray:
        """int64 (n,): whether the output is active, 0 or 1."""
        output = self.neurons[-1][0] if self.output is None else self.output
        return self.activity(X)[output]


_NETS: dict[str, tuple[Sequence[str], Sequence[Neuron]]] = {
    "identity": (("A",), (("C", ("A", "A"), ()),)),
    "and": (("A", "B"), (("C", ("A", "B"), ()),)),
    "or": (("A", "B"), (("C", ("A", "A", "B", "B"), ()),)),
    "and not": (("A", "B"), (("C", ("A", "A"), ("B",)),)),
    "xor": (
        ("A", "B"),
        (
            ("only A", ("A", "A"), ("B",)),
            ("only B", ("B", "B"), ("A",)),
            ("C", ("only A", "only A", "only B", "only B"), ()),
        ),
    ),
}


def logic_net(name: str) -> McCullochPitts:
    """A network for "identity", "and", "or", "and not" or "xor".

    Raises:
        ValueError: for another name.
    """
    if name not in _NETS:
        raise ValueError(f"[logic_net] {name!r} is none of {', '.join(_NETS)}.")
    inputs, neurons = _NETS[name]
    return McCullochPitts(inputs, neurons).fit()


def truth_table(net: McCullochPitts) -> np.ndarray:
    """int64 (2**inputs, inputs + 1): all inputs, and what the network says."""
    rows = np.array(list(product((0, 1), repeat=len(net.inputs))), "int64")
    return np.column_stack([rows, net.predict(rows)])
