# SPDX-License-Identifier: Apache-2.0
"""If, while, for, and, or, not as calls of `runtime`, here called `_ag`.

A branch becomes a function of the names that it or its other branch assigns, which
returns them; a loop's body and test become functions of the names that the body
assigns. A name without a value is passed as a stand-in.
"""

from __future__ import annotations

import ast
from typing import Any

from fastnn.graph.autograph.lower import parse
from fastnn.graph.autograph.names import (
    always_returns,
    assigned,
    cannot_move,
    leaves_loop,
    returns,
)

RUNTIME = "_ag"
_EXITS = (ast.Break, ast.Continue)  # those that could not be lowered


class Transformer(ast.NodeTransformer):
    """Rewrites a function whose early exits are lowered.

    Args:
        first: name of its first argument, which `super()` means.
    """

    def __init__(self, first: str | None) -> None:
        self._first = first
        self._count = 0

    # -- statements ------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> Any:
        if cannot_move([node]) or any(leaves_loop([node], k) for k in _EXITS):
            return self.generic_visit(node)
        leaving = returns([node])
        if leaving and not (always_returns(node.body) and always_returns(node.orelse)):
            return self.generic_visit(node)
        names = assigned([*node.body, *node.orelse])
        self.generic_visit(node)
        self._count += 1
        then, other = f"ag_then_{self._count}", f"ag_else_{self._count}"
        end = [] if leaving else _returned(names)
        made = [
            _function(then, names, node.body + end),
            _function(other, names, (node.orelse or [ast.Pass()]) + end),
        ]
        call = _call(
            "if_return" if leaving else "if_stmt",
            node.test,
            _load(then),
            _load(other),
            _strings(names),
            _values(names),
        )
        last = ast.Return(call) if leaving else _assign(names, call)
        return _placed(node, [*made, last])

    def visit_While(self, node: ast.While) -> Any:
        walrus = any(isinstance(n, ast.NamedExpr) for n in ast.walk(node.test))
        if cannot_move([node]) or node.orelse or returns([node]) or walrus:
            return self.generic_visit(node)
        stop = getattr(node, "ag_stop", None)
        names = assigned(node.body)
        self.generic_visit(node)
        self._count += 1
        test, body = f"ag_test_{self._count}", f"ag_body_{self._count}"
        goes_on: ast.expr = node.test
        if stop:
            quiet = _call("not_", _load(stop))
            goes_on = _call("and_", _thunk(quiet), _thunk(node.test))
        made = [
            _function(test, names, [ast.Return(goes_on)]),
            _function(body, names, node.body + _returned(names)),
        ]
        call = _call(
            "while_stmt", _load(test), _load(body), _strings(names), _values(names)
        )
        return _placed(node, [*made, _assign(names, call)])

    def visit_For(self, node: ast.For) -> Any:
        if cannot_move([node]) or node.orelse or returns([node]):
            return self.generic_visit(node)
        stop = getattr(node, "ag_stop", None)
        names = assigned([node.target, *node.body])
        self.generic_visit(node)
        self._count += 1
        body, item = f"ag_body_{self._count}", f"ag_item_{self._count}"
        bind = ast.Assign([node.target], _load(item))
        made = [
            _function(body, names, [bind, *node.body, *_returned(names)], [item]),
        ]
        call = _call(
            "for_stmt",
            node.iter,
            _load(body),
            ast.Constant(stop),
            _strings(names),
            _values(names),
        )
        return _placed(node, [*made, _assign(names, call)])

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return node  # an inner function is converted when it is called
        return super().visit(node)

    # -- expressions -----------------------------------------------------------------

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        self.generic_visit(node)
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return _at(node, _call(name, *[_thunk(value) for value in node.values]))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            return _at(node, _call("not_", node.operand))
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        self.generic_visit(node)
        return _at(
            node, _call("if_exp", node.test, _thunk(node.body), _thunk(node.orelse))
        )

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in ("super", "locals"):
            if node.func.id == "super" and not node.args and self._first:
                node.args = [_at(node, _load(n)) for n in ("__class__", self._first)]
            return node
        node.func = _at(node.func, _call("called", node.func))
        return node


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(_load(RUNTIME), name, ast.Load()), list(args), [])


def _thunk(value: ast.expr) -> ast.Lambda:
    return ast.Lambda(_arguments([]), value)


def _arguments(names: list[str]) -> ast.arguments:
    return ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])


def _function(
    name: str, names: list[str], body: list[ast.stmt], first: list[str] | None = None
) -> ast.FunctionDef:
    args = _arguments([*(first or []), *names])
    return ast.FunctionDef(name, args, body, [], None)


def _returned(names: list[str]) -> list[ast.stmt]:
    return [ast.Return(_values(names))]


def _strings(names: list[str]) -> ast.Tuple:
    return ast.Tuple([ast.Constant(n) for n in names], ast.Load())


def _values(names: list[str]) -> ast.expr:
    """The names' values; of those that have none, a stand-in."""
    found = parse(f"({''.join(_value(n) for n in names)})")[0]
    assert isinstance(found, ast.Expr)
    return found.value


def _value(name: str) -> str:
    return f"{RUNTIME}.value(lambda: {name}, {name!r}), "


def _assign(names: list[str], call: ast.expr) -> ast.stmt:
    if not names:
        return ast.Expr(call)
    return ast.Assign(
        [ast.Tuple([ast.Name(n, ast.Store()) for n in names], ast.Store())], call
    )


def _at(old: ast.AST, new: Any) -> Any:
    """The new node where the old one began, with its own parts left where they are.

    Python names the line where the name of a called method ends: not that of a branch.
    """
    inner: Any
    for inner in ast.walk(new):
        if "lineno" in inner._attributes and not hasattr(inner, "lineno"):
            ast.copy_location(inner, old)
            inner.end_lineno, inner.end_col_offset = inner.lineno, inner.col_offset
    return new


def _placed(old: ast.AST, nodes: list[Any]) -> list[Any]:
    return [_at(old, node) for node in nodes]
