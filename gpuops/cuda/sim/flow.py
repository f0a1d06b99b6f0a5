"""Basic blocks of a function and which registers are live where they begin and end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise

from gpuops.cuda.sim.ptx import Function, Instruction

__all__ = [
    "CARRY",
    "Block",
    "Flow",
    "analyse",
    "destinations",
    "registers_in",
    "sources",
    "without_guards",
]

CARRY = "%cc"
"""The condition code of add.cc and addc, treated as a predicate register."""

# Waits for the other threads of the warp or block, so it begins and ends a basic block.
_SYNC = frozenset(
    (
        "bar",
        "barrier",
        "shfl",
        "vote",
        "match",
        "redux",
        "mma",
        "ldmatrix",
        "stmatrix",
        "movmatrix",
        "wmma",
    )
)
_NO_RESULT = frozenset(
    (
        *("st", "stmatrix", "red", "cp", "call", "membar", "fence", "prefetch", "prefetchu"),
        *("bra", "brx", "trap", "brkpt", "exit", "ret", "nanosleep", "pragma", "setmaxnreg"),
        *("discard", "applypriority", "griddepcontrol", "pmevent"),
    )
)
_REGISTER = re.compile(r"[%A-Za-z_$][\w$%#@.]*")


@dataclass(slots=True)
class Block:
    """A run of instructions that is entered at its first and left after its last.

    Attributes:
        index: its number; blocks are numbered in the order of the text.
        code: (program counter, instruction), without the branch that ends it.
        end: ``"jump"``, ``"branch"``, ``"table"`` or ``"exit"``.
        targets: blocks: of a branch, those for true and for false.
        condition: the predicate register of a branch, or the index register of a table.
        last: program counter of the ending instruction.
        sync: the waiting instruction that the block consists of, or None.
        live_in: bit set of registers read before they are written, here or later.
        live_out: bit set of registers that a later block reads.
    """

    index: int
    code: list[tuple[int, Instruction]] = field(default_factory=list)
    end: str = "jump"
    targets: tuple[int, ...] = ()
    condition: str | None = None
    last: int = 0
    sync: Instruction | None = None
    live_in: int = 0
    live_out: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """The control flow of a function.

    Attributes:
        blocks: in the order of the text; the last one is where the code ends.
        numbers: register -> its bit in the live sets and its place in a frame.
        read: bit set of the registers that anything reads.
    """

    blocks: list[Block]
    numbers: dict[str, int]
    read: int


def is_sync(x: Instruction) -> bool:
    """Whether an instruction waits for other threads of its warp or block."""
    return x.op.partition(".")[0] in _SYNC or x.op.startswith("elect.sync")


def registers_in(text: str, registers: dict[str, int] | dict[str, str]) -> list[str]:
    """The registers that an operand names."""
    if text in registers:
        return [text]
    return [name for name in _REGISTER.findall(text) if name in registers]


def _writes_first(x: Instruction) -> bool:
    root, _, rest = x.op.partition(".")
    if not x.args or x.args[0].startswith("["):
        return False
    if root in ("bar", "barrier"):
        return ".red." in x.op
    if root == "wmma":
        return not rest.startswith("store")
    return root not in _NO_RESULT


def destinations(x: Instruction, registers: dict[str, int] | dict[str, str]) -> list[str]:
    """The registers that an instruction writes."""
    found = registers_in(x.args[0], registers) if _writes_first(x) else []
    if x.op.startswith("call") and x.args and x.args[0].startswith("("):
        returned = x.args[0][1:-1].strip()
        found += [name for name in registers if name.startswith(f"{returned}@")]
    if ".cc" in x.op:
        found.append(CARRY)
    return found


def sources(x: Instruction, registers: dict[str, int] | dict[str, str]) -> list[str]:
    """The registers that an instruction reads, its guard excepted."""
    args = x.args[1:] if _writes_first(x) else x.args
    found = [name for arg in args for name in registers_in(arg, registers)]
    if x.op.startswith("call"):
        passed = [name for arg in args for name in re.findall(r"[\w$%#@]+", arg)]
        found += [r for r in registers if r.rpartition("@")[0] in passed]
    if x.op.partition(".")[0] in ("addc", "subc", "madc"):
        found.append(CARRY)
    return found


def analyse(function: Function) -> Flow:
    """Cut a function without guarded instructions other than branches into basic blocks."""
    numbers = {name: k for k, name in enumerate(function.registers)}
    numbers[CARRY] = len(numbers)
    blocks = _blocks(function)
    return Flow(blocks, numbers, _liveness(blocks, numbers))


def without_guards(function: Function) -> Function:
    """Each guarded instruction but branches becomes a branch around an unguarded one."""
    if not any(x.guard and not _is_branch(x) for x in function.code):
        return function
    code: list[Instruction] = []
    moved: dict[int, int] = {}
    skips: dict[str, int] = {}
    for at, x in enumerate(function.code):
        moved[at] = len(code)
        if x.guard is None or _is_branch(x):
            code.append(x)
            continue
        skip = f"$guard_{at}"
        code.append(Instruction("bra", (skip,), x.guard, not x.negated, x.place))
        code.append(replace(x, guard=None, negated=False))
        skips[skip] = len(code)
    moved[len(function.code)] = len(code)
    labels = {label: moved[at] for label, at in function.labels.items()} | skips
    return replace(function, code=tuple(code), labels=labels)


def _is_branch(x: Instruction) -> bool:
    return x.op.partition(".")[0] in ("bra", "brx")


def _blocks(function: Function) -> list[Block]:
    leaders = {0, len(function.code), *function.labels.values()}
    for at, x in enumerate(function.code):
        if x.op.partition(".")[0] in ("bra", "brx", "ret", "exit"):
            leaders.add(at + 1)
        elif is_sync(x):
            leaders |= {at, at + 1}
    starts = sorted(leaders)
    number = {at: k for k, at in enumerate(starts)}
    blocks = []
    for k, (start, stop) in enumerate(pairwise(starts)):
        block = Block(k, list(enumerate(function.code[start:stop], start)), last=stop - 1)
        block.targets = (k + 1,)
        final = function.code[stop - 1]
        root = final.op.partition(".")[0]
        if root in ("bra", "brx", "ret", "exit"):
            block.code.pop()
        if root == "bra":
            target = number[function.labels[final.args[0]]]
            block.targets = (target,)
            if final.guard is not None:
                block.end, block.condition = "branch", final.guard
                block.targets = (k + 1, target) if final.negated else (target, k + 1)
        elif root == "brx":
            block.end, block.condition = "table", final.args[0]
            block.targets = tuple(
                number[function.labels[label]] for label in function.tables[final.args[1]]
            )
        elif root in ("ret", "exit"):
            block.end, block.targets = "exit", ()
        elif is_sync(final):
            block.sync = final
        blocks.append(block)
    return [*blocks, Block(len(blocks), end="exit", last=len(function.code) - 1)]


def _liveness(blocks: list[Block], numbers: dict[str, int]) -> int:
    uses, kills, read = [], [], 0
    for block in blocks:
        used = killed = 0
        for _, x in block.code:
            for name in sources(x, numbers):
                used |= (1 << numbers[name]) & ~killed
                read |= 1 << numbers[name]
            for name in destinations(x, numbers):
                killed |= 1 << numbers[name]
        if block.condition is not None:
            used |= (1 << numbers[block.condition]) & ~killed
            read |= 1 << numbers[block.condition]
        uses.append(used)
        kills.append(killed)
    changed = True
    while changed:
        changed = False
        for block in reversed(blocks):
            out = 0
            for target in block.targets:
                out |= blocks[target].live_in
            live = uses[block.index] | (out & ~kills[block.index])
            if out != block.live_out or live != block.live_in:
                block.live_out, block.live_in, changed = out, live, True
    return read
