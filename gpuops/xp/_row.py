"""One row an operator: its schema, its kernel, its fake rule, and the function that users call.

A row is declared with a decorator on its kernel, which gets the array library (NumPy or CuPy) as
its first argument::

    def _flip(x, axis=None):  # the fake rule: metadata in, metadata out
        ...

    @row("flip(Array(a) x, SymInt[]? axis=None) -> Array(a)", fake=_flip)
    def flip(xp, x, axis=None):
        '''Reverse the order of elements along axes.'''
        return xp.flip(x, axis)

Further rules (gradients, batching) are registered beside it with ``@flip.rule(token)``.
"""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, count
from keyword import iskeyword
from typing import Any, Final, final

import numpy as np

from gpuops.cuda.transfer import namespace
from gpuops.devices import simulated_kind
from gpuops.errors import location_of
from gpuops.register import make_operator
from gpuops.registry import Kernel, Operator, Registration, registry
from gpuops.schema import MISSING, Parameter, Schema, Type
from gpuops.schema_parser import parse_schema
from gpuops.xp._arguments import NORMALISERS, weak_types
from gpuops.xp._fakes import register_rule

__all__ = ["ROWS", "Row", "row"]

ROWS: Final[dict[str, Row]] = {}
"""Every operator of the namespace ``xp::`` by name, in the order of declaration."""

_serial = count()


@final
class Row:
    """An operator of the namespace ``xp::``.

    Attributes:
        name: its name, without the namespace.
        chapter: the module that declares it, by its last name.
        kernel: the kernel; its first argument is the array library.
        fake: the rule for metadata.
        operators: its overloads by name, ``""`` for the default one. Where an argument may be a
            Python number in place of an array, there is an overload for it (``"scalar_x2"``), so
            that NumPy's promotion of weak scalars holds in transforms too.
    """

    def __init__(
        self,
        schema: Schema,
        kernel: Callable[..., Any],
        fake: Callable[..., Any],
        scalars: tuple[str, ...],
    ) -> None:
        self.name = schema.name.removeprefix("xp::")
        self.chapter = str(kernel.__module__).rpartition(".")[2]
        self.kernel = kernel
        self.fake = fake
        self.scalars = scalars
        self.operators: dict[str, Operator] = {}
        self._handles: list[Registration] = []
        self._function: Callable[..., Any] | None = None
        self._bound = _bound(kernel)
        self.__doc__ = kernel.__doc__
        for variant in _variants(schema, scalars):
            self.operators[variant.overload] = self._declare(variant)
        ROWS[self.name] = self

    def _declare(self, schema: Schema) -> Operator:
        operator = make_operator(schema, kind="xp", location=location_of(self.kernel))
        place = location_of(self.kernel) or operator.location
        # Straight into the table: a row's two kernels need no look at their signatures, which
        # would take most of the time that importing the namespace takes.
        registry.add_kernels(
            operator,
            [
                Kernel(function, device, operator.qualname, place, _no_check)
                for device, function in zip(("cpu", "cuda"), self._bound, strict=True)
            ],
        )
        register_rule(operator, self.fake)
        self._handles.append(registry.add(operator))
        return operator

    @property
    def operator(self) -> Operator:
        """The default overload."""
        return self.operators[""]

    @property
    def function(self) -> Callable[..., Any]:
        """What `gpuops.xp` exports: takes what NumPy takes and calls the right overload."""
        if self._function is None:
            self._function = _build(self)
        return self._function

    def rule(self, token: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a rule (gradient, batching, ...) for every overload; a decorator."""

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            for operator in self.operators.values():
                self._handles.append(registry.add_rule(operator, token, function))
            return function

        return add

    def undo(self) -> None:
        """Take the row back, with all that was registered for it."""
        for handle in reversed(self._handles):
            handle.undo()
        if ROWS.get(self.name) is self:
            del ROWS[self.name]

    def __repr__(self) -> str:
        return f"<Row({self.operator.schema}, overloads={list(self.operators)})>"


def row(
    schema: str, *, fake: Callable[..., Any], scalars: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Row]:
    """Declare the operator ``xp::<name>``; a decorator for its kernel.

    Args:
        schema: with its name and without the namespace.
        fake: takes the operator's arguments, arrays as `Meta`, and returns `Meta`.
        scalars: the array arguments for which a Python number may come.

    Raises:
        SchemaError: a malformed schema.
    """

    def declare(kernel: Callable[..., Any]) -> Row:
        return Row(parse_schema(f"xp::{schema}"), kernel, fake, scalars)

    return declare


def _variants(schema: Schema, scalars: tuple[str, ...]) -> Iterator[Schema]:
    yield schema
    several = len(schema.array_parameters) > len(scalars)
    for number in range(1, len(scalars) + 1 if several else len(scalars)):
        for names in combinations(scalars, number):
            parameters = tuple(
                replace(p, type=Type("Scalar", optional=p.type.optional), alias=None)
                if p.name in names
                else p
                for p in schema.parameters
            )
            yield replace(schema, parameters=parameters, overload="_".join(["scalar", *names]))


def _no_check(function: Callable[..., Any]) -> None:
    """A row's kernels are right by construction."""


def _bound(kernel: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The kernels for NumPy's arrays and for CuPy's."""

    def on_numpy(*args: Any, **kwargs: Any) -> Any:
        out = kernel(np, *args, **kwargs)
        return out if type(out) is np.ndarray else _as_arrays(out)

    def on_cupy(*args: Any, **kwargs: Any) -> Any:
        return kernel(_device_library(), *args, **kwargs)

    for function in (on_numpy, on_cupy):
        function.__name__ = kernel.__name__
        function.__qualname__ = kernel.__qualname__
        function.__module__ = kernel.__module__
    return on_numpy, on_cupy


def _device_library() -> Any:
    """The library of the arrays that a CUDA kernel gets: CuPy, or what a simulated GPU has."""
    if simulated_kind.get() is not None:
        return namespace("cuda")
    # A CUDA kernel is only chosen for CuPy's arrays, or for a device that somebody asked for.
    return sys.modules.get("cupy") or importlib.import_module("cupy")


def _as_arrays(out: Any) -> Any:
    """NumPy's scalars as 0-d arrays; named tuples as tuples."""
    if isinstance(out, np.generic):
        return np.asarray(out)
    if isinstance(out, tuple):
        return tuple(np.asarray(item) if isinstance(item, np.generic) else item for item in out)
    return out


# -- the function that users call ------------------------------------------------------------------


def _build(row_: Row) -> Callable[..., Any]:
    schema = row_.operator.schema
    name = row_.name + ("_" if iskeyword(row_.name) else "")
    scope: dict[str, Any] = {"ndarray": np.ndarray, "weak": weak_types}
    lines = [f"def {name}({_parameters(schema, scope)}):"]
    for parameter in schema.parameters:
        lines += _normalise(parameter, scope)
    passed = ", ".join(f"{p.name}={p.name}" if p.kwarg_only else p.name for p in schema.parameters)
    for overload, operator in reversed(row_.operators.items()):
        call = f"call_{overload}" if overload else "call"
        scope[call] = operator.call
        if overload:
            numbers = [
                n for n in row_.scalars if operator.schema.parameters != () and n in overload
            ]
            test = " and ".join(f"type({n}) in weak" for n in _names(operator, numbers))
            lines += [f"    if {test}:", f"        return {call}({passed})"]
    lines.append(f"    return call({passed})")
    source = "\n".join(lines) + "\n"
    filename = f"<gpuops.xp.{row_.name} #{next(_serial)}>"
    scope["__name__"] = "gpuops.xp"
    exec(compile(source, filename, "exec"), scope)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    function: Any = scope.pop(name)
    function.__name__ = function.__qualname__ = row_.name
    function.__doc__ = row_.kernel.__doc__
    function.__module__ = "gpuops.xp"
    function.operator = row_.operator
    function.row = row_
    built: Callable[..., Any] = function
    return built


def _names(operator: Operator, candidates: list[str]) -> list[str]:
    """Those of the candidates that the overload takes as numbers."""
    return [
        p.name
        for p in operator.schema.parameters
        if p.name in candidates and p.type.base == "Scalar"
    ]


def _parameters(schema: Schema, scope: dict[str, Any]) -> str:
    parts = []
    star = False
    for parameter in schema.parameters:
        if parameter.kwarg_only and not star:
            parts.append("*")
            star = True
        text = parameter.name
        if parameter.default is not MISSING:
            scope[f"default_{parameter.name}"] = parameter.default
            plain = parameter.default is None or type(parameter.default) in (bool, int, str)
            text += f"={parameter.default!r}" if plain else f"=default_{parameter.name}"
        parts.append(text)
    return ", ".join(parts)


def _normalise(parameter: Parameter, scope: dict[str, Any]) -> list[str]:
    type_ = parameter.type
    key = type_.base + ("[]" if type_.is_list else "")
    normaliser = NORMALISERS.get(key)
    if normaliser is None:
        return []
    function = f"as_{normaliser.__name__}"
    scope[function] = normaliser
    name = parameter.name
    if key == "Array":
        return [f"    if type({name}) is not ndarray:", f"        {name} = {function}({name})"]
    return [f"    {name} = {function}({name})"]
