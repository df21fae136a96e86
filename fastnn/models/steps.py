# SPDX-License-Identifier: Apache-2.0
"""Runs a model's steps as native plans: many steps per call, no Python between them.

A training program is traced from `model.train_step` with the batch gathered by its
first op, so an epoch is `plan.run(steps)`. A graph with ops that have no kernel (a
branch, a matrix inverse) runs node by node; what cannot be traced runs eagerly. Either
way one warning names the line.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config, random, tree
from fastnn._garbage import Uncollected
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.data import pack_x_y_sample_weight
from fastnn.data.windows import Window
from fastnn.errors import PlanError, warn_user
from fastnn.graph.backend import make_plan
from fastnn.graph.ir import host_node
from fastnn.graph.passes import optimize
from fastnn.graph.trace import trace
from fastnn.models.quick import Calling, Predicting, Ready, Stepping, signature
from fastnn.models.results import concatenate
from fastnn.opset import Spec

if TYPE_CHECKING:
    from fastnn.graph.plan import Plan
    from fastnn.models.eager_runner import EagerRunner
    from fastnn.models.prediction import Spans

# One native call lasts about this long: Ctrl-C and the progress bar wait no longer.
CALL_SECONDS = 0.04
STEPS = {"train": "train_step", "test": "test_step"}


class Program:
    """A plan, and the structure of what it returns.

    Attributes:
        host: the first node that no plan can contain; the others then run one by one.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        specs: list[Spec],
        name: str,
        strides: Sequence[tuple[int, ...] | None] = (),
        autograph: bool = False,
    ) -> None:
        with Uncollected():
            graph, self.result = trace(fn, specs, name, autograph=autograph)
            graph.input_strides.update({i: s for i, s in enumerate(strides) if s})
            graph = optimize(graph)
            self.host = host_node(graph)
            self.plan = make_plan(graph, planned=self.host is None)
        self.pace = 0.0  # seconds of a step in the last call; 0 before the first

    def run(self, arrays: list[np.ndarray], steps: int = 1) -> Any:
        """Run on arrays of the traced specs; returns arrays in the traced structure."""
        found = self.plan.run(arrays, steps)
        if not found:
            return self.result
        values = iter(found)
        return tree.map_structure(
            lambda t: None if t is None else next(values), self.result
        )

    def release(self) -> None:
        """Let go of the arrays of the last run."""
        self.plan.release_inputs()


class StepRunner:
    """The native runner of a model; the interface is EagerRunner's.

    Args:
        model: a built model; compiled, for training and tests.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.logs: dict[str, Any] | None = None
        self._programs: dict[Any, Program] = {}
        self._latest: dict[str, Program] = {}  # by kind; not those of last batches
        self.ready = Ready()
        self.calling = Calling(self._call_program, model)
        # One per kind: a callback of `fit` may evaluate in the middle of an epoch.
        self._cursors = {kind: _cursor() for kind in STEPS}
        self._spans: Spans | None = None
        self._eager: EagerRunner | None = None
        self._untraceable: set[str] = set()  # kinds whose steps it runs
        self._told = False  # that steps run op by op
        # Kind -> arrays of the data, what the gather reads in their place, and the
        # programs of their epochs.
        self._dense: dict[str, tuple[Any, list[Window], dict[Any, Program]]] = {}

    # -- epochs ----------------------------------------------------------------------

    def train_epoch(
        self,
        data: Any,
        batch_size: int,
        shuffle_seed: int | None,
        on_progress: Callable[[int], bool],
        every_batch: bool = False,
        start: int = 0,
    ) -> None:
        """One pass over (x, y, sample_weight) in memory; metrics add up.

        The first `start` batches have run before.
        """
        self._epoch(
            "train", data, batch_size, shuffle_seed, on_progress, every_batch, start
        )

    def test_epoch(
        self,
        data: Any,
        batch_size: int,
        on_progress: Callable[[int], bool],
        every_batch: bool = False,
    ) -> None:
        """One pass without training."""
        self._epoch("test", data, batch_size, None, on_progress, every_batch)

    def _epoch(
        self,
        kind: str,
        data: Any,
        batch_size: int,
        seed: int | None,
        on_progress: Callable[[int], bool],
        every_batch: bool,
        start: int = 0,
    ) -> None:
        if kind not in self._untraceable:
            columns, known = self._windows(kind, data)
            count = len(columns[0])
            order = (
                np.arange(count) if seed is None else random.permutation(count, seed)
            )
            self._cursors[kind]._clear()
            if start:
                self._cursors[kind].assign(np.full(1, start * batch_size, np.int64))
            full, rest = divmod(count, batch_size)
            parts = [(full - start, batch_size)] * (full > start)
            parts += [(1, rest)] * (rest > 0 and start <= full)
            programs: list[tuple[int, Program]] = []
            for steps, size in parts:
                key = size, *config.traced_under()
                program = known.get(key) or self._epoch_program(
                    kind, data, columns, size
                )
                if program is None:
                    break
                known[key] = program
                programs.append((steps, program))
            else:
                if programs:
                    self._latest[kind] = programs[0][1]
                inputs, done = [*(c.memory for c in columns), order], start
                for steps, program in programs:
                    done = self._run_steps(
                        program, inputs, steps, done, on_progress, every_batch
                    )
                    if done < 0:
                        break
                return
        runner = self._eager
        assert runner is not None
        if kind == "train":
            runner.train_epoch(data, batch_size, seed, on_progress, every_batch, start)
        else:
            runner.test_epoch(data, batch_size, on_progress, every_batch)
        self.logs = runner.logs

    def _run_steps(
        self,
        program: Program,
        inputs: list[np.ndarray],
        steps: int,
        done: int,
        on_progress: Callable[[int], bool],
        every_batch: bool,
    ) -> int:
        """Run steps in calls of about CALL_SECONDS; -1 when asked to stop."""
        most = 1
        while steps:
            if program.pace and not every_batch:
                # Step by step further: the pace may be that of another hour.
                most = max(1, min(int(CALL_SECONDS / program.pace), 100 * most))
            chunk = min(most, steps)
            start = time.perf_counter()
            logs = program.run(inputs, chunk)
            program.pace = (time.perf_counter() - start) / chunk
            if logs is not None:
                self.logs = logs
            done += chunk
            steps -= chunk
            if on_progress(done):
                return -1
        return done

    def _windows(self, kind: str, data: Any) -> tuple[list[Window], dict[Any, Program]]:
        """The arrays as the gather reads them; converted once for all epochs."""
        known, windows, programs = self._dense.get(kind, ((), [], {}))
        if len(known) != len(data) or not all(map(operator.is_, known, data)):
            leaves = tree.flatten(data)
            windows, programs = [Window(a) for a in leaves if a is not None], {}
            self._dense[kind] = data, windows, programs
        return windows, programs

    def release(self, kind: str | None = None) -> None:
        """Let go of the data: a pass is over, and it may change before the next.

        Args:
            kind: of "train", "test" and "predict"; all of them by default.
        """
        for known in [k for k in self._dense if kind in (None, k)]:
            del self._dense[known]
        for key, program in self._programs.items():
            if kind in (None, key[0][0]):
                program.release()

    def forget(self, kind: str) -> None:
        """Drop the programs of a kind: what they were traced from has changed."""
        for key in [key for key in self._programs if key[0][0] == kind]:
            del self._programs[key]
        self._latest.pop(kind, None)
        self._dense.pop(kind, None)
        self.ready.forget(kind)
        if kind == "predict":
            self._spans = None

    def _epoch_program(
        self, kind: str, data: Any, windows: list[Window], batch: int
    ) -> Program | None:
        cursor = self._cursors[kind]

        def body(*tensors: Tensor) -> Any:
            *columns, order = tensors
            rows = [
                raw.gather_rows(c, order, cursor, batch, batch_dtype(c.dtype))
                for c in columns
            ]
            cursor.assign(raw.add(cursor, batch))
            return self._step(kind, data, rows)

        count = len(windows[0])
        specs = [Spec(w.shape, w.dtype.name) for w in windows]
        specs.append(Spec((count,), "int64"))
        strides = tuple(w.strides for w in windows)
        key = kind, "epoch", batch, *(strides if any(strides) else ())
        program = self._program(key, data, specs, body, strides)
        if program is not None:
            program.plan.cycle = cursor, count // batch
        return program

    # -- single batches --------------------------------------------------------------

    def train_batch(self, x: Any, y: Any, sample_weight: Any) -> dict[str, Any] | None:
        """One training step; returns its logs, or None where metrics must be asked."""
        return self._batch("train", (x, y, sample_weight))

    def test_batch(self, x: Any, y: Any, sample_weight: Any) -> dict[str, Any] | None:
        """One test step; see `train_batch`."""
        return self._batch("test", (x, y, sample_weight))

    def remember(self, kind: str, given: Any, arrays: Any, order: list[str]) -> None:
        """Keep the way that the last single batch took, where it was a plain one.

        Args:
            kind: "train" or "test".
            given: (x, y, sample_weight) as the user passed them.
            arrays: the same as they fit the model.
            order: names of the results, as they are returned.
        """
        key, program = signature(kind, *given), self._latest.get(kind)
        if key is not None and program and Stepping.fits(program, given, arrays):
            step = Stepping(kind, self._latest, arrays, order, self.model)
            self.ready.put(key, step)

    def _batch(self, kind: str, data: Any) -> dict[str, Any] | None:
        if kind not in self._untraceable:
            arrays = _as_batch(data)
            specs = [Spec(a.shape, a.dtype.name) for a in arrays]
            program = self._program(
                (kind, "batch"), data, specs, lambda *t: self._step(kind, data, t, True)
            )
            if program is not None:
                self._latest[kind] = program
                self.logs = program.run(arrays)
                program.release()
                return self.logs
        assert self._eager is not None
        step = getattr(self._eager, f"{kind}_batch")
        step(*data)
        self.logs = self._eager.logs
        return self.logs

    def _step(self, kind: str, data: Any, tensors: Any, single: bool = False) -> Any:
        """Call the model's step; returns the logs that the plan computes.

        Those of a user's step are wanted always. Those of metrics only for single
        batches, where computing them outside costs more than the step (0.2 ms), and
        only if all follow from tensors: a Python number would stay as it is now.
        """
        from fastnn.models.trainer import Trainer

        given = iter(tensors)
        parts = tree.map_structure(lambda a: None if a is None else next(given), data)
        name = STEPS[kind]
        logs = getattr(self.model, name)(pack_x_y_sample_weight(*parts))
        overridden = getattr(type(self.model), name) is not getattr(Trainer, name)
        wanted = overridden or (single and all(map(_is_traced, logs.values())))
        return logs if wanted else None

    # -- predict ---------------------------------------------------------------------

    def predict(self, x: Any, batch_size: int) -> Any:
        """Outputs for all of x, as an array (or a structure of arrays)."""
        from fastnn.models.prediction import Spans, rows_of

        count, start, parts = len(tree.flatten(x)[0]), 0, []
        if "predict" not in self._untraceable:
            if self._spans is None:
                self._spans = Spans(self._predict_program)
            rows = self._spans.rows(x, batch_size, count)
            while rows > batch_size and start + rows <= count:
                span = rows_of(x, start, start + rows)
                parts.append(self.predict_batch(span))
                start += rows
                step = self.ready.get(signature("predict", span))
                if step is not None:
                    step.rows_apart = True
        step = None
        for i in range(start, count, batch_size):
            rows = rows_of(x, i, i + batch_size)
            if step is None or i + batch_size > count:
                parts.append(self.predict_batch(rows))
                step = self.ready.get(signature("predict", rows))
            else:
                parts.append(step(rows))
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def predict_batch(self, x: Any) -> Any:
        """Outputs for one batch, as an array (or a structure of arrays)."""
        if "predict" not in self._untraceable:
            program = self._predict_program(x)
            if program is not None:
                self._latest["predict"] = program
                arrays = _as_batch(x)
                outputs = program.run(arrays)
                program.release()
                if Predicting.fits(program, x, arrays):
                    key = signature("predict", x)
                    self.ready.put(key, Predicting(program, self._latest))
                return outputs
        assert self._eager is not None
        return self._eager.predict_batch(x)

    def _predict_program(self, x: Any) -> Program | None:
        specs = [
            Spec(a.shape, batch_dtype(np.asarray(a).dtype.name))
            for a in tree.flatten(x)
        ]

        def body(*tensors: Tensor) -> Any:
            inputs = tree.pack_sequence_as(x, list(tensors))
            return self.model.predict_step((inputs,))

        return self._program(("predict",), x, specs, body)

    def _call_program(self, x: np.ndarray) -> Program:
        spec = Spec(x.shape, x.dtype.name)
        return Program(self.model, [spec], f"{self.model.name}_call")

    # -- programs --------------------------------------------------------------------

    def _program(
        self,
        kind: tuple[Any, ...],
        data: Any,
        specs: list[Spec],
        body: Callable[..., Any],
        strides: Sequence[tuple[int, ...] | None] = (),
    ) -> Program | None:
        """The program for these shapes; None when it cannot be traced.

        Raises:
            BackendError: the GPU that was asked for cannot be used, or has no memory.
        """
        given = tuple(a is None for a in tree.flatten(data))
        key = (kind, tuple(specs), given, *config.traced_under())
        program = self._programs.get(key)
        if program is None:
            name = f"{self.model.name}_{'_'.join(str(k) for k in kind[:3])}"
            try:
                program = _program_of(body, specs, name, strides)
            except PlanError as error:
                self._run_eagerly(kind[0], error)
                return None
            if len(self._programs) >= 64:
                self._programs.pop(next(iter(self._programs)))
            self._programs[key] = program
            self._tell_of(program)
        return program

    def _tell_of(self, program: Program) -> None:
        """The user is told once that steps run node by node, and why."""
        node = program.host
        if node is not None and not self._told:
            self._told = True
            warn_user(
                f"[fit] {type(self.model).__name__} runs op by op, which is slower "
                f"than a plan: {node.op.name} at {node.where} has no kernel."
            )

    def _run_eagerly(self, kind: str, error: Exception) -> None:
        """From now on, for this kind; the first time the user is told why."""
        self._untraceable.add(kind)
        if self._eager is None:
            from fastnn.models.eager_runner import EagerRunner

            self._eager = EagerRunner(self.model)
            warn_user(
                f"[fit] {type(self.model).__name__} runs eagerly, which is slower: "
                f"{error}"
            )

    def plan(self, kind: str = "train") -> Plan:
        """The plan that ran last for a kind, of whole batches where there were any."""
        if kind not in ("train", "test", "predict"):
            raise ValueError(
                f"[plan] kind must be 'train', 'test' or 'predict', received {kind!r}."
            )
        if self._eager is not None and kind in self._untraceable:
            return self._eager.plan(kind)
        if kind not in self._latest:
            raise ValueError(
                f"[plan] '{self.model.name}' has no {kind} plan yet: it is made by the "
                "first fit, evaluate or predict (kinds 'train', 'test', 'predict')."
            )
        program = self._latest[kind]
        if program.host is not None:
            raise ValueError(
                f"[plan] '{self.model.name}' runs op by op and has no {kind} plan: "
                f"{program.host.op.name} at {program.host.where} has no kernel."
            )
        plan: Plan = program.plan
        return plan


def _program_of(
    body: Callable[..., Any],
    specs: list[Spec],
    name: str,
    strides: Sequence[tuple[int, ...] | None],
) -> Program:
    """The program; with branches where tensors decide in a layer's Python code."""
    try:
        return Program(body, specs, name, strides)
    except PlanError as error:
        try:
            return Program(body, specs, name, strides, autograph=True)
        except Exception:
            raise error from None


def _cursor() -> Variable:
    """The number of the next row in an epoch's order."""
    return Variable(np.zeros(1, np.int64), trainable=False, name="cursor")


def _is_traced(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_symbolic


def _as_batch(data: Any) -> list[np.ndarray]:
    """The arrays of a batch as a program takes them."""
    return [
        np.ascontiguousarray(a, batch_dtype(np.asarray(a).dtype.name))
        for a in tree.flatten(data)
        if a is not None
    ]


def batch_dtype(dtype: str) -> str:
    """Dtype of a column inside the step: floats become floatx(), others stay."""
    return config.floatx() if dtype.startswith("float") else dtype
