"""A kernel made ready to run: its blocks, where its variables are, and its generated functions."""

from __future__ import annotations

import itertools
import linecache
import threading
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from gpuops.cuda.sim import (
    arith,
    convert,
    emit,
    emit_async,
    emit_bits,
    emit_compare,
    emit_convert,
    emit_memory,
    emit_tensor,
    emit_warp,
    tensorcore,
)
from gpuops.cuda.sim.codegen import Builder, Unsupported
from gpuops.cuda.sim.demand import demanded_bits
from gpuops.cuda.sim.emit import Emitter
from gpuops.cuda.sim.flow import (
    CARRY,
    Block,
    analyse,
    destinations,
    registers_in,
    sources,
    without_guards,
)
from gpuops.cuda.sim.inline import flatten
from gpuops.cuda.sim.layout import lay_out
from gpuops.cuda.sim.pointers import written_parameters
from gpuops.cuda.sim.ptx import SIZES, Instruction, Module
from gpuops.cuda.sim.regions import LOCAL, SHARED

__all__ = ["Program"]

_EMITTERS: dict[str, Emitter] = {
    **emit.EMITTERS,
    **emit_bits.EMITTERS,
    **emit_compare.EMITTERS,
    **emit_convert.EMITTERS,
    **emit_memory.EMITTERS,
    **emit_warp.EMITTERS,
    **emit_async.EMITTERS,
    **emit_tensor.EMITTERS,
}

_HELPERS: dict[str, Any] = {
    **{name: getattr(arith, name) for name in arith.__all__},
    **{n: f for n, f in vars(convert).items() if callable(f) and not n.startswith("_")},
    **{name: getattr(tensorcore, name) for name in tensorcore.__all__},
    "np": np,
    "FALSE": np.False_,
    "ZERO": np.uint32(0),
    "FULL": np.uint32(0xFFFFFFFF),
    "LONG": np.longdouble,
    "SHARED": np.uint64(SHARED),
    "LOCAL": np.uint64(LOCAL),
    **{f"U{n}": getattr(np, f"uint{8 * n}") for n in (1, 2, 4, 8)},
    **{f"I{n}": getattr(np, f"int{8 * n}") for n in (1, 2, 4, 8)},
    **{f"F{n}": getattr(np, f"float{8 * n}") for n in (2, 4, 8)},
}

_serial = itertools.count()


def _emit(b: Builder, x: Instruction) -> None:
    emitter = _EMITTERS.get(x.op.partition(".")[0])
    if emitter is None:
        raise Unsupported(x.op)
    emitter(b, x)


class Program:
    """What is known of a kernel before a launch.

    Args:
        module: its PTX.
        name: its symbol.

    Attributes:
        function: the kernel without calls and guards.
        flow: its basic blocks.
        layout: its variables' addresses.
        numbers: register -> number.
        homes: by number: the NumPy type a register has between blocks.
        kinds: register -> declared PTX type.
        slots: (offset, type) of the parameters that the text reads -> place in `Machine.params`.
        namespace: the globals of the generated functions.
    """

    def __init__(self, module: Module, name: str) -> None:
        self.module = module
        self.title, self.serial = name, next(_serial)
        self.function = without_guards(flatten(module, name))
        self.flow = analyse(self.function)
        self.layout = lay_out(module, self.function)
        self.numbers = self.flow.numbers
        self.kinds = self.function.registers | {CARRY: "pred"}
        self.homes = [_home(kind) for kind in self.kinds.values()]
        self.slots: dict[tuple[int, Any], int] = {}
        self.namespace: dict[str, Any] = dict(_HELPERS)
        self._names: dict[Any, str] = {}
        self._functions: dict[int, Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self.files: list[str] = []
        weakref.finalize(self, _forget, self.files)

    @property
    def blocks(self) -> list[Block]:
        """The basic blocks."""
        return self.flow.blocks

    def run_block(self, index: int) -> Callable[..., Any]:
        """The function of a basic block, generated at its first use."""
        found = self._functions.get(index)
        if found is None:
            with self._lock:
                found = Builder(self, self.blocks[index]).build(_emit)
                self._functions[index] = found
        return found

    def constant(self, value: Any) -> str:
        """The name of an object in the generated functions' globals; equal numbers share one."""
        if isinstance(value, np.generic):
            key: Any = (value.dtype.char, value.tobytes())
        else:
            key = id(value)
        name = self._names.get(key)
        if name is None:
            name = f"c{len(self._names)}"
            self._names[key] = name
            self.namespace[name] = value
        return name

    def parameter(self, offset: int, dtype: Any) -> int:
        """The slot of a part of the parameter block that is read as `dtype`."""
        return self.slots.setdefault((offset, dtype), len(self.slots))

    def carried(self, registers: list[str]) -> tuple[int, ...]:
        """The numbers of those that only carry bytes, as `Access.copies`."""
        found = tuple(self.numbers[r] if r in self._carriers else -1 for r in registers)
        return found if any(n >= 0 for n in found) else ()

    def needed(self, registers: list[str]) -> tuple[int, ...]:
        """The bytes of each on which a result depends, as `Access.needed`."""
        return tuple(
            sum(1 << k for k in range(8) if self._demand.get(r, 0) >> 8 * k & 0xFF)
            for r in registers
        )

    @cached_property
    def _demand(self) -> dict[str, int]:
        if min(self.grain.values()) == 4:
            return {}  # nothing smaller than a word is written, so that words are whole
        return demanded_bits(self.function)

    def carrier(self, register: str) -> int:
        """The number of a register that only carries bytes, or -1."""
        return self.numbers[register] if register in self._carriers else -1

    @cached_property
    def _carriers(self) -> set[str]:
        """Registers that loads fill and only stores to shared or local memory read.

        Moves from one to another count as neither, such as those that pass structures by value.
        """
        found = set(self.function.registers)
        code, names = self.function.code, self.numbers
        steps = [(x, destinations(x, names), sources(x, names)) for x in code]
        found -= {b.condition for b in self.blocks if b.condition is not None}
        changed = True
        while changed:
            before = len(found)
            for x, targets, inputs in steps:
                if _is_move(x):
                    if not (x.args[0] in found and x.args[1] in found):
                        found -= {x.args[0], x.args[1]}
                    continue
                if not x.op.startswith(("ld.shared", "ld.local")):
                    found.difference_update(targets)
                if x.op.startswith(("st.shared", "st.local")):
                    inputs = registers_in(x.args[0], self.numbers)
                found.difference_update(inputs)
            changed = len(found) < before
        return found

    @cached_property
    def grain(self) -> dict[str, int]:
        """Space -> bytes of the smallest element accessed there; at most 4."""
        found = {"shared": 4, "global": 4, "local": 4}
        for x in self.function.code:
            parts = x.parts
            if parts[0] not in ("ld", "ldu", "st", "atom", "red") or parts[-1] not in SIZES:
                continue
            named = [s for s in found if any(p.partition("::")[0] == s for p in parts)]
            if "param" in parts or "const" in parts:
                continue
            for space in named or found:
                found[space] = min(found[space], SIZES[parts[-1]])
        return found

    @cached_property
    def written(self) -> set[int]:
        """The positions of the parameters that may be written through."""
        return written_parameters(self.function)

    @cached_property
    def fences(self) -> bool:
        """Whether any instruction releases what was written before it."""
        return any(
            x.op.startswith(("fence", "membar", "mbarrier", "cp.async.mbarrier"))
            or ".acq_rel" in x.op
            or ".release" in x.op
            for x in self.function.code
        )

    @cached_property
    def shared_cas(self) -> bool:
        """Whether shared memory may be changed by compare-and-swap."""
        return any(
            x.op.startswith("atom") and ".cas" in x.op and "global" not in x.op
            for x in self.function.code
        )

    @cached_property
    def parameter_size(self) -> int:
        """Bytes of the parameter block."""
        params = self.function.params
        return self.layout.params[params[-1].name] + params[-1].size if params else 0


def _is_move(x: Instruction) -> bool:
    """Whether an instruction moves one register's value to another."""
    return x.op.startswith("mov.") and not any(a.startswith("{") for a in x.args)


def _forget(files: list[str]) -> None:
    """The sources of a program that is gone leave `linecache`."""
    for filename in files:
        linecache.cache.pop(filename, None)


def _home(kind: str) -> Any:
    if kind == "pred":
        return np.bool_
    if kind in ("f32", "f64"):
        return np.float32 if kind == "f32" else np.float64
    return {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}.get(SIZES[kind], np.uint64)
