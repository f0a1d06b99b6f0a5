"""PTX text to frozen records: module, variables, functions, instructions.

The grammar is that of the PTX ISA (NVIDIA, "Parallel Thread Execution ISA", 8.8), as far as NVRTC
and inline assembly in CUDA headers use it. Nothing is refused here but what cannot be split into
statements: an instruction nobody knows is an error when it executes, not when it is read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

__all__ = ["SIZES", "Function", "Instruction", "Module", "Place", "Variable", "parse", "split"]

SIZES = {
    **dict.fromkeys(("pred", "b8", "u8", "s8", "e4m3", "e5m2"), 1),
    **dict.fromkeys(("b16", "u16", "s16", "f16", "bf16", "e4m3x2", "e5m2x2"), 2),
    **dict.fromkeys(("b32", "u32", "s32", "f32", "f16x2", "bf16x2", "tf32"), 4),
    **dict.fromkeys(("b64", "u64", "s64", "f64", "f32x2"), 8),
    "b128": 16,
}
"""Bytes of each PTX type; a predicate counts as one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the CUDA C++ source an instruction comes from.

    Attributes:
        file: number in `Module.files`.
        line: from 1.
        caller: where the function around it was called, if that call was inlined.
    """

    file: int
    line: int
    caller: Place | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """One PTX instruction.

    Attributes:
        op: with its modifiers, such as ``"ld.global.f32"``.
        args: operands as text; a vector operand keeps its braces.
        guard: the predicate register of ``@p``, or None.
        negated: whether the guard is ``@!p``.
        place: in the source, or None.
    """

    op: str
    args: tuple[str, ...]
    guard: str | None = None
    negated: bool = False
    place: Place | None = None

    @property
    def parts(self) -> list[str]:
        """The opcode split at its dots."""
        return self.op.split(".")

    def __str__(self) -> str:
        guard = f"@{'!' if self.negated else ''}{self.guard} " if self.guard else ""
        return f"{guard}{self.op} {', '.join(self.args)}".strip()


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable or parameter.

    Attributes:
        name: PTX symbol.
        space: ``"shared"``, ``"global"``, ``"const"``, ``"local"`` or ``"param"``.
        type: element type, such as ``"f32"``.
        size: bytes; 0 for an array of unknown length.
        align: bytes.
        init: first bytes of its value; empty if it has none.
        relocations: (offset, symbol, addend) of addresses inside `init`.
        dynamic: whether it is shared memory whose size the launch gives.
    """

    name: str
    space: str
    type: str
    size: int
    align: int
    init: bytes = b""
    relocations: tuple[tuple[int, str, int], ...] = ()
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A kernel or a device function.

    Attributes:
        name: PTX symbol.
        entry: whether it is a kernel.
        params: its parameters in order.
        returns: its return value as a parameter; empty or one.
        registers: register -> declared type.
        variables: declared in its body.
        code: its instructions.
        labels: label -> index into `code`.
        tables: label of ``.branchtargets`` -> the labels it lists.
        max_threads: of ``.maxntid`` or ``.reqntid``; None if it gives none.
    """

    name: str
    entry: bool
    params: tuple[Variable, ...]
    returns: tuple[Variable, ...]
    registers: dict[str, str]
    variables: dict[str, Variable]
    code: tuple[Instruction, ...]
    labels: dict[str, int]
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    max_threads: int | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed PTX text.

    Attributes:
        functions: symbol -> function with a body.
        variables: symbol -> variable outside functions.
        files: number -> path, of the line information.
    """

    functions: dict[str, Function] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)


_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_FILE = re.compile(r'^\s*\.file\s+(\d+)\s+"([^"]*)"[^\n]*$', re.MULTILINE)
_HEADER = re.compile(r"^\s*\.(?:version|target|address_size)\b[^\n]*$", re.MULTILINE)
_LINKAGE = re.compile(r"\.(?:visible|weak|extern|common)\s+")
_FUNCTION = re.compile(r"(?:\.(?:visible|weak|extern|common)\s+)*\.(?:entry|func)\b")
_HEAD = re.compile(
    r"\.(entry|func)\s*(?:\(([^)]*)\)\s*)?([\w$]+)\s*(?:\(([^)]*)\))?(.*)$", re.DOTALL
)
_VARIABLE = re.compile(
    r"\.(shared|global|const|local|param|reg)\s+"
    r"(?:\.attribute\([^)]*\)\s*)?(?:\.align\s+(\d+)\s+)?(?:\.v([24])\s+)?\.(\w+)\s+"
    r"(?:\.ptr\s*(?:\.(?:global|shared|const|local)\s*)?(?:\.align\s+\d+\s*)?)?"
    r"([\w$%.]+)\s*((?:\[\s*\d*\s*\])*)\s*(?:=\s*(.*))?$",
    re.DOTALL,
)
_THREADS = re.compile(r"\.(?:maxntid|reqntid)\s+(\d+(?:\s*,\s*\d+)*)")
# A piece of a body: brace, label, line information or statement.
_PIECE = re.compile(
    r"\s*(?:(?P<brace>[{}])|(?P<label>[\w$]+)\s*:(?!:)|(?P<loc>\.loc\s[^\n]*)|(?P<text>[^;]+);)"
)
_LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)\s+(\d+)(?:.*inlined_at\s+(\d+)\s+(\d+)\s+(\d+))?")
_STATEMENT = re.compile(r"(?:@(!?)\s*([\w%$]+)\s+)?([a-z][\w.:]*)\s*(.*)$", re.DOTALL)
_NAME = re.compile(r"(?<![\w$%])[A-Za-z_%$][\w$%]*")
_RANGE = re.compile(r"(.*)<(\d+)>$")


def split(text: str) -> list[str]:
    """Split operands at the commas outside brackets.

    >>> split("{%f1, %f2}, [%rd1+8]")
    ['{%f1, %f2}', '[%rd1+8]']
    """
    if not any(c in text for c in "{[("):
        return [part.strip() for part in text.split(",")] if text.strip() else []
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "{[(":
            depth += 1
        elif c in "}])":
            depth -= 1
        elif c == "," and not depth:
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def parse(text: str) -> Module:
    """Parse PTX.

    >>> module = parse('''.version 8.0
    ... .target sm_80
    ... .visible .entry k(.param .u64 k_param_0) { .reg .b32 %r<2>; mov.u32 %r1, %tid.x; ret; }''')
    >>> [str(i) for i in module.functions["k"].code]
    ['mov.u32 %r1, %tid.x', 'ret']
    """
    text = _COMMENT.sub(" ", text)
    files = {int(number): path for number, path in _FILE.findall(text)}
    text = _HEADER.sub("", _FILE.sub("", text))
    module = Module(files=files)
    for head, body in _top_level(text):
        if body is not None:
            function = _function(head, body)
            module.functions[function.name] = function
        else:
            variable = _variable(_LINKAGE.sub("", head), ".extern" in head)
            if variable is not None:
                module.variables[variable.name] = variable
    return module


def _top_level(text: str) -> Iterator[tuple[str, str | None]]:
    """(head, body) of each function with a body, (declaration, None) of each variable."""
    at, end = 0, len(text)
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at >= end or text.startswith((".section", "{", "}"), at):
            return  # sections of debug information end the code
        if _FUNCTION.match(text, at):
            brace, semicolon = text.find("{", at), text.find(";", at)
            if brace < 0 or 0 <= semicolon < brace:
                at = semicolon + 1  # a prototype
                continue
            depth, stop = 1, brace + 1
            while depth:
                stop = min(x for x in (text.find("{", stop), text.find("}", stop)) if x >= 0)
                depth += 1 if text[stop] == "{" else -1
                stop += 1
            yield text[at:brace], text[brace + 1 : stop - 1]
            at = stop
        else:
            stop = text.find(";", at)
            stop = end if stop < 0 else stop
            yield text[at:stop], None
            at = stop + 1


def _variable(text: str, external: bool = False) -> Variable | None:
    match = _VARIABLE.match(text.strip())
    if match is None:
        return None
    space, align, vector, kind, name, dims, init = match.groups()
    count = int(vector or 1)
    lengths = re.findall(r"\[\s*(\d*)\s*\]", dims)
    for length in lengths:
        count *= int(length or 0)
    size = count * SIZES.get(kind, 8)
    data, relocations = _initial(init, kind) if init else (b"", ())
    dynamic = space == "shared" and (external or lengths[:1] == [""])
    alignment = int(align or SIZES.get(kind, 8))
    return Variable(name, space, kind, size, alignment, data, relocations, dynamic)


def _initial(text: str, kind: str) -> tuple[bytes, tuple[tuple[int, str, int], ...]]:
    """The bytes of an initialiser, and where addresses go in it."""
    data, relocations, width = bytearray(), [], SIZES[kind]
    for item in re.split(r"[\s,{}]+", text.strip()):
        if not item:
            continue
        match = re.fullmatch(r"(?:generic\()?([A-Za-z_$][\w$]*)\)?(?:\+(\d+))?", item)
        if match is not None:
            relocations.append((len(data), match[1], int(match[2] or 0)))
            data += bytes(width)
        elif item[:2].lower() in ("0f", "0d"):
            value = bytes.fromhex(item[2:])[::-1]
            if kind == "f64" and len(value) == 4:
                value = struct.pack("<d", struct.unpack("<f", value)[0])
            data += value
        elif kind in ("f32", "f64"):
            data += np.array(float(item), "f4" if kind == "f32" else "f8").tobytes()
        else:
            number = int(item.rstrip("Uu"), 0) & ((1 << 8 * width) - 1)
            data += number.to_bytes(width, "little")
    return bytes(data), tuple(relocations)


def _parameters(text: str | None) -> tuple[Variable, ...]:
    found = (_variable(part) for part in split(text or ""))
    return tuple(variable for variable in found if variable is not None)


def _function(head: str, body: str) -> Function:
    match = _HEAD.search(head)
    if match is None:
        raise ValueError(f"PTX function without a name: {head.strip()!r}")
    kind, returns, name, params, _ = match.groups()
    threads = _THREADS.search(head)
    limit = int(np.prod([int(n) for n in threads[1].split(",")])) if threads else None
    parsed = _Body()
    for piece in _PIECE.finditer(body):
        parsed.add(piece)
    return Function(
        name,
        kind == "entry",
        _parameters(params),
        _parameters(returns),
        parsed.registers,
        parsed.variables,
        tuple(parsed.code),
        parsed.labels,
        parsed.tables,
        limit,
    )


class _Body:
    """Collects the statements of a function; names declared in inner braces get unique ones."""

    def __init__(self) -> None:
        self.registers: dict[str, str] = {}
        self.variables: dict[str, Variable] = {}
        self.code: list[Instruction] = []
        self.labels: dict[str, int] = {}
        self.tables: dict[str, tuple[str, ...]] = {}
        self._label = ""
        self._scopes: list[dict[str, str]] = [{}]
        self._inner = 0
        self._place: Place | None = None
        self._sites: dict[tuple[int, int, int], Place] = {}

    def add(self, piece: re.Match[str]) -> None:
        kind, text = piece.lastgroup, piece[0]
        if kind == "brace":
            if text.strip() == "{":
                self._scopes.append({})
                self._declare_labels(piece)
            else:
                self._scopes.pop()
        elif kind == "label":
            self._label = self._rename(piece["label"])
            self.labels[self._label] = len(self.code)
        elif kind == "loc":
            self._locate(piece["loc"])
        else:
            self._statement(piece["text"].strip())

    def _declare_labels(self, brace: re.Match[str]) -> None:
        """Labels in braces are local to them and may be jumped to before they come."""
        text, depth, at = brace.string, 1, brace.end()
        stop = at
        while depth and stop < len(text):
            depth += {"{": 1, "}": -1}.get(text[stop], 0)
            stop += 1
        for label in re.findall(r"(?:^|[;{}\n])\s*([\w$]+)\s*:(?!:)", text[at:stop]):
            self._unique(label)

    def _unique(self, name: str) -> str:
        self._inner += 1
        self._scopes[-1][name] = unique = f"{name}#{self._inner}"
        return unique

    def _rename(self, name: str) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return name

    def _locate(self, text: str) -> None:
        match = _LOC.match(text)
        # Line 0: the compiler made it up; what came before is the nearest place to name.
        if match is not None and match[2] != "0":
            file, line, column = (int(n) for n in match.groups()[:3])
            caller = None
            if match[4]:
                site = (int(match[4]), int(match[5]), int(match[6]))
                # The call may itself be in a function that was inlined.
                caller = self._sites.get(site) or Place(site[0], site[1])
            self._place = Place(file, line, caller)
            if caller is not None:
                self._sites[file, line, column] = self._place

    def _statement(self, text: str) -> None:
        if text.startswith("."):
            self._declaration(" ".join(text.split()))
            return
        match = _STATEMENT.match(text)
        if match is None:
            raise ValueError(f"PTX statement that cannot be read: {text!r}")
        negated, guard, op, rest = match.groups()
        if len(self._scopes) > 1:
            rest = _NAME.sub(lambda name: self._rename(name[0]), rest)
            guard = guard and self._rename(guard)
        args = tuple(split(" ".join(rest.split())))
        self.code.append(Instruction(op, args, guard, negated == "!", self._place))

    def _declaration(self, text: str) -> None:
        if text.startswith(".branchtargets"):
            names = split(text.partition(" ")[2])
            self.tables[self._label] = tuple(self._rename(name) for name in names)
            return
        match = re.match(r"\.reg\s+(?:\.v\d\s+)?\.(\w+)\s+(.*)", text)
        if match is None:
            variable = _variable(_LINKAGE.sub("", text), ".extern" in text)
            if variable is not None:
                name = variable.name
                if len(self._scopes) > 1 and variable.space in ("param", "local"):
                    name = self._unique(name)
                self.variables[name] = Variable(
                    name, *(getattr(variable, f) for f in Variable.__slots__[1:])
                )
            return
        for name in split(match[2]):
            group = _RANGE.match(name)
            if group is not None:
                numbered = (f"{group[1]}{k}" for k in range(int(group[2])))
                self.registers.update(dict.fromkeys(numbered, match[1]))
            elif len(self._scopes) > 1 or name in self.registers:
                self.registers[self._unique(name)] = match[1]
            else:
                self.registers[name] = match[1]
