"""Writes a call as a script: what it prints fails by itself as the check did."""

from __future__ import annotations

import hashlib
import keyword
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gpuops.devices import Device, array_kind, device_of
from gpuops.errors import GraphError
from gpuops.namespaces import Packet
from gpuops.opchecks.draw_edit import Values
from gpuops.opchecks.report import host
from gpuops.opchecks.script_arrays import array_lines, number, saved_lines, shared_memory
from gpuops.opchecks.script_imports import imports
from gpuops.opchecks.subject import Subject
from gpuops.registry import Operator
from gpuops.transforms.trace.values import expression, import_line

__all__ = ["one_line", "script", "where_to_save"]


def script(
    test: str, subject: Subject, values: Values | None = None, *, save_data: Path | None = None
) -> str:
    """A script that calls `gpuops.opcheck` with the arguments, written out.

    Args:
        test: the check.
        subject: the operator with its sample, the seed and the tolerances.
        values: other arguments than the sample's, in schema order.
        save_data: an .npz file that the arrays are written to, for the script to load.

    Returns:
        Python source. What cannot be written as an expression is ``...``, with a comment that
        says what has to stand there.
    """
    writer = _Writer(subject.operator, save_data)
    call = _call(writer, subject, subject.values if values is None else values)
    options = [f'test_utils="{test}"', f"seed={subject.seed!r}"]
    if subject.rtol is not None:
        options += [f"atol={number(subject.atol)}", f"rtol={number(subject.rtol)}"]
    lines = [
        *imports(subject.operator, writer.imports, writer.modules),
        "",
        *writer.lines,
        *_call_lines([*call, *options]),
    ]
    if save_data is not None:
        _save(save_data, writer.saved)
    return "\n".join(lines) + "\n"


def one_line(operator: Operator, values: Values) -> str:
    """A call as an expression, with the elements of small arrays."""
    texts = []
    for parameter, value in zip(operator.schema.parameters, values, strict=True):
        items = value if isinstance(value, list) else [value]
        shown = [_short(item) for item in items]
        text = f"[{', '.join(shown)}]" if isinstance(value, list) else shown[0]
        texts.append(f"{parameter.name}={text}")
    return f"{operator.qualname}({', '.join(texts)})"


def _short(value: Any) -> str:
    if array_kind(type(value)) is None:
        return repr(value)
    data = host(value)
    where = "" if type(value) is np.ndarray else " on cuda"
    if not data.flags.c_contiguous:
        where += f" with strides {data.strides}"
    where += "" if data.flags.writeable else ", read-only"
    where += "" if data.flags.aligned else ", unaligned"
    head = f"{data.dtype}{list(data.shape)}{where}"
    return f"{head} {data.tolist()}" if 0 < data.size <= 8 else head


def where_to_save(operator: Operator, test: str, values: Values) -> Path:
    """A file in the directory for temporary files, the same for the same arrays."""
    digest = hashlib.sha256()
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if array_kind(type(item)) is not None:
                digest.update(host(item).tobytes())
            digest.update(repr(getattr(item, "shape", item)).encode())
    name = operator.qualname.replace("::", "_").replace(".", "_")
    folder = Path(tempfile.gettempdir()) / "gpuops-opcheck"
    return folder / f"{name}_{test}_{digest.hexdigest()[:12]}.npz"


def _call_lines(arguments: list[str]) -> list[str]:
    line = f"gpuops.opcheck({', '.join(arguments)})"
    if len(line) <= 100:
        return [line]
    return ["gpuops.opcheck(", *(f"    {argument}," for argument in arguments), ")"]


def _save(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def _call(writer: _Writer, subject: Subject, values: Values) -> list[str]:
    """The operator and its arguments, as `opcheck` takes them."""
    parameters = subject.operator.schema.parameters
    writer.share([host(v) for v in _flat(values) if array_kind(type(v)) is not None])
    texts = [writer.value(p.name, v) for p, v in zip(parameters, values, strict=True)]
    number_of = len(subject.operator.schema.positional)
    positional, named = texts[:number_of], texts[number_of:]
    pairs = [
        f'"{parameter.name}": {text}'
        for parameter, text in zip(parameters[number_of:], named, strict=True)
    ]
    args = f"({', '.join(positional)}{',' if len(positional) == 1 else ''})"
    keywords = [f"{{{', '.join(pairs)}}}"] if pairs else []
    return [_operator(subject.operator), args, *keywords]


def _flat(values: Values) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _operator(operator: Operator) -> str:
    text = "gpuops.ops"
    names = [operator.namespace, operator.name]
    if operator.overload:
        names.append(operator.overload)
    elif len(Packet(operator.namespace, operator.name).overloads()) > 1:
        names.append("default")
    for name in names:
        text = f'getattr({text}, "{name}")' if keyword.iskeyword(name) else f"{text}.{name}"
    return text


@dataclass
class _Writer:
    """Collects the lines that make the arguments.

    Attributes:
        lines: statements.
        imports: import statements that they need.
        modules: the modules of what is imported by name, which may have to be found first.
        saved: what goes to the file of arrays.
    """

    operator: Operator
    path: Path | None
    lines: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    saved: dict[str, Any] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=lambda: {"np", "gpuops", "data", "memory", "module"})
    _memory: dict[int, tuple[str, int]] = field(default_factory=dict)

    def share(self, arrays: list[Any]) -> None:
        """Write down memory that several arrays lie in, once."""
        if self.path is not None:
            self.lines.append(f"data = np.load({str(self.path)!r})")
        self._memory, lines = shared_memory(arrays)
        self.lines += lines

    def value(self, name: str, value: Any) -> str:
        """An expression for an argument."""
        if isinstance(value, list):
            return f"[{', '.join(self.value(name, item) for item in value)}]"
        if array_kind(type(value)) is not None:
            return self._array(name, value)
        if isinstance(value, np.dtype):
            return f"np.dtype({value.str!r})"
        if isinstance(value, Device):
            return f'gpuops.Device("{value}")'
        if value is None or isinstance(value, (bool, int, float, complex, str)):
            return number(value)
        return self._object(name, value)

    def _name(self, name: str) -> str:
        """A variable that nothing else is called."""
        candidates = [name, *(f"{name}_{k}" for k in range(1, 10_000))]
        found = next(c for c in candidates if c not in self._taken and not keyword.iskeyword(c))
        self._taken.add(found)
        return found

    def _array(self, name: str, value: Any) -> str:
        variable = self._name(name)
        data = host(value)
        if self.path is not None:
            self.saved[variable] = np.array(data, order="K")
            self.lines += saved_lines(variable, data)
        else:
            lines = array_lines(variable, data, self._memory.get(id(data)))
            self.imports |= {line for line in lines if line.startswith("import ")}
            self.lines += [line for line in lines if not line.startswith("import ")]
        if type(value) is not np.ndarray:
            device = device_of(value)
            self.lines.append(f'{variable} = gpuops.asarray({variable}, device="{device}")')
        return variable

    def _object(self, name: str, value: Any) -> str:
        """An object by its own expression, by its saved form, or as a gap to fill in."""
        variable = self._name(name)
        cls = type(value)
        found = _expression(value)
        if found is not None:
            text, names = found
            for each, meaning in names.items():
                if (line := import_line(each, meaning)) is not None:
                    self.imports.add(line)
                    self.modules.add(meaning.__module__)
            self.lines.append(f"{variable} = {text}")
        else:
            what = f"a {cls.__module__}.{cls.__qualname__}"
            shown = " ".join(repr(value).split())[:80]
            self.lines.append(f"{variable} = ...  # fill in {what} such as {shown}")
        return variable


def _expression(value: Any) -> tuple[str, dict[str, Any]] | None:
    """An expression that makes an equal object, with the names in it that can be imported."""
    cls = type(value)
    found: tuple[str, dict[str, Any]] | None
    try:
        if hasattr(value, "to_json") and hasattr(cls, "from_json"):
            found = f"{cls.__name__}.from_json({value.to_json()!r})", {cls.__name__: cls}
        else:
            found = expression(value)
    except (GraphError, TypeError, ValueError):
        return None
    if any(import_line(name, meaning) is None for name, meaning in found[1].items()):
        return None
    return found
