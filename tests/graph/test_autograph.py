# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SIM108, SIM202, RET504, PERF401 -- statements are what is tested
"""Python control flow on tensors: what Python does with numbers is what a plan does."""

import inspect
from typing import Any

import numpy as np
import pytest

from fastnn import GradientTape, Variable, function, ops, tf
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import PlanError
from fastnn.graph.autograph import to_code

# -- programs: each runs as Python on numbers, and traced on tensors ------------------


def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


def clipped(n):
    if n < 2:
        return 2
    elif n > 9:
        n = 9
    return n


def digits(n):
    total = 0
    while True:
        total += n % 10
        n //= 10
        if n == 0:
            break
    return total


def odd_sum(n):
    total = 0
    for i in range(n):
        if i % 2 == 0:
            continue
        total += i
        if total > 50:
            break
    return total


def first_divisor(n):
    for d in range(2, n):
        if n % d == 0:
            return d
    return n


def primes(n):
    count = 0
    for k in range(2, n):
        prime = True
        for d in range(2, k):
            if d * d > k:
                break
            if k % d == 0:
                prime = False
                break
        if prime:
            count += 1
    return count


def leap(n):
    year = 1890 + n
    return 1 if (year % 4 == 0 and year % 100 != 0) or not year % 400 != 0 else 0


def down(n):
    total = 0
    for i in range(n, 0, -2):
        total = total * 2 + i
    return total


def nested_ifs(n):
    kind = 0
    if n > 3:
        if n > 6:
            kind = 2
            if n == 8:
                return 100
        else:
            kind = 1
    kind = kind + 1
    return kind


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def helped(n):
    return clipped(n) + clipped(n * 2)


def with_python_parts(n):
    found = []
    for k in (1, 2, 3):
        if k != 2:
            found.append(n * k)
    best = found[0]
    for value in found:
        if value > best:
            best = value
    return best + len(found)


def while_with_return(n):
    i = 0
    value = -1
    while i < 20:
        if i * i > n:
            value = i
            break
        i += 1
    return value * 2


PROGRAMS = [
    collatz,
    clipped,
    digits,
    odd_sum,
    primes,
    leap,
    down,
    nested_ifs,
    fibonacci,
    helped,
    with_python_parts,
    while_with_return,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
@pytest.mark.feature("4I-104")
def test_programs_give_what_python_gives(program: Any) -> None:
    traced = function(program)
    for n in range(1, 18):
        assert int(traced(convert_to_tensor(n))) == program(n), n
    assert len(traced._cache) == 1, "one trace for all"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_numbers_take_pythons_way(program: Any) -> None:
    traced = function(program)
    for n in (1, 2, 7, 12):
        assert int(traced(n)) == program(n)


@pytest.mark.feature("1D-38b", "4I-101")
def test_calls_go_through_the_textbooks_sum() -> None:
    @tf.function
    def sum_squares(n):
        s = 0
        for i in tf.range(n + 1):
            s += i**2
        return s

    assert int(sum_squares(5)) == 55


@pytest.mark.feature("1D-38a")
def test_the_rewritten_code_can_be_read() -> None:
    code = tf.autograph.to_code(collatz)
    assert code == to_code(collatz)
    assert code.startswith("def collatz(n):")
    for name in ("while_stmt", "if_stmt", "not_"):
        assert (name in code) == (name != "not_")
    compile(code, "collatz", "exec")
    with pytest.raises(ValueError, match="no source"):
        to_code(eval("lambda x: x"))
    chosen = to_code(lambda x: x if x > 0 else -x)
    assert "if_exp(x > 0, lambda: x, lambda: -x)" in chosen


def test_lambdas() -> None:
    f, g = function(lambda x: x or 3.0), function(lambda x: x * 2.0 if x > 1 else x)
    assert float(g(convert_to_tensor(4.0))) == 8.0
    assert float(g(convert_to_tensor(0.5))) == 0.5
    assert bool(f(convert_to_tensor(0.0)))


# -- tensors along an axis, gradients -------------------------------------------------


@pytest.mark.feature("4I-98a", "4I-104")
def test_rows_of_a_tensor_with_continue_and_break() -> None:
    @function
    def total(rows):
        s = 0.0
        for x in rows:
            if x < 0:
                continue
            if x > 100:
                break
            s += x
        return s

    assert float(total(np.array([1, -2, 3, 200, 4], "f"))) == 4.0
    assert float(total(np.zeros(0, "f"))) == 0.0


def test_gradients_flow_through_branches_and_loops() -> None:
    w = Variable(3.0)

    @function
    def power(x, n):
        with GradientTape() as tape:
            tape.watch(x)
            y = x
            while ops.sum(y) < n:
                y = y * w
            if ops.sum(y) > 50.0:
                y = y * 10.0
        return y, tape.gradient(y, [x, w])

    y, (dx, dw) = power(convert_to_tensor(1.0), convert_to_tensor(20.0))
    assert (float(y), float(dx), float(dw)) == (27.0, 27.0, 27.0)
    y, (dx, dw) = power(convert_to_tensor(1.0), convert_to_tensor(30.0))
    assert (float(y), float(dx), float(dw)) == (810.0, 810.0, 10 * 4 * 27.0)


def test_short_circuits_of_python_values_stay() -> None:
    @function
    def f(x, other=None):
        if other is not None and other > 3:
            return x + other
        return x or 7.0 if isinstance(x, float) else x

    assert float(f(convert_to_tensor(1.0))) == 1.0
    assert float(f(convert_to_tensor(1.0), 5)) == 6.0
    assert float(f(0.0)) == 7.0


def test_a_break_on_a_tensor_ends_a_python_loop() -> None:
    @function
    def f(x):
        seen = 0
        for k in [1.0, 2.0, 3.0, 4.0]:
            if x * k > 5.0:
                break
            seen += 1
        return seen

    assert [int(f(convert_to_tensor(v))) for v in (9.0, 2.0, 1.3, 0.1)] == [0, 2, 3, 4]


# -- functions as they come -----------------------------------------------------------


class Base:
    def step(self, x):
        return x * 2.0


class Net(Base):
    def __init__(self) -> None:
        self.w = Variable(2.0)
        self.traces = 0

    @function
    def __call__(self, x, flip=False):
        self.traces += 1
        if ops.sum(x) > 0:
            x = super().step(x)
        else:
            x = self.helper(x)
        return -x if flip else x

    def helper(self, x):
        if ops.max(x) < -5.0:
            return x * self.w
        return x


def test_methods_super_and_helpers() -> None:
    net = Net()
    for v, expected in ((3.0, 6.0), (-1.0, -1.0), (-6.0, -12.0)):
        assert float(net(convert_to_tensor(v))) == expected
        assert float(net(convert_to_tensor(v), flip=True)) == -expected
    assert net.traces == 2
    net.w.assign(3.0)
    assert float(net(convert_to_tensor(-6.0))) == -18.0


def test_closures_defaults_and_keywords() -> None:
    scale = convert_to_tensor(2.0)
    calls = []

    start = convert_to_tensor(0.0)

    @function
    def f(x, *args, power: int = int(start) + 2, **rest: "nothing known"):  # noqa: F722
        calls.append(1)
        for _ in range(power):
            x = x * scale
        if x > 10.0:
            x = x + rest.get("extra", 0.0)
        return x + sum(args)

    assert float(f(convert_to_tensor(1.0))) == 4.0
    assert float(f(convert_to_tensor(9.0), 1.0, extra=0.5)) == 37.5
    assert float(f(convert_to_tensor(1.0), power=3)) == 8.0
    assert len(calls) == 3


def test_side_effects_happen_while_tracing_only(capsys: Any) -> None:
    @function
    def f(x):
        print("traced")
        if x > 0:
            y = x
        else:
            y = -x
        return y

    for v in (1.0, -1.0, 2.0):
        assert float(f(convert_to_tensor(v))) == abs(v)
    assert capsys.readouterr().out == "traced\n"


def test_variables_assigned_in_branches() -> None:
    hits = Variable(0)

    @function
    def f(x):
        if x > 0:
            hits.assign_add(1)
        return hits + 0

    assert [int(f(convert_to_tensor(v))) for v in (1.0, -1.0, 1.0)] == [1, 1, 2]


def test_code_that_cannot_be_moved_is_left_alone() -> None:
    @function
    def guarded(x):
        try:
            if x.shape[0] > 2:
                return x[:2]
        finally:
            pass
        return x

    assert guarded(np.zeros(5, "f")).shape == (2,)

    @function
    def with_else(n):
        for i in range(3):
            if i == n:
                break
        else:
            return -1
        return i

    assert (int(with_else(2)), int(with_else(7))) == (2, -1)

    class Hidden:
        __secret = 4

        @function
        def f(self, x):
            if x is None:
                return 0
            return x + self.__secret

    assert float(Hidden().f(convert_to_tensor(1.0))) == 5.0


# -- mistakes -------------------------------------------------------------------------


def test_a_name_that_only_one_branch_sets() -> None:
    @function
    def f(x):
        if x > 0:
            y = x
        return y

    with pytest.raises(UnboundLocalError, match="'y' is used, but only one branch"):
        f(convert_to_tensor(1.0)) + 1

    @function
    def g(x):
        if x > 0:
            unused = x * 2.0  # noqa: F841
        return x

    assert float(g(convert_to_tensor(1.0))) == 1.0


def test_branches_that_do_not_fit_together() -> None:
    @function
    def forms(x):
        if x > 0:
            y = (x, x)
        else:
            y = x
        return y

    with pytest.raises(ValueError, match="'y' has another form"):
        forms(convert_to_tensor(1.0))

    @function
    def objects(x):
        y = "a"
        if x > 0:
            y = "b"
        return x if y == "a" else -x

    with pytest.raises(ValueError, match="'y' is 'a' in one branch and 'b'"):
        objects(convert_to_tensor(1.0))


def test_a_loop_variable_that_changes() -> None:
    @function
    def grows(x):
        names = ["a"]
        while x < 3:
            x = x + 1
            names = names + ["b"]
        return x

    with pytest.raises(ValueError, match="'names' changes its form"):
        grows(convert_to_tensor(1.0))

    @function
    def vector(x):
        while x < 3:
            pass
        return x

    with pytest.raises(ValueError, match="one bool"):
        vector(ops.zeros((2,)))


@pytest.mark.feature("4I-99")
def test_without_source_the_condition_is_an_error_that_says_what_to_do() -> None:
    space: dict[str, Any] = {}
    exec("def f(x):\n    if x > 0:\n        return x\n    return -x\n", space)
    with pytest.raises(PlanError, match=r"ops\.where"):
        function(space["f"])(convert_to_tensor(1.0))


def test_errors_name_the_users_line() -> None:
    @function
    def f(x):
        if x > 0:
            y = float(x)  # the line
        else:
            y = 0.0
        return y

    with pytest.raises(PlanError) as caught:
        f(convert_to_tensor(1.0))
    lines, first = inspect.getsourcelines(f.python_function)
    line = first + next(i for i, text in enumerate(lines) if "# the line" in text)
    assert f"test_autograph.py:{line}" in str(caught.value)


def test_eager_calls_and_plain_tensors_are_as_before() -> None:
    x = Tensor(np.array([1.0, 2.0]))
    with GradientTape() as tape:
        tape.watch(x)
        y = function(lambda x: x * x)(x)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), [2.0, 4.0])
