# SPDX-License-Identifier: Apache-2.0
"""Return, break and continue inside branches and loops, without leaving early.

if c: return a            if c: return a
b                   ->    else: b; ...            what follows moves into the branch

while c:                  stop = False
    if d: break     ->    while not stop and c:
    e                         if d: stop = True
                              if not stop: e
"""

from __future__ import annotations

import ast
from typing import TypeVar

from fastnn.graph.autograph.names import (
    SCOPES,
    always_returns,
    cannot_move,
    leaves_loop,
    returns,
)

S = TypeVar("S", bound=ast.AST)


def lower(function: ast.FunctionDef) -> None:
    """Rewrites the body of a function in place."""
    function.body = _Lowering().block(function.body)


def parse(code: str) -> list[ast.stmt]:
    return ast.parse(code).body


class _Lowering:
    def __init__(self) -> None:
        self._count = 0

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"ag_{kind}_{self._count}"

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for i, node in enumerate(body):
            rest = body[i + 1 :]
            if isinstance(node, (*SCOPES,)):
                out.append(node)
            elif isinstance(node, ast.If):
                if returns([node]) and not cannot_move([node, *rest]):
                    return out + [self._returning(node, rest)]
                out.append(self._if(node))
            elif isinstance(node, (ast.While, ast.For)):
                found, done = self._loop(node)
                out += found
                if done:  # a return inside: leave as soon as the loop is over
                    flag, value = done
                    test = ast.If(
                        _name(flag), _copy(node, parse(f"return {value}")), []
                    )
                    return out + self.block([ast.copy_location(test, node), *rest])
            else:  # inside try and with nothing is moved: their ends have a meaning
                out.append(node)
            if isinstance(node, ast.Return):
                break
        return out

    def _if(self, node: ast.If) -> ast.If:
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        return node

    def _returning(self, node: ast.If, rest: list[ast.stmt]) -> ast.If:
        """Both branches end with a return, so the `if` is the last statement."""
        for field in ("body", "orelse"):
            branch = getattr(node, field)
            if not always_returns(branch):
                branch = branch + rest
            if not always_returns(branch):
                branch = branch + _copy(node, parse("return None"))
            setattr(node, field, self.block(branch))
        return node

    def _loop(
        self, node: ast.While | ast.For
    ) -> tuple[list[ast.stmt], tuple[str, str] | None]:
        """The loop without early ends, and (flag, value) of a return inside it."""
        if cannot_move([node]) or node.orelse:
            node.body = [*node.body]
            return [node], None
        before: list[ast.stmt] = []
        done = None
        if returns(node.body):
            done = self._new("returned"), self._new("value")
            before += _copy(node, parse(f"{done[0]} = False\n{done[1]} = None"))
            node.body = _without_return(node.body, done)
        stop = skip = None
        if leaves_loop(node.body, ast.Break):
            stop = self._new("stop")
            before += _copy(node, parse(f"{stop} = False"))
        if leaves_loop(node.body, ast.Continue):
            skip = self._new("skip")
        flags = [flag for flag in (stop, skip) if flag]
        body = _guarded(node.body, stop, skip, flags) if flags else node.body
        if skip:
            body = _copy(node, parse(f"{skip} = False")) + body
        node.body = self.block(body)
        if stop:
            node.ag_stop = stop  # type: ignore[union-attr]
        return [*before, node], done


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _copy(at: ast.AST, nodes: list[S]) -> list[S]:
    """New nodes with the place in the source of an old one."""
    for node in nodes:
        for inner in ast.walk(node):
            ast.copy_location(inner, at)
    return nodes


def _without_return(body: list[ast.stmt], done: tuple[str, str]) -> list[ast.stmt]:
    """Returns inside a loop as: note the value, and break."""
    flag, value = done
    out: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.Return):
            note = ast.Assign([ast.Name(value, ast.Store())], node.value or _none())
            out.append(ast.copy_location(note, node))
            out += _copy(node, parse(f"{flag} = True"))
            out.append(ast.copy_location(ast.Break(), node))
            break
        if isinstance(node, ast.If):
            node.body = _without_return(node.body, done)
            node.orelse = _without_return(node.orelse, done)
        elif isinstance(node, (ast.While, ast.For)) and returns([node]):
            node.body = _without_return(node.body, done)
            out.append(node)
            leave = ast.If(_name(flag), [ast.Break()], [])
            out.append(ast.copy_location(leave, node))
            continue
        out.append(node)
    return out


def _none() -> ast.Constant:
    return ast.Constant(None)


def _guarded(
    body: list[ast.stmt], stop: str | None, skip: str | None, flags: list[str]
) -> list[ast.stmt]:
    """Break and continue set flags; what follows them runs only where none is set."""
    out: list[ast.stmt] = []
    for i, node in enumerate(body):
        if isinstance(node, (ast.Break, ast.Continue)):
            flag = stop if isinstance(node, ast.Break) else skip
            return out + _copy(node, parse(f"{flag} = True"))
        out.append(node)
        leaves = leaves_loop([node], ast.Break) or leaves_loop([node], ast.Continue)
        if isinstance(node, ast.If) and leaves:
            node.body = _guarded(node.body, stop, skip, flags)
            node.orelse = _guarded(node.orelse, stop, skip, flags)
            rest = _guarded(body[i + 1 :], stop, skip, flags)
            if rest:
                test = parse(f"not ({' or '.join(flags)})")[0]
                assert isinstance(test, ast.Expr)
                out.append(ast.copy_location(ast.If(test.value, rest, []), node))
                _copy(node, [test.value])
            return out
    return out
