"""A Python function of NumPy operations for each basic block, made when it first executes.

The function takes the machine ``M``, the frame ``G``, its registers ``R`` and its threads ``L``.
It reads the registers that are live when the block begins, keeps what it computes in local
variables, and puts back those that are live when it ends. Values are scalars or arrays (see
`frame`), and the same source serves both. What an instruction becomes is in the tables of `emit`.

The source is registered with `linecache`: it shows in tracebacks, and `inspect.getsource` finds it.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.cuda.sim.flow import Block
from gpuops.cuda.sim.layout import FIRST, RESERVED
from gpuops.cuda.sim.ptx import SIZES, Instruction, split
from gpuops.cuda.sim.regions import WORKSPACE, origin_of

__all__ = ["SPECIAL", "Builder", "Unsupported", "dtype_of"]

_DTYPES: dict[str, Any] = {
    "pred": np.bool_,
    **dict.fromkeys(("b8", "u8"), np.uint8),
    "s8": np.int8,
    **dict.fromkeys(("b16", "u16", "bf16", "e4m3x2", "e5m2x2"), np.uint16),
    "s16": np.int16,
    "f16": np.float16,
    **dict.fromkeys(("b32", "u32", "f16x2", "bf16x2", "tf32"), np.uint32),
    "s32": np.int32,
    "f32": np.float32,
    **dict.fromkeys(("b64", "u64", "f32x2"), np.uint64),
    "s64": np.int64,
    "f64": np.float64,
}
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_SIGNED = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}
SPECIAL = {
    **dict.fromkeys(("%smid", "%gridid", "%cluster_ctarank"), 0),
    **{f"%cluster_ctaid.{axis}": 0 for axis in "xyz"},
    **{f"%cluster_nctaid.{axis}": 1 for axis in "xyz"},
    **dict.fromkeys(("%nsmid", "%cluster_nctarank"), 1),
    **dict.fromkeys(("%dynamic_smem_size", "%total_smem_size")),
    **{f"%reserved_smem_offset_{which}": FIRST for which in ("begin", "0", "1")},
    "%reserved_smem_offset_end": FIRST + RESERVED,
    "%envreg1": origin_of(WORKSPACE) >> 32,
    "%envreg2": origin_of(WORKSPACE) & 0xFFFFFFFF,
}
"""Special registers that are the same for all threads; None: depends on the launch."""
_ADDRESS = re.compile(r"\[\s*([^+\s\]]+)\s*(?:\+\s*(-?\w+))?\s*\]$")
_SYMBOL = re.compile(r"([A-Za-z_$%][\w$%#@.]*)\s*(?:\+\s*(-?\d+))?$")


class Unsupported(Exception):
    """An instruction that is not simulated; raised when it executes."""


def dtype_of(kind: str) -> Any:
    """The NumPy scalar type in which values of a PTX type are held."""
    try:
        return _DTYPES[kind]
    except KeyError:
        raise Unsupported(f"type .{kind}") from None


class _Value:
    """A value in the block being made: a local variable or a constant."""

    __slots__ = ("constant", "dtype", "name", "views")

    def __init__(self, name: str, dtype: Any, constant: Any = None) -> None:
        self.name, self.dtype, self.constant = name, dtype, constant
        self.views: dict[Any, _Value] = {}


class Builder:
    """Collects the source of one block.

    Args:
        program: the kernel; gives layout, registers' homes, and the namespace.
        block: what to make a function of.
    """

    def __init__(self, program: Any, block: Block) -> None:
        self.program, self.block = program, block
        self.lines: list[str] = []
        self.pc = 0
        self._env: dict[str, _Value] = {}
        self._dirty: dict[str, None] = {}
        self._special: dict[str, _Value] = {}
        self._names = 0

    # -- the function ------------------------------------------------------------------------

    def build(self, emit: Callable[[Builder, Instruction], None]) -> Any:
        """The compiled function."""
        for pc, x in self.block.code:
            self.pc = pc
            before = len(self.lines), dict(self._env), dict(self._dirty)
            try:
                emit(self, x)
            except (Unsupported, KeyError, IndexError, StopIteration, ValueError, TypeError):
                # Whatever an emitter stumbles over is an instruction that it was not written for.
                del self.lines[before[0] :]
                self._env, self._dirty = before[1], before[2]
                self.lines.append(f"M.unsupported({self.pc})")
        result = ""
        if self.block.condition is not None:
            kind = "pred" if self.block.end == "branch" else "u32"
            result = f" {self.read(self.block.condition, kind)}"
        for name in self._dirty:
            number = self.program.numbers[name]
            if self.block.live_out >> number & 1:
                home = self.program.homes[number]
                self.lines.append(f"R[{number}] = {self._as(self._env[name], home).name}")
        self.lines.append(f"return{result}")
        return self._compile()

    def _compile(self) -> Any:
        program = self.program
        title = f"block_{self.block.index}"
        body = "\n    ".join(self.lines)
        source = f"def {title}(M, G, R, L):\n    {body}\n"
        filename = f"<simulated {program.title} {title} #{program.serial}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        program.files.append(filename)
        exec(compile(source, filename, "exec"), program.namespace)
        return program.namespace[title]

    def line(self, text: str) -> None:
        """Add a statement."""
        self.lines.append(text)

    def name(self) -> str:
        """A local variable that is not in use."""
        self._names += 1
        return f"v{self._names}"

    def constant(self, value: Any) -> str:
        """The name of an object in the function's globals."""
        return str(self.program.constant(value))

    # -- reading -----------------------------------------------------------------------------

    def read(self, operand: str, kind: str) -> str:
        """An expression for an operand as a PTX type.

        Args:
            operand: register, special register, immediate, symbol, or a negated predicate.
            kind: such as ``"s32"``.
        """
        if operand.startswith("!"):
            return f"(~{self.read(operand[1:], kind)})"
        return self._as(self._value(operand, dtype_of(kind)), dtype_of(kind)).name

    def is_constant(self, operand: str) -> bool:
        """Whether an operand is an immediate."""
        return operand not in self.program.numbers and not operand.startswith(("%", "!"))

    def _value(self, operand: str, dtype: Any) -> _Value:
        found = self._env.get(operand)
        if found is not None:
            return found
        number = self.program.numbers.get(operand)
        if number is not None:
            variable = self.name()
            self.lines.append(f"{variable} = R[{number}]")
            self.lines.append(f"if {variable} is None: {variable} = G.fetch({number})")
            found = self._env[operand] = _Value(variable, self.program.homes[number])
            return found
        if operand.startswith("%"):
            return self._read_special(operand)
        constant = self.immediate(operand, dtype)
        return _Value(self.constant(constant), constant.dtype.type, constant)

    def _read_special(self, name: str) -> _Value:
        clock = {
            "%clock": ("M.cycles() & 0xFFFFFFFF", np.uint32),
            "%clock_hi": ("M.cycles() >> 32", np.uint32),
            "%clock64": ("M.cycles()", np.uint64),
            "%globaltimer": ("M.cycles()", np.uint64),
            "%globaltimer_lo": ("M.cycles() & 0xFFFFFFFF", np.uint32),
            "%globaltimer_hi": ("M.cycles() >> 32", np.uint32),
        }.get(name)
        if clock is not None:
            variable = self.name()
            self.line(f"{variable} = {self.constant(clock[1])}({clock[0]})")
            return _Value(variable, clock[1])
        found = self._special.get(name)
        if found is None:
            variable = self.name()
            if re.fullmatch(
                r"%(tid|ntid|ctaid|nctaid)\.[xyz]|%laneid|%warpid|%nwarpid|%lanemask_\w\w", name
            ):
                self.line(f"{variable} = L.special({name!r})")
            elif name in SPECIAL or name.startswith("%envreg"):
                self.line(f"{variable} = M.special({name!r})")
            else:
                raise Unsupported(f"special register {name}")
            found = self._special[name] = _Value(variable, np.uint32)
        return found

    def immediate(self, text: str, dtype: Any) -> Any:
        """The value of an immediate or a symbol; integers keep their bits, not their value."""
        d = np.dtype(dtype)
        low = text.lower()
        if low[:2] in ("0f", "0d") and len(low) in (10, 18):
            single = low[1] == "f"
            pattern: Any = (np.uint32 if single else np.uint64)(int(low[2:], 16))
            if d.kind == "f":
                return pattern.view(np.float32 if single else np.float64).astype(dtype)
            return pattern.astype(dtype)
        if text == "WARP_SZ":
            return dtype(32)
        match = _SYMBOL.match(text)
        if match is not None:
            if match[1] not in self.program.layout.symbols:
                raise Unsupported(f"operand {text}")
            address = self.program.layout.symbols[match[1]] + int(match[2] or 0)
            return np.uint64(address).astype(_UNSIGNED[d.itemsize])
        try:
            number = int(low.rstrip("u"), 0)
        except ValueError:
            return dtype(float(text))
        if d.kind in "bf":
            return dtype(number)
        return np.uint64(number & (2**64 - 1)).astype(_UNSIGNED[d.itemsize]).view(dtype)

    def _as(self, value: _Value, dtype: Any) -> _Value:
        """A value seen as another type: reinterpreted, cut or extended with zeros."""
        if value.dtype is dtype:
            return value
        found = value.views.get(dtype)
        if found is not None:
            return found
        have, want = np.dtype(value.dtype), np.dtype(dtype)
        if value.constant is not None:
            constant = self._recast(value.constant, have, want, dtype)
            found = _Value(self.constant(constant), dtype, constant)
        else:
            text = value.name
            if "b" in (have.kind, want.kind):
                text = f"{text}.astype({self.constant(dtype)})"
            elif have.itemsize == want.itemsize:
                text = f"{text}.view({self.constant(dtype)})"
            else:
                if have.kind != "u":
                    text = f"{text}.view({self.constant(_UNSIGNED[have.itemsize])})"
                text = f"{text}.astype({self.constant(_UNSIGNED[want.itemsize])})"
                if want.kind != "u":
                    text = f"{text}.view({self.constant(dtype)})"
            variable = self.name()
            self.line(f"{variable} = {text}")
            found = _Value(variable, dtype)
        value.views[dtype] = found
        return found

    @staticmethod
    def _recast(constant: Any, have: Any, want: Any, dtype: Any) -> Any:
        if "b" in (have.kind, want.kind):
            return constant.astype(dtype)
        if have.itemsize != want.itemsize:
            constant = constant.view(_UNSIGNED[have.itemsize]).astype(_UNSIGNED[want.itemsize])
        return constant.view(dtype)

    # -- writing -----------------------------------------------------------------------------

    def write(self, register: str, expression: str, kind: str) -> None:
        """Set a register to an expression of a PTX type, extended by its sign if it is narrower."""
        self.write_as(register, expression, dtype_of(kind))

    def write_as(self, register: str, expression: str, dtype: Any) -> None:
        """As `write`, with the NumPy type."""
        if register == "_":
            self.line(expression)
            return
        variable = self.name()
        self.line(f"{variable} = {expression}")
        self._bind(register, _Value(variable, dtype))

    def _bind(self, register: str, value: _Value) -> None:
        number = self.program.numbers[register]
        home = np.dtype(self.program.homes[number])
        have = np.dtype(value.dtype)
        if have.itemsize != home.itemsize and "b" not in (have.kind, home.kind):
            if have.kind == "i":
                wide = _SIGNED[home.itemsize]
                variable = self.name()
                self.line(f"{variable} = {value.name}.astype({self.constant(wide)})")
                value = _Value(variable, wide)
            else:
                value = self._as(value, _UNSIGNED[home.itemsize])
        self._env[register] = value
        self._dirty[register] = None

    def move(self, register: str, operand: str, kind: str) -> None:
        """Set a register to an operand."""
        dtype = dtype_of(kind)
        value = self._value(operand, dtype)
        if np.dtype(value.dtype).itemsize != np.dtype(dtype).itemsize or kind[0] == "s":
            value = self._as(value, dtype)
        self._bind(register, value)

    # -- operands ----------------------------------------------------------------------------

    def vector(self, operand: str) -> list[str]:
        """The elements of a vector operand; of any other, itself."""
        return split(operand[1:-1]) if operand.startswith("{") else [operand]

    def address(self, operand: str) -> tuple[str, int]:
        """(expression of the base, offset in bytes) of an address operand."""
        match = _ADDRESS.match(operand)
        if match is None:
            raise Unsupported(f"address {operand}")
        base, offset = match[1], int(match[2] or "0", 0)
        number = self.program.numbers.get(base)
        if number is None:
            return self.read(base, "u64"), offset
        size = np.dtype(self.program.homes[number]).itemsize
        return self.read(base, f"u{8 * size}"), offset

    def is_read(self, register: str) -> bool:
        """Whether anything in the kernel reads a register."""
        number = self.program.numbers.get(register)
        return number is not None and bool(self.program.flow.read >> number & 1)


def sizes_of(kind: str) -> int:
    """Bytes of a PTX type, of those that can be held in a register."""
    if kind not in SIZES:
        raise Unsupported(f"type .{kind}")
    return SIZES[kind]
