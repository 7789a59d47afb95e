"""Where each name that a program reads was bound."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field

BINDINGS = ("none", "parameter", "local", "enclosing function", "import", "definition", "module variable", "builtin")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BUILTINS = frozenset(dir(builtins))


@dataclass
class _Scope:
    """What is bound in one function, class, comprehension or module, and how."""

    kind: str
    bound: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)  # declared `global` or `nonlocal`


def bindings(tree: ast.Module) -> Iterator[tuple[ast.Name, str]]:
    """Yield each name that is read with one of `BINDINGS`, by Python's rules of scopes; a name bound nowhere is left out."""
    yield from _in_scope(tree, [_scope_of(tree, "module")])


def _in_scope(node: ast.AST, scopes: list[_Scope]) -> Iterator[tuple[ast.Name, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            found = _find(child.id, scopes)
            if found is not None:
                yield child, found
        elif isinstance(child, (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)):
            kind = "class" if isinstance(child, ast.ClassDef) else "function"
            yield from _in_scope(child, [*scopes, _scope_of(child, kind)])
        else:
            yield from _in_scope(child, scopes)


def _find(name: str, scopes: list[_Scope]) -> str | None:
    *outer, own = scopes
    if name in own.bound and name not in own.elsewhere:
        return own.bound[name]
    for scope in reversed(outer):
        if name in scope.bound and scope.kind != "class":  # what a class binds is not seen from inside its functions
            found = scope.bound[name]
            return "enclosing function" if scope.kind == "function" and found in ("parameter", "local") else found
    return "builtin" if name in _BUILTINS else None


def _scope_of(node: ast.AST, kind: str) -> _Scope:
    scope = _Scope(kind)
    if isinstance(node, _FUNCTIONS):
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        scope.bound |= {argument.arg: "parameter" for argument in every if argument is not None}
    for child in ast.iter_child_nodes(node):
        _collect(child, scope)
    return scope


def _collect(node: ast.AST, scope: _Scope) -> None:
    """Write down what a piece of a scope binds; what is inside other scopes is theirs."""
    variable = "module variable" if scope.kind == "module" else "local"
    if isinstance(node, ast.Global | ast.Nonlocal):
        scope.elsewhere |= set(node.names)
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        scope.bound.setdefault(node.id, variable)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        scope.bound |= {(alias.asname or alias.name).partition(".")[0]: "import" for alias in node.names}
    elif isinstance(node, ast.ExceptHandler) and node.name:
        scope.bound.setdefault(node.name, variable)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        scope.bound.setdefault(node.name, "definition")
    elif not isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
        for child in ast.iter_child_nodes(node):
            _collect(child, scope)
