# SPDX-License-Identifier: Apache-2.0
"""Which variables of an optimizer a file holds, by their number: files differ."""

from __future__ import annotations

from fastnn.autodiff.tensor import Variable


def stored_variables(
    variables: list[Variable], count: int, has_rate: bool, trained: int
) -> list[Variable] | None:
    """The variables that the `count` ones of a file are the values of.

    Args:
        variables: all of the optimizer's: the step, the rate, slots.
        count: how many the file has.
        has_rate: whether the rate is a variable, and not a schedule.
        trained: how many weights the optimizer trains.

    Returns:
        They in the order of the file; None when the numbers say that it was another
        optimizer.
    """
    plain = 1 + has_rate
    if count == len(variables):
        return variables
    if count == plain:  # saved before the first step
        return variables[:plain]
    if has_rate and count == len(variables) - 1:  # Keras 2 leaves out the rate
        return [variables[0], *variables[2:]]
    if has_rate and len(variables) == plain and count == 1 + trained:
        return variables[:1]  # Keras 2 gives SGD momenta that it does not use
    return None
