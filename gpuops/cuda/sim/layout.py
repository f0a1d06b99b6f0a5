"""Where variables are: addresses that do not depend on the launch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from gpuops.cuda.sim.ptx import Function, Module, Variable
from gpuops.cuda.sim.regions import GLOBALS, PARAMS, SHARED, Share, Window, origin_of

__all__ = ["FIRST", "RESERVED", "Layout", "lay_out"]

FIRST = 256  # below the first shared or local variable nothing is valid
RESERVED = 1024
"""Bytes of shared memory that CUDA keeps for itself; cooperative groups have barriers there."""
_GAP = 256  # between two variables: an index past the end of one must not hit the next
_NAME = re.compile(r"(?<![\w$%#@])[A-Za-z_$][\w$#@]*")


@dataclass(slots=True)
class Layout:
    """The addresses of a kernel's variables.

    Attributes:
        symbols: name -> address in the variable's own space.
        spaces: name -> its space.
        shared: the variables of static shared memory.
        dynamic: offset of dynamic shared memory in a block's share.
        local: the variables of local memory.
        local_size: bytes a thread needs; 0 if there are none.
        globals: window number -> variable.
        params: parameter -> offset in the parameter block.
    """

    symbols: dict[str, int] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    shared: list[Share] = field(default_factory=list)
    dynamic: int = 0
    local: list[Share] = field(default_factory=list)
    local_size: int = 0
    globals: dict[int, Variable] = field(default_factory=dict)
    params: dict[str, int] = field(default_factory=dict)

    def shared_for(self, dynamic: int) -> tuple[list[Share], int]:
        """The variables of shared memory and a block's bytes, for a launch's dynamic size."""
        found = [*self.shared]
        if dynamic:
            found.append(Share(self.dynamic, dynamic, "dynamic shared memory"))
        end = (
            self.dynamic + dynamic if dynamic else max((v.start + v.size for v in found), default=0)
        )
        return found, -(-(end + 16) // 16) * 16


def readable(symbol: str) -> str:
    """A variable's name in the source, from a mangled symbol where that is easy.

    >>> readable("_ZZ1kE1s"), readable("table")
    ('s', 'table')
    """
    if not symbol.startswith("_Z"):
        return symbol
    match = re.search(r"E(\d+)(\w+)$", symbol) or re.search(
        r"^_ZN?L?(?:\d+\w*?)??(\d+)(\w+)$", symbol
    )
    return match[2][: int(match[1])] if match else symbol


def lay_out(module: Module, function: Function) -> Layout:
    """Give every variable that the function names, or that another's value points to, a place."""
    layout = Layout()
    variables = module.variables | function.variables
    shared, local = FIRST, 16
    if any("%reserved_smem" in a for x in function.code for a in x.args):
        layout.shared.append(Share(FIRST, RESERVED, "reserved shared memory", True))
        shared += RESERVED + _GAP
    dynamic: list[str] = []
    for name in _needed(variables, function):
        variable = variables[name]
        layout.spaces[name] = variable.space
        if variable.space in ("global", "const"):
            number = GLOBALS + len(layout.globals)
            layout.globals[number] = variable
            layout.symbols[name] = origin_of(number)
        elif variable.dynamic:
            dynamic.append(name)
        elif variable.space == "shared":
            align = max(variable.align, 16)
            shared = -(-shared // align) * align
            layout.symbols[name] = shared
            layout.shared.append(Share(shared, variable.size, f"variable {readable(name)!r}"))
            shared += variable.size + _GAP
        elif variable.space == "local":
            local = -(-local // 16) * 16
            layout.symbols[name] = local
            layout.local.append(Share(local, variable.size, "array"))
            local += variable.size + 16
    layout.dynamic = -(-shared // 128) * 128
    layout.symbols.update(dict.fromkeys(dynamic, layout.dynamic))
    layout.local_size = -(-local // 16) * 16 if layout.local else 0
    at = 0
    for parameter in function.params:
        at = -(-at // parameter.align) * parameter.align
        layout.params[parameter.name] = at
        layout.symbols[parameter.name] = origin_of(PARAMS) + at
        layout.spaces[parameter.name] = "param"
        at += parameter.size
    return layout


def _needed(variables: dict[str, Variable], function: Function) -> list[str]:
    named = {n for x in function.code for a in x.args for n in _NAME.findall(a) if n in variables}
    while True:
        more = {s for n in named for _, s, _ in variables[n].relocations if s in variables} - named
        if not more:
            return [name for name in variables if name in named]
        named |= more


def make_window(number: int, variable: Variable, layout: Layout) -> Window:
    """The window of a module's variable, with its first value."""
    data = np.zeros(-(-max(variable.size, 1) // 16) * 16, np.uint8)
    data[: len(variable.init)] = np.frombuffer(variable.init, np.uint8)
    for offset, symbol, addend in variable.relocations:
        address = layout.symbols.get(symbol, 0) + addend
        if layout.spaces.get(symbol) == "shared":
            address += SHARED
        data[offset : offset + 8] = np.frombuffer(np.uint64(address).tobytes(), np.uint8)
    kind = "constant" if variable.space == "const" else "device"
    return Window(
        number,
        data,
        0,
        variable.size,
        f"{kind} variable {readable(variable.name)!r} ({variable.size} bytes)",
        writable=variable.space == "global",
    )
