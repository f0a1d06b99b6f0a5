"""`Schema` -> the source of one operator's call.

For ``my::scale(Array x, float s=2.0) -> Array`` the source is::

    def scale(x, s=default_s):
        if type(x) is ndarray and type(s) is float:
            out = cpu(x, s)
            if type(out) is ndarray:
                return out
            return check(out, 'cpu', x, s)
        if type(x) is cuda_array and type(s) is float and (one_gpu or current_gpu(x)):
            out = cuda(x, s)
            ...
        return slow(x, s)

It is an ordinary function: `inspect.getsource`, tracebacks and pdb show it. Its globals are the
operator's kernel table, so that registering a kernel replaces one entry and no code. Whatever the
tests do not expect goes to ``slow`` (`gpuops.dispatch`), and whatever the kernel should not have
returned to ``check``.
"""

from __future__ import annotations

import linecache
import types
import weakref
from collections.abc import Callable
from enum import Enum
from itertools import count
from keyword import iskeyword
from typing import Any

import numpy as np

from gpuops import opaque
from gpuops.conventions import returned_arguments
from gpuops.devices import Device
from gpuops.namespaces import call_name
from gpuops.register import device_parameter
from gpuops.registry import Operator
from gpuops.schema import ORDERS, Parameter, Type

__all__ = ["CallTable", "build"]

_serial = count()

_EXACT: dict[str, type] = {"float": float, "bool": bool, "str": str, "complex": complex}


class CallTable:
    """Source under construction, and the names its globals need.

    Names that a parameter has already get underscores, so that any parameter name works.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.schema = operator.schema
        unusable = iskeyword(operator.name) or operator.name == "__debug__"
        self.function_name = operator.name + ("_" if unusable else "")
        self._taken = {parameter.name for parameter in self.schema.parameters}
        self._taken.add(self.function_name)
        self._names: dict[str, str] = {}
        # What the fixed names stand for; the kernels are filled in by dispatch.
        self.globals: dict[str, Any] = {}
        # What stands in the place of a kernel that calls cannot go to quickly.
        self.unquick: Callable[..., Any] | None = None

    def name(self, wanted: str, value: Any = None) -> str:
        """A global's name in the source; its value is set the first time."""
        if wanted not in self._names:
            found = wanted
            while found in self._taken:
                found += "_"
            self._taken.add(found)
            self._names[wanted] = found
            self.globals[found] = value
        return self._names[wanted]

    def known(self, wanted: str) -> str | None:
        """The name that `name` gave, or None if the source does not use it."""
        return self._names.get(wanted)


def build(operator: Operator) -> tuple[Callable[..., Any], CallTable]:
    """The function that calls `operator`, with unfilled kernel slots, and its table of globals."""
    table = CallTable(operator)
    source = _source(table)
    filename = f"<gpuops {operator.qualname} #{next(_serial)}>"
    code = compile(source, filename, "exec")
    table.globals["__name__"] = "gpuops.ops"
    exec(code, table.globals)
    function = table.globals.pop(table.function_name)
    assert isinstance(function, types.FunctionType)
    function.__name__ = operator.name
    function.__module__ = "gpuops.ops"
    function.__qualname__ = call_name(operator)
    # `inspect`, tracebacks and pdb read source through linecache; an entry without a modification
    # time is never checked against a file.
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function, table


def _source(table: CallTable) -> str:
    schema = table.schema
    lines = [f"def {table.function_name}({_parameters(table)}):"]
    passed = _passed(table, quick=True)
    for device, array in (("cpu", "ndarray"), ("cuda", "cuda_array")):
        conditions = _conditions(table, device, array)
        if conditions is not None:
            lines += _branch(table, device, array, conditions, passed)
    if not schema.array_parameters and device_parameter(schema) is None:
        conditions = [_not_intercepted(table)]
        conditions += [test for p in schema.parameters if (test := _test(table, p, "", ""))]
        lines += _branch(table, "default", None, conditions, passed)
    call = f"{table.name('slow')}({_passed(table, quick=False)})"
    lines.append(f"    return {call}")
    return "\n".join(lines) + "\n"


def _local(table: CallTable, wanted: str) -> str:
    while any(wanted == parameter.name for parameter in table.schema.parameters):
        wanted += "_"
    return wanted


def _parameters(table: CallTable) -> str:
    parts = []
    star = False
    for parameter in table.schema.parameters:
        if parameter.kwarg_only and not star:
            parts.append("*")
            star = True
        text = parameter.name
        if parameter.has_default:
            text += f"={_default(table, parameter)}"
        parts.append(text)
    return ", ".join(parts)


def _default(table: CallTable, parameter: Parameter) -> str:
    value = parameter.default
    if value is None or type(value) in (bool, int, str):
        return repr(value)
    if type(value) is float and value - value == 0.0:  # finite: inf and nan are names
        return repr(value)
    return table.name(f"default_{parameter.name}", value)


def _passed(table: CallTable, *, quick: bool) -> str:
    """The arguments of a call: positional ones by position, the others by name.

    A kernel on the quick path gets a copy of each list: what it does to its list is no business
    of the caller's. The slow path gets what came, which need not be a list yet.
    """
    parts = []
    for parameter in table.schema.parameters:
        text = name = parameter.name
        if parameter.type.is_list and quick:
            text = f"[*{name}]"
            if parameter.type.optional:
                text = f"None if {name} is None else {text}"
        parts.append(f"{name}={text}" if parameter.kwarg_only else text)
    return ", ".join(parts)


# -- the tests before a kernel ---------------------------------------------------------------------


def _conditions(table: CallTable, device: str, array: str) -> list[str] | None:
    """The tests of one device's branch; None if the operator cannot get there quickly."""
    schema = table.schema
    arrays = schema.array_parameters
    chooser = device_parameter(schema)
    if not arrays and (chooser is None or device != "cpu"):
        # Without arrays, only "cpu" is a device that needs no device to be made current.
        return None
    # Random operators are taken by batchings, also where none of their arrays is batched.
    draws = any(parameter.type.base == "RNGState" for parameter in schema.parameters)
    tests = [_not_intercepted(table)] if draws or not arrays else []
    for parameter in schema.parameters:
        if not arrays and parameter.name == chooser:
            tests.append(f"{parameter.name} is {table.name('cpu_device', Device('cpu'))}")
        elif test := _test(table, parameter, device, array):
            tests.append(test)
    if arrays and not any(parameter.type.is_plain_array for parameter in arrays):
        # Nothing but optional arrays and lists: one of them has to hold an array.
        present = [
            p.name if p.type.is_list else f"{p.name} is not None"
            for p in arrays
            if not p.type.item_optional
        ]
        if not present:
            return None
        tests.append(present[0] if len(present) == 1 else f"({' or '.join(present)})")
    if device == "cuda":
        given = ", ".join(f"*({p.name} or ())" if p.type.is_list else p.name for p in arrays)
        tests.append(f"({table.name('one_gpu', False)} or {table.name('current_gpu')}({given}))")
    return tests


def _not_intercepted(table: CallTable) -> str:
    """The test of a call without arrays that no fake kernel or tracing wants to take it."""
    return f"not {table.name('intercepted')}"


def _test(table: CallTable, parameter: Parameter, device: str, array: str) -> str:
    """The test that one argument needs no conversion for a branch."""
    name = parameter.name
    type_ = parameter.type
    if type_.is_list:
        test = _list_test(table, name, type_, device, array)
    else:
        test = _item_test(table, name, type_, array)
    return f"({name} is None or {test})" if type_.optional else test


def _item_test(table: CallTable, name: str, type_: Type, array: str) -> str:
    kind = f"{table.name('type', type)}({name})"
    if type_.is_array:
        return f"{kind} is {table.name(array)}"
    if type_.is_int:
        return f"{kind} is {table.name('int', int)}"
    base = type_.base
    if base in _EXACT:
        return f"{kind} is {table.name(base, _EXACT[base])}"
    if base == "Scalar":
        return f"{kind} in {table.name('scalars', frozenset({int, float, bool, complex}))}"
    if base == "dtype":
        return f"{table.name('isinstance', isinstance)}({name}, {table.name('dtype', np.dtype)})"
    if base == "device":
        return f"{kind} is {table.name('Device', Device)}"
    if base == "order":
        orders = table.name("orders", frozenset(ORDERS))
        return f"({kind} is {table.name('str', str)} and {name} in {orders})"
    cls = opaque.opaque_class(base)
    if cls is None:
        return "False"  # the class is gone; the slow path says so
    known = table.name(f"opaque_{_word(base)}", cls)
    if issubclass(cls, Enum) and list(cls):
        return f"{kind} is {known}"  # an enumeration with members has no subclasses
    return f"({kind} is {known} or {table.name('issubclass', issubclass)}({kind}, {known}))"


def _word(base: str) -> str:
    """A type's name as part of another name, different for every type: ``a.b`` is not ``a_b``."""
    return base.replace("_", "__").replace(".", "_dot_")


def _list_test(table: CallTable, name: str, type_: Type, device: str, array: str) -> str:
    """A list is quick if its items have exactly the expected type; the test runs in C."""
    kind = f"{table.name('type', type)}({name}) is {table.name('list', list)}"
    length = "" if type_.size is None else f" and {table.name('len', len)}({name}) == {type_.size}"
    if type_.is_array:
        only = table.name(f"only_{array}{'_or_none' if type_.item_optional else ''}")
    else:
        allowed = _exact_types(type_.item).issuperset
        # Apart from the names for arrays, which an opaque type may be called as.
        kinds = "opaque_" * type_.is_opaque + _word(type_.base)
        only = table.name(f"only_{kinds}{'_or_none' if type_.item_optional else ''}", allowed)
    items = f"{only}({table.name('map', map)}({table.name('type', type)}, {name}))"
    return f"({kind}{length} and {items})"


def _exact_types(item: Type) -> frozenset[Any]:
    exact = {
        "int": (int,),
        "SymInt": (int,),
        "float": (float,),
        "bool": (bool,),
        "str": (str,),
        "complex": (complex,),
        "Scalar": (int, float, bool, complex),
        "device": (Device,),
        # Every dtype has a class of its own, and memory orders need a look at the value.
        "dtype": (),
        "order": (),
    }
    types_: tuple[Any, ...] = exact.get(item.base, (opaque.opaque_class(item.base),))
    return frozenset((*types_, type(None)) if item.optional else types_)


# -- the kernel and what it returned ---------------------------------------------------------------


def _branch(
    table: CallTable, device: str, array: str | None, conditions: list[str], passed: str
) -> list[str]:
    out = _local(table, "out")
    kernel = table.name(device)
    check = table.name("check")
    values = ", ".join(parameter.name for parameter in table.schema.parameters)
    given = f", {values}" if values else ""
    returned = _return_test(table, out, array)
    lines = _if(conditions or ["True"])
    lines.append(f"        {out} = {kernel}({passed})")
    lines += _bump(table, "        ")
    if returned:
        lines += [f"        if {returned}:", f"            return {out}"]
    label = repr(device) if array else None
    lines.append(f"        return {check}({out}, {label}{given})")
    return lines


def _if(conditions: list[str]) -> list[str]:
    line = f"    if {' and '.join(conditions)}:"
    if len(line) <= 100:
        return [line]
    rest = [f"        and {condition}" for condition in conditions[1:]]
    return ["    if (", f"        {conditions[0]}", *rest, "    ):"]


def _bump(table: CallTable, indent: str) -> list[str]:
    mutated = table.schema.mutated
    if not mutated:
        return []
    tracked, bump = table.name("tracked"), table.name("bump")
    return [f"{indent}if {tracked}:", f"{indent}    {bump}({', '.join(mutated)})"]


def _return_test(table: CallTable, out: str, array: str | None) -> str:
    """The test that a kernel's result needs no conversion; empty if only `check` can tell."""
    schema = table.schema
    if not schema.returns:
        return f"{out} is None"
    returned = returned_arguments(schema, table.operator.tags)
    if returned and not schema.returns_tuple:
        return f"{out} is {returned[0].name}"
    tests = []
    values = (
        [out] if not schema.returns_tuple else [f"{out}[{i}]" for i in range(len(schema.returns))]
    )
    if schema.returns_tuple:
        tests.append(f"{table.name('type', type)}({out}) is {table.name('tuple', tuple)}")
        tests.append(f"{table.name('len', len)}({out}) == {len(values)}")
    for index, (output, value) in enumerate(zip(schema.returns, values, strict=True)):
        type_ = output.type
        if returned:
            test = f"{value} is {returned[index].name}"
        elif type_.is_array and array is None:
            return ""
        elif type_.is_list:
            test = _list_test(table, value, type_, "", array or "")
        else:
            test = _item_test(table, value, type_, array or "")
        tests.append(f"({value} is None or {test})" if type_.optional else test)
    return " and ".join(tests)
