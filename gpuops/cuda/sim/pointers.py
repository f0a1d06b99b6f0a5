"""Which arrays a kernel may write, as far as its text says: others cannot take part in races."""

from __future__ import annotations

from gpuops.cuda.sim.flow import destinations, registers_in, sources
from gpuops.cuda.sim.ptx import Function, Instruction

__all__ = ["written_parameters"]

_ANY = -1  # every bit: may point to any array
_PRIVATE = ("shared", "local", "param")


def written_parameters(function: Function) -> set[int]:
    """The positions of the parameters that the kernel may write through.

    A value may point to what any value points to that it is computed from, whatever the computation
    and in whatever order. Memory of all kinds is one cell: what is loaded may point to what
    anything that the kernel stores points to. The host cannot put pointers there, since it does
    not know the simulated addresses.
    """
    registers = dict.fromkeys(function.registers, 0)
    position = {parameter.name: k for k, parameter in enumerate(function.params)}
    steps = [(x, destinations(x, registers), sources(x, registers)) for x in function.code]
    memory, changed = 0, True
    while changed:
        changed = False
        for x, targets, inputs in steps:
            if _stores(x):
                kept = _pointees(x.args[_address(x) + 1 :], registers)
                changed = changed or bool(kept & ~memory)
                memory |= kept
            origin = _loaded(x, position, memory)
            if origin is None:
                origin = 0
                for name in inputs:
                    origin |= registers.get(name, 0)
            for name in targets:
                if origin & ~registers.get(name, 0):
                    registers[name] |= origin
                    changed = True
    found = 0
    for x in function.code:
        if _stores(x) and not any(f".{space}" in x.op for space in _PRIVATE):
            found |= _pointees(x.args[_address(x) : _address(x) + 1], registers)
    return {k for k in range(len(function.params)) if found >> k & 1}


def _pointees(operands: tuple[str, ...], registers: dict[str, int]) -> int:
    found = 0
    for operand in operands:
        for name in registers_in(operand, registers):
            found |= registers[name]
    return found


def _loaded(x: Instruction, position: dict[str, int], memory: int) -> int | None:
    """Where what an instruction takes from memory may point; None if it takes nothing from it."""
    root = x.op.partition(".")[0]
    if root == "mov" and any(a.partition("+")[0] in position for a in x.args[1:]):
        return _ANY  # the address of a parameter
    if root not in ("ld", "ldu", "atom"):
        return None
    if ".param" not in x.op:
        return memory
    name = x.args[1].strip("[] ").partition("+")[0].strip()
    return 1 << position[name] if name in position else _ANY


def _stores(x: Instruction) -> bool:
    return x.op.partition(".")[0] in ("st", "atom", "red") or x.op.startswith("wmma.store")


def _address(x: Instruction) -> int:
    """The position of the address among the operands."""
    return 1 if x.op.startswith("atom") else 0
