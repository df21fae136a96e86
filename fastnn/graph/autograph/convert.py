# SPDX-License-Identifier: Apache-2.0
"""From a function to the same function with its control flow rewritten."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from fastnn.graph.autograph import runtime
from fastnn.graph.autograph.lower import lower
from fastnn.graph.autograph.transform import RUNTIME, Transformer

# Only these can depend on a tensor's value, here or in what is called.
_FLOW = (ast.If, ast.While, ast.For, ast.IfExp, ast.BoolOp, ast.Call)
_LIBRARIES = sys.stdlib_module_names - {"__main__"}

_templates: WeakKeyDictionary[types.CodeType, types.FunctionType | None] = (
    WeakKeyDictionary()
)


def convert(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function with control flow that tensors may decide.

    Where there is no source (a Python shell, compiled code), where there is nothing to
    rewrite, or where code cannot be moved (generators, private names of a class), it is
    `f` itself.
    """
    if inspect.ismethod(f):
        inner = convert(f.__func__)
        return f if inner is f.__func__ else types.MethodType(inner, f.__self__)
    if not isinstance(f, types.FunctionType) or _module(f) == "fastnn":
        return f
    template = _template(f)
    return f if template is None else _with_cells(f, template)


def convert_inner(f: Any) -> Any:
    """The same for what a rewritten function calls: the user's own code only."""
    plain = f.__func__ if inspect.ismethod(f) else f
    if not isinstance(plain, types.FunctionType):
        return f
    installed = "site-packages" in plain.__code__.co_filename
    return f if installed or _module(plain) in _LIBRARIES else convert(f)


def _module(f: types.FunctionType) -> str:
    return (f.__globals__.get("__name__") or "").partition(".")[0]


def to_code(f: Callable[..., Any]) -> str:
    """The rewritten source of a function, for reading.

    Raises:
        ValueError: when there is no source.
    """
    plain = f.__func__ if inspect.ismethod(f) else f
    node = _source(plain) if isinstance(plain, types.FunctionType) else None
    if node is None:
        raise ValueError(
            f"[autograph] no source for {f!r}: functions typed into a shell or made by "
            f"exec have none"
        )
    _rewrite(node)
    return ast.unparse(ast.fix_missing_locations(node)) + "\n"


def _source(f: types.FunctionType) -> ast.FunctionDef | None:
    try:
        text = textwrap.dedent(inspect.getsource(f))
        module = ast.parse(text)
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None
    node = module.body[0] if module.body else None
    if f.__name__ == "<lambda>":
        return _lambda(f, module)
    if not isinstance(node, ast.FunctionDef):
        return None
    node.decorator_list = []
    return node


def _lambda(f: types.FunctionType, module: ast.Module) -> ast.FunctionDef | None:
    """A lambda of the statement as a function; None where several look like it."""
    found = [n for n in ast.walk(module) if isinstance(n, ast.Lambda)]
    if len(found) > 1:
        found = [n for n in found if _code_of(n) == f.__code__.co_code]
    if len(found) != 1:
        return None
    node = ast.FunctionDef("ag_lambda", found[0].args, [ast.Return(found[0].body)], [])
    for inner in ast.walk(node):
        if not hasattr(inner, "lineno"):
            ast.copy_location(inner, found[0])
    return node


def _code_of(node: ast.Lambda) -> bytes:
    code = compile(ast.Expression(node), "<lambda>", "eval")
    inner = next(c for c in code.co_consts if isinstance(c, types.CodeType))
    return inner.co_code


def _rewrite(node: ast.FunctionDef) -> None:
    lower(node)
    arguments = [*node.args.posonlyargs, *node.args.args]
    transformer = Transformer(arguments[0].arg if arguments else None)
    body: list[ast.stmt] = []
    for statement in node.body:
        found = transformer.visit(statement)
        body += found if isinstance(found, list) else [found]
    node.body = body


def _template(f: types.FunctionType) -> types.FunctionType | None:
    """The rewritten function with empty cells; made once for each piece of code."""
    code = f.__code__
    if code not in _templates:
        node = _source(f)
        _templates[code] = None
        if node is not None and _worth(node) and not _is_private(node):
            _rewrite(node)
            factory = _factory(node, code.co_freevars)
            ast.increment_lineno(factory, code.co_firstlineno - 1)
            space: dict[str, Any] = {}
            exec(compile(factory, code.co_filename, "exec"), space)
            empty = [None] * len(code.co_freevars)
            _templates[code] = space["ag_factory"](runtime, *empty)
    return _templates[code]


def _worth(node: ast.FunctionDef) -> bool:
    inner = list(ast.walk(node))
    if any(isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for n in inner):
        return False
    return any(isinstance(n, _FLOW) for n in inner)


def _is_private(node: ast.FunctionDef) -> bool:
    """Names that a class changes: outside of it they would mean something else."""
    for n in ast.walk(node):
        for name in (getattr(n, "attr", ""), getattr(n, "id", "")):
            if name.startswith("__") and not name.endswith("__"):
                return True
    return False


def _factory(node: ast.FunctionDef, free: tuple[str, ...]) -> ast.Module:
    """`def ag_factory(ag, <free names>): def f...; return f`."""
    outer = ast.parse(
        f"def ag_factory({', '.join((RUNTIME, *free))}):\n    return {node.name}"
    )
    body = outer.body[0]
    assert isinstance(body, ast.FunctionDef)
    for arg in (a for a in ast.walk(node.args) if isinstance(a, ast.arg)):
        arg.annotation = None
    node.returns = None
    # Only their number counts: the values are those of the function itself.
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [d and ast.Constant(None) for d in node.args.kw_defaults]
    body.body.insert(0, node)
    return ast.fix_missing_locations(outer)


def _with_cells(
    f: types.FunctionType, template: types.FunctionType
) -> types.FunctionType:
    """The template's code with the globals, free variables and defaults of f."""
    own = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
    own[RUNTIME] = types.CellType(runtime)
    made = dict(
        zip(template.__code__.co_freevars, template.__closure__ or (), strict=True)
    )
    cells = tuple(own.get(name, made[name]) for name in made)
    new = types.FunctionType(
        template.__code__, f.__globals__, f.__name__, f.__defaults__, cells
    )
    new.__kwdefaults__ = f.__kwdefaults__
    new.__dict__.update(f.__dict__)
    new.__doc__, new.__qualname__ = f.__doc__, f.__qualname__
    return new
