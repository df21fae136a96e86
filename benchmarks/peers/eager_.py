# SPDX-License-Identifier: Apache-2.0
"""Code written with tensors, without Keras: single calls and loops written by hand.

`bind(task)` gives a call and what it computes. The same lines in each library: public
functions on tensors that exist, `GradientTape` beside tensors that require gradients,
SGD by the library's optimizer. A taped call is one of REPEATS under one tape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.workloads import MSE, WORKLOADS, NotEquivalent, initial_weights, load

Call = Callable[[], Any]
REPEATS = 20
DEPTH = 10
SHAPES = {"add": ((32, 300),) * 2, "add 10": ((10,),) * 2}
SHAPES["matmul"] = (32, 300), (300, 100)
VIEWS = ("reshape", "transpose", "slice", "sum")
# Steps of a run of each loop: as few as hide what a call of `fit` costs by itself.
LOOPS = {"reg32": 360, "mlp32": 120}


class Task(NamedTuple):
    """`kind` "op", "taped", "mlp" or "loop"; `what` names the op or the workload.

    `must`: torch's time over ours that is demanded, None where nothing is.
    """

    name: str
    kind: str
    what: str
    must: float | None = None

    @property
    def work(self) -> int:
        """How many calls or steps one run makes."""
        if self.kind == "loop":
            return LOOPS[self.what]
        return REPEATS if self.kind == "taped" else 1


MUST = 1 / 0.7
# How much longer than a step of `fit` one of the same loop under `@function` may take.
FUNCTION_MUST = 1.2
TASKS = (
    *(Task(name, "op", name, MUST) for name in SHAPES),
    *(Task(f"{name}, taped", "taped", name, MUST) for name in SHAPES),
    *(Task(f"{name} 32x300", "op", name) for name in VIEWS),
    Task(f"MLP {DEPTH} x 100, gradient", "mlp", "mlp", MUST),
    *(Task(f"loop {name}, per step", "loop", name, MUST) for name in LOOPS),
)
BY_NAME = {task.name: task for task in TASKS}


def operands(what: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = SHAPES.get(what, SHAPES["add"])
    return [rng.standard_normal(shape).astype(np.float32) * 0.1 for shape in shapes]


def mlp_weights() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [
        (
            rng.standard_normal((100, 100)).astype(np.float32) * 0.14,
            rng.standard_normal(100).astype(np.float32) * 0.1,
        )
        for _ in range(DEPTH)
    ]


def rows(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """What a loop trains on."""
    x, y, _ = load(WORKLOADS[task.what])
    count = task.work * WORKLOADS[task.what].batch
    return x[:count], y[:count]


class Fastnn:
    """Eager calls; `way`: or "step" or "epoch" under `@function`, or "fit"."""

    def __init__(self, way: str = "eager") -> None:
        self.way = way

    def versions(self) -> dict[str, str]:
        import fastnn

        return {"fastnn": fastnn.__version__}

    def bind(self, task: Task) -> Call:
        if self.way != "eager" and task.kind != "loop":
            raise NotEquivalent("only loops")
        return getattr(self, f"_{task.kind}")(task)

    def _op(self, task: Task) -> Call:
        from fastnn import ops

        given = [ops.convert_to_tensor(a) for a in operands(task.what)]
        if task.what in VIEWS:
            return self._views(ops, given[0])[task.what]
        op = getattr(ops, task.what.split()[0])
        return lambda: op(*given)

    @staticmethod
    def _views(ops: Any, x: Any) -> dict[str, Call]:
        return {
            "reshape": lambda: ops.reshape(x, (300, 32)),
            "transpose": lambda: ops.transpose(x),
            "slice": lambda: x[3:19],
            "sum": lambda: ops.sum(x),
        }

    def _taped(self, task: Task) -> Call:
        from fastnn import GradientTape, Variable, ops

        a, b = operands(task.what)
        x, w = ops.convert_to_tensor(a), Variable(b)
        op = getattr(ops, task.what.split()[0])

        def call() -> Any:
            with GradientTape():
                for _ in range(REPEATS):
                    y = op(x, w)
            return y

        return call

    def _mlp(self, task: Task) -> Call:
        from fastnn import GradientTape, Variable, ops

        layers = [(Variable(k), Variable(b)) for k, b in mlp_weights()]
        variables = [v for pair in layers for v in pair]
        x = ops.convert_to_tensor(operands("add")[0][:, :100])

        def call() -> Any:
            with GradientTape() as tape:
                h = x
                for kernel, bias in layers:
                    h = ops.relu(ops.matmul(h, kernel) + bias)
                loss = ops.mean(h * h)
            return tape.gradient(loss, variables)[0]

        return call

    def _loop(self, task: Task) -> Call:
        import fastnn
        from fastnn import GradientTape, Variable, losses, ops

        workload = WORKLOADS[task.what]
        x, y = rows(task)
        weights, batch = initial_weights(workload), workload.batch
        if self.way == "fit":
            return self._fit(workload, x, y, weights)
        variables = [Variable(w) for w in weights]
        pairs = list(zip(variables[::2], variables[1::2], strict=True))
        optimizer = fastnn.optimizers.SGD(workload.optimizer.learning_rate)
        optimizer.build(variables)
        xs, ys = ops.convert_to_tensor(x), ops.convert_to_tensor(y)

        def step(xb: Any, yb: Any) -> Any:
            with GradientTape() as tape:
                h = xb
                for kernel, bias in pairs[:-1]:
                    h = ops.relu(ops.matmul(h, kernel) + bias)
                h = ops.matmul(h, pairs[-1][0]) + pairs[-1][1]
                if workload.loss == MSE:
                    loss = ops.mean(ops.square(h - yb))
                else:
                    loss = ops.mean(
                        losses.sparse_categorical_crossentropy(yb, h, from_logits=True)
                    )
            grads = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(grads, variables, strict=True))
            return loss

        steps = task.work
        if self.way == "epoch":
            return self._in_one(step, xs, ys, steps, variables[0])
        if self.way == "step":
            step = fastnn.function(step)

        def epoch() -> Any:
            for i in range(steps):
                step(xs[i * batch : (i + 1) * batch], ys[i * batch : (i + 1) * batch])
            return variables[0]

        return epoch

    @staticmethod
    def _in_one(step: Any, xs: Any, ys: Any, steps: int, result: Any) -> Call:
        """The loop itself under `@function`, over the batches of a tensor."""
        import fastnn
        from fastnn import ops

        @fastnn.function
        def loop(xs: Any, ys: Any, n: Any) -> None:
            for i in range(n):
                step(xs[i], ys[i])

        given = [ops.reshape(t, (steps, -1, *t.shape[1:])) for t in (xs, ys)]
        count = ops.convert_to_tensor(steps)

        def epoch() -> Any:
            loop(*given, count)
            return result

        return epoch

    @staticmethod
    def _fit(workload: Any, x: Any, y: Any, weights: list[np.ndarray]) -> Call:
        from benchmarks.peers.fastnn_ import FastnnPeer

        peer = FastnnPeer()
        peer.setup(workload, weights, x, y)
        model, batch = peer.model, workload.batch

        def epoch() -> Any:
            model.fit(x, y, batch_size=batch, verbose=0, shuffle=False)
            return model.weights[0]

        return epoch


class Torch:
    def versions(self) -> dict[str, str]:
        from benchmarks.peers.torch_ import TorchPeer

        return TorchPeer(compiled=False).versions()

    def bind(self, task: Task) -> Call:
        return getattr(self, f"_{task.kind}")(task)

    def _op(self, task: Task) -> Call:
        import torch

        given = [torch.from_numpy(a) for a in operands(task.what)]
        if task.what in VIEWS:
            x = given[0]
            return {
                "reshape": lambda: torch.reshape(x, (300, 32)),
                "transpose": lambda: torch.transpose(x, 0, 1),
                "slice": lambda: x[3:19],
                "sum": lambda: torch.sum(x),
            }[task.what]
        op = getattr(torch, task.what.split()[0])
        return lambda: op(*given)

    def _taped(self, task: Task) -> Call:
        import torch

        x, w = (torch.from_numpy(a) for a in operands(task.what))
        w.requires_grad_()
        op = getattr(torch, task.what.split()[0])

        def call() -> Any:
            for _ in range(REPEATS):
                y = op(x, w)
            return y.detach()

        return call

    def _mlp(self, task: Task) -> Call:
        import torch

        layers = [
            tuple(torch.from_numpy(a).requires_grad_() for a in pair)
            for pair in mlp_weights()
        ]
        variables = [v for pair in layers for v in pair]
        x = torch.from_numpy(np.ascontiguousarray(operands("add")[0][:, :100]))

        def call() -> Any:
            h = x
            for kernel, bias in layers:
                h = torch.relu(torch.matmul(h, kernel) + bias)
            loss = (h * h).mean()
            return torch.autograd.grad(loss, variables)[0]

        return call

    def _loop(self, task: Task) -> Call:
        import torch

        workload = WORKLOADS[task.what]
        x, y = rows(task)
        weights = initial_weights(workload)
        batch, steps = workload.batch, task.work
        variables = [torch.from_numpy(w).requires_grad_() for w in weights]
        pairs = list(zip(variables[::2], variables[1::2], strict=True))
        optimizer = torch.optim.SGD(variables, workload.optimizer.learning_rate)
        regression = workload.loss == MSE
        xs = torch.from_numpy(x)
        ys = torch.from_numpy(y if regression else y.astype(np.int64))

        def step(xb: Any, yb: Any) -> Any:
            h = xb
            for kernel, bias in pairs[:-1]:
                h = torch.relu(torch.matmul(h, kernel) + bias)
            h = torch.matmul(h, pairs[-1][0]) + pairs[-1][1]
            if regression:
                loss = torch.square(h - yb).mean()
            else:
                loss = torch.nn.functional.cross_entropy(h, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        def epoch() -> Any:
            for i in range(steps):
                step(xs[i * batch : (i + 1) * batch], ys[i * batch : (i + 1) * batch])
            return variables[0].detach()

        return epoch


LIBRARIES: dict[str, Callable[[], Any]] = {
    "fastnn": Fastnn,
    "fastnn_step": lambda: Fastnn("step"),
    "fastnn_function": lambda: Fastnn("epoch"),
    "fastnn_fit": lambda: Fastnn("fit"),
    "torch": Torch,
}
LABELS = {
    "fastnn": "fastnn",
    "fastnn_step": "step under @function",
    "fastnn_function": "loop under @function",
    "fastnn_fit": "fit",
    "torch": "torch",
}
