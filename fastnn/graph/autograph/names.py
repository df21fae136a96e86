# SPDX-License-Identifier: Apache-2.0
"""Which names a piece of code assigns, and whether it leaves early."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LOOPS = (ast.While, ast.For)


def assigned(nodes: Iterable[ast.AST]) -> list[str]:
    """Names that code in this scope assigns, in order of appearance."""
    found: dict[str, None] = {}
    for node in nodes:
        _assigned(node, found)
    return list(found)


def _assigned(node: ast.AST, found: dict[str, None]) -> None:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Store):
            found[node.id] = None
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        found[node.name] = None
        return
    if isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            found[(alias.asname or alias.name).partition(".")[0]] = None
        return
    if isinstance(node, ast.ExceptHandler) and node.name:
        found[node.name] = None
    for child in ast.iter_child_nodes(node):
        _assigned(child, found)


def within(nodes: Iterable[ast.AST], stop: tuple[type, ...]) -> Iterator[ast.AST]:
    """All nodes of this code but what lies inside nodes of the types `stop`."""
    for node in nodes:
        yield node
        if not isinstance(node, stop):
            yield from within(ast.iter_child_nodes(node), stop)


def returns(nodes: Iterable[ast.AST]) -> bool:
    """Whether a return of this function lies in the code."""
    return any(isinstance(n, ast.Return) for n in within(nodes, SCOPES))


def leaves_loop(nodes: Iterable[ast.AST], kind: type) -> bool:
    """Whether a break (or continue) of the loop around the code lies in it."""
    return any(isinstance(n, kind) for n in within(nodes, (*SCOPES, *LOOPS)))


def always_returns(nodes: list[ast.stmt]) -> bool:
    """Whether the code never runs over its end."""
    if not nodes:
        return False
    last = nodes[-1]
    if isinstance(last, (ast.Return, ast.Raise)):
        return True
    if isinstance(last, ast.If):
        return always_returns(last.body) and always_returns(last.orelse)
    return False


def cannot_move(nodes: Iterable[ast.AST]) -> bool:
    """Whether code has what means something else in a function of its own."""
    banned = (ast.Yield, ast.YieldFrom, ast.Await, ast.Nonlocal, ast.Global, ast.Delete)
    nodes = list(nodes)
    if any(isinstance(n, banned) for n in within(nodes, SCOPES)):
        return True
    guarded = [n for n in within(nodes, SCOPES) if isinstance(n, (ast.Try, ast.With))]
    return any(
        returns([n]) or leaves_loop([n], ast.Break) or leaves_loop([n], ast.Continue)
        for n in guarded
    )
