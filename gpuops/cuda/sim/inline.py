"""A kernel with the device functions it calls copied into it, so that one program counter will do.

A call passes its arguments in ``.param`` variables. Those become registers here, one for each
part that is accessed, or local memory where parts overlap (a structure read in other pieces than
it was written in).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from gpuops.cuda.sim.ptx import SIZES, Function, Instruction, Module, Variable, split

__all__ = ["flatten"]

_NAME = re.compile(r"(?<![\w$%#@])[A-Za-z_%$][\w$%#@]*")
_ADDRESS = re.compile(r"\[\s*([^+\]\s]+)\s*(?:\+\s*(-?\d+)\s*)?\]$")


def flatten(module: Module, name: str) -> Function:
    """The kernel `name` without calls of functions that have a body.

    A recursive call stays: it is an error when it executes.
    """
    kernel = module.functions[name]
    if any(x.op.partition(".")[0] == "call" for x in kernel.code):
        kernel = _Inliner(module).expand(kernel, (name,))
    return _passed_in_registers(kernel)


class _Inliner:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.copies = 0

    def expand(self, function: Function, active: tuple[str, ...]) -> Function:
        """`function` with every call replaced by a copy of the callee's expanded body."""
        code: list[Instruction] = []
        registers, variables = dict(function.registers), dict(function.variables)
        tables, labels = dict(function.tables), {}
        names_at = defaultdict(list)
        for label, position in function.labels.items():
            names_at[position].append(label)
        for position, instruction in enumerate(function.code):
            labels.update(dict.fromkeys(names_at[position], len(code)))
            callee = self._callee(instruction, active)
            if callee is None:
                code.append(instruction)
                continue
            self.copies += 1
            prefix = f"{callee.name}@{self.copies}@"
            body = _renamed(callee, prefix, _actuals(instruction, callee))
            if instruction.guard:
                skip = Instruction(
                    "bra",
                    (f"{prefix}end",),
                    instruction.guard,
                    not instruction.negated,
                    instruction.place,
                )
                code.append(skip)
            labels.update({label: len(code) + at for label, at in body.labels.items()})
            code += body.code
            labels[f"{prefix}end"] = len(code)
            registers.update(body.registers)
            variables.update(body.variables)
            tables.update(body.tables)
        labels.update(dict.fromkeys(names_at[len(function.code)], len(code)))
        return replace(
            function,
            code=tuple(code),
            labels=labels,
            registers=registers,
            variables=variables,
            tables=tables,
        )

    def _callee(self, instruction: Instruction, active: tuple[str, ...]) -> Function | None:
        if instruction.op.partition(".")[0] != "call":
            return None
        args = instruction.args
        name = args[1] if args[0].startswith("(") else args[0]
        found = self.module.functions.get(name)
        if found is None or name in active:
            return None
        return self.expand(found, (*active, name))


def _actuals(call: Instruction, callee: Function) -> dict[str, str]:
    """The callee's parameters and return values -> the caller's variables for them."""
    args = list(call.args)
    returned = split(args.pop(0)[1:-1]) if args[0].startswith("(") else []
    passed = split(args[1][1:-1]) if len(args) > 1 else []
    formals = [*callee.returns, *callee.params]
    return {v.name: a for v, a in zip(formals, [*returned, *passed], strict=False)}


def _renamed(function: Function, prefix: str, actuals: dict[str, str]) -> Function:
    """A copy whose own names begin with `prefix`; its ``ret`` jumps to the label at its end."""
    own = [*function.registers, *function.labels, *function.tables]
    own += [n for n, v in function.variables.items() if v.space in ("param", "local")]
    names = {name: prefix + name for name in own} | actuals

    def new(text: str) -> str:
        return _NAME.sub(lambda match: names.get(match[0], match[0]), text)

    code = []
    for x in function.code:
        guard = x.guard and new(x.guard)
        if x.op.partition(".")[0] == "ret":
            code.append(replace(x, op="bra", args=(f"{prefix}end",), guard=guard))
        else:
            code.append(replace(x, args=tuple(map(new, x.args)), guard=guard))
    return replace(
        function,
        code=tuple(code),
        labels={names[label]: at for label, at in function.labels.items()},
        registers={names[name]: kind for name, kind in function.registers.items()},
        variables={
            names.get(name, name): replace(v, name=names.get(name, name))
            for name, v in function.variables.items()
        },
        tables={names[n]: tuple(map(new, labels)) for n, labels in function.tables.items()},
    )


def _passed_in_registers(function: Function) -> Function:
    """Accesses of the ``.param`` variables of calls as moves between registers."""
    passed = {name: v for name, v in function.variables.items() if v.space == "param"}
    if not passed:
        return function
    pieces: dict[str, dict[int, int]] = {name: {} for name in passed}
    overlapping = set()
    for x in function.code:
        access = _param_access(x, passed)
        if access is None:
            continue
        name, offset, kind, values = access
        for k in range(len(values)):
            at, size = offset + k * SIZES[kind], SIZES[kind]
            if pieces[name].setdefault(at, size) != size:
                overlapping.add(name)
    for name, found in pieces.items():
        ends = sorted((at, at + size) for at, size in found.items())
        if any(b[0] < a[1] for a, b in pairwise(ends)):
            overlapping.add(name)
    registers, variables = dict(function.registers), dict(function.variables)
    for name, variable in passed.items():
        if name in overlapping:
            variables[name] = replace(variable, space="local")
            continue
        del variables[name]
        registers.update({f"{name}@{at}": f"b{8 * size}" for at, size in pieces[name].items()})
    code: list[Instruction] = []
    moved: dict[int, int] = {}
    for position, x in enumerate(function.code):
        moved[position] = len(code)
        code += _moves(x, _param_access(x, passed), overlapping)
    moved[len(function.code)] = len(code)
    labels = {label: moved[at] for label, at in function.labels.items()}
    return replace(
        function, code=tuple(code), labels=labels, registers=registers, variables=variables
    )


def _param_access(
    x: Instruction, passed: dict[str, Variable]
) -> tuple[str, int, str, list[str]] | None:
    """(variable, offset, type, values) of an access to one of `passed`; None for all else."""
    if not x.op.startswith(("ld.param", "st.param")):
        return None
    address, values = (x.args[1], x.args[0]) if x.op[0] == "l" else x.args
    match = _ADDRESS.match(address)
    if match is None or match[1] not in passed:
        return None
    return match[1], int(match[2] or 0), x.parts[-1], split(values.strip("{}"))


def _moves(
    x: Instruction, access: tuple[str, int, str, list[str]] | None, in_memory: set[str]
) -> list[Instruction]:
    if access is None:
        return [x]
    name, offset, kind, values = access
    if name in in_memory:
        return [replace(x, op=x.op.replace(".param", ".local"))]
    found = []
    for k, value in enumerate(values):
        piece = f"{name}@{offset + k * SIZES[kind]}"
        pair = (value, piece) if x.op[0] == "l" else (piece, value)
        found.append(replace(x, op=f"mov.{kind}", args=pair))
    return found
