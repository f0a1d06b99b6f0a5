"""A launch on the simulator: arguments to windows of memory, then the grid in waves."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from gpuops.cuda.sim.clock import Clock
from gpuops.cuda.sim.frame import Topology
from gpuops.cuda.sim.layout import make_window
from gpuops.cuda.sim.machine import Machine
from gpuops.cuda.sim.memory import Memory
from gpuops.cuda.sim.program import Program
from gpuops.cuda.sim.ptx import Variable
from gpuops.cuda.sim.regions import PARAMS, WORKSPACE, Share, Shares, Window
from gpuops.cuda.sim.report import Source
from gpuops.cuda.sim.scheduler import run_wave
from gpuops.cuda.sim.shadow import Shadow
from gpuops.cuda.sim.written import Copied, Written
from gpuops.errors import ArgumentError

__all__ = ["launch"]

RESIDENT = 1 << 16
"""Threads that are resident at once."""

_MOST_SHARED = 232448
"""Bytes of shared memory that a block can have at most, on sm_90 and sm_100 (CUDA C++ Programming
Guide, table of technical specifications)."""
_MEMORY = 1 << 28  # bytes of shared and local memory that resident blocks may take together

Triple = tuple[int, int, int]


def launch(
    program: Program,
    source: Source,
    grid: Triple,
    block: Triple,
    args: Sequence[Any],
    shared_mem: int = 0,
    *,
    races: bool = True,
    written: Sequence[Any] | None = None,
    resident: int = RESIDENT,
) -> None:
    """Run a kernel on NumPy arrays, in place.

    Args:
        program: the kernel.
        source: for messages.
        grid: blocks along x, y and z.
        block: threads along x, y and z.
        args: arrays and scalars, as many as the kernel has parameters.
        shared_mem: bytes of dynamic shared memory.
        races: whether to search for races.
        written: for each argument None, or a bool array with an element for each byte of the
            array's range: whether it has been written. It is brought up to date.
        resident: threads that are resident at once.

    Raises:
        ArgumentError: the arguments do not fit the kernel.
        SimulationError: the kernel does something that is wrong.
    """
    blocks = grid[0] * grid[1] * grid[2]
    _check_launch(program, source, block, shared_mem)
    flags = written or [None] * len(args)
    windows, params = _bind(program, source, args, flags)
    if not blocks:
        return
    clock = Clock(blocks == 1, program.fences)
    _add_windows(windows, program, params)
    if races:
        _watch(windows, program, clock)
    memory = Memory(windows)
    variables, stride = program.layout.shared_for(shared_mem)
    machine = Machine(program, memory, clock, params, sum(v.size for v in variables))
    threads = block[0] * block[1] * block[2]
    per_block = stride + threads * program.layout.local_size
    per_wave = max(1, min(blocks, resident // threads, _MEMORY // per_block))
    top = Topology(grid, block, per_wave, 0)
    _private(memory, program, top, variables, stride, clock, races)
    with np.errstate(all="ignore"):
        for first in range(0, blocks, per_wave):
            count = min(per_wave, blocks - first)
            if first:
                top = top.moved(count, first)
                memory.shared.reset(count)
                memory.local.reset(top.lanes)
            clock.start_wave(top)
            run_wave(machine, source, top, blocks - first - count)
            for region in (*windows.values(), memory.shared):
                if region.shadow is not None:
                    region.shadow.end_wave()
    _give_back(windows, flags)


def _check_launch(program: Program, source: Source, block: Triple, shared_mem: int) -> None:
    """Refuse what no GPU accepts, or not for this kernel."""
    threads = block[0] * block[1] * block[2]
    limit = min(1024, program.function.max_threads or 1024)
    if threads > limit:
        problem = f"{threads} threads per block, of which this kernel allows {limit}"
        raise source.error("LAUNCH", problem)
    if shared_mem < 0:
        problem = f"shared_mem must be a number of bytes, got {shared_mem}"
        raise ArgumentError(f"Kernel {source.kernel!r}: {problem}")
    total = shared_mem + sum(v.size for v in program.layout.shared)
    if total > _MOST_SHARED:
        problem = f"{total} bytes of shared memory per block, of which no GPU has more than "
        raise source.error("LAUNCH", f"{problem}{_MOST_SHARED}")


def _add_windows(windows: dict[int, Window], program: Program, params: bytes) -> None:
    """The module's variables, the parameter block, and what grid-wide barriers need."""
    for number, variable in program.layout.globals.items():
        windows[number] = make_window(number, variable, program.layout)
    block = np.frombuffer(params + bytes(-len(params) % 16 + 16), np.uint8).copy()
    windows[PARAMS] = Window(
        PARAMS, block, 0, len(params), "the kernel's parameters", writable=False
    )
    workspace = np.zeros(16, np.uint8)
    windows[WORKSPACE] = Window(WORKSPACE, workspace, 0, 8, "the grid's workspace")


def _watch(windows: dict[int, Window], program: Program, clock: Clock) -> None:
    """Give a shadow to what the kernel may write to."""
    for window in windows.values():
        if window.writable and _may_change(window, program.written):
            size = len(window.data)
            window.shadow = Shadow(clock, size, program.grain["global"], 0, False)


def _may_change(window: Window, written: set[int]) -> bool:
    """Whether the kernel may write to a window; arrays are known by their positions."""
    return not window.spans or any(span.position in written for span in window.spans)


def _private(
    memory: Memory,
    program: Program,
    top: Topology,
    variables: list[Share],
    stride: int,
    clock: Clock,
    races: bool,
) -> None:
    """Shared memory for the resident blocks, local memory for their threads."""
    memory.shared = Shares(top.count, stride, variables, "shared")
    copied = Copied(top.lanes)
    size, grain = len(memory.shared.data), program.grain["shared"]
    memory.shared.written = Written(size, grain, top.count, copied)
    if any(v.zeroed for v in variables):
        memory.shared.reset(top.count)
    if races and variables:
        memory.shared.shadow = Shadow(clock, size, grain, stride, not program.shared_cas)
    count = top.lanes if program.layout.local_size else 1
    memory.local = Shares(count, max(program.layout.local_size, 16), program.layout.local, "local")
    size, grain = len(memory.local.data), program.grain["local"]
    memory.local.written = Written(size, grain, count, copied)


# -- arguments -----------------------------------------------------------------------------------


def _bind(
    program: Program, source: Source, args: Sequence[Any], written: Sequence[Any]
) -> tuple[dict[int, Window], bytes]:
    """The windows of the array arguments, and the parameter block."""
    params = program.function.params
    if len(args) != len(params):
        raise ArgumentError(
            f"Kernel {source.kernel!r}: expected {len(params)} arguments, got {len(args)}"
        )
    spans = [
        _Span(k, a)
        for k, (a, p) in enumerate(zip(args, params, strict=True))
        if isinstance(a, np.ndarray) and _is_pointer(p)
    ]
    windows, addresses = _windows(spans, args, written)
    block = bytearray(program.parameter_size)
    for k, (arg, parameter) in enumerate(zip(args, params, strict=True)):
        start = program.layout.params[parameter.name]
        if arg is None and _is_pointer(parameter):
            data = bytes(8)
        elif not isinstance(arg, np.ndarray):
            data = _scalar(source, k, arg, parameter)
        elif arg.dtype.hasobject:
            _refuse(source, k, f"{_wanted(parameter)}, got an array of Python objects")
        elif _is_pointer(parameter):
            data = addresses[k].to_bytes(8, "little")
        elif arg.size == 1 and arg.nbytes == parameter.size and parameter.type == "b8":
            data = arg.tobytes()  # a structure
        else:
            _refuse(source, k, f"{_wanted(parameter)}, got an array ({_described(arg)})")
        block[start : start + parameter.size] = data
    return windows, bytes(block)


def _is_pointer(parameter: Variable) -> bool:
    return parameter.size == 8 and parameter.type in ("u64", "b64", "s64")


def _refuse(source: Source, position: int, problem: str) -> NoReturn:
    raise ArgumentError(f"Kernel {source.kernel!r}: args[{position}]: expected {problem}") from None


def _described(array: Any) -> str:
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"


def _wanted(parameter: Variable) -> str:
    if parameter.type in ("f32", "f64"):
        return {"f32": "a float", "f64": "a double"}[parameter.type]
    if parameter.type == "b8" and parameter.size > 1:
        return f"a structure of {parameter.size} bytes"
    return f"{parameter.size} bytes by value" if parameter.size != 8 else "8 bytes or a pointer"


def _scalar(source: Source, position: int, value: Any, parameter: Variable) -> bytes:
    """A scalar's bytes as the parameter's type, or a refusal."""
    size, kind = parameter.size, parameter.type
    structure = kind == "b8" and size != 1
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
    elif isinstance(value, np.generic):
        fits = structure or value.dtype.kind == "V" or (value.dtype.kind == "f") == (kind[0] == "f")
        if not fits and value.dtype.itemsize == size:
            _refuse(source, position, f"{_wanted(parameter)}, got {value!r}")
        raw = value.tobytes()
    elif isinstance(value, bool):
        if size != 1:
            _refuse(source, position, f"{_wanted(parameter)}, got {value!r}")
        raw = bytes([value])
    elif isinstance(value, int) and not kind.startswith("f"):
        return _integer(source, position, value, parameter)
    elif isinstance(value, float) and kind in ("f32", "f64"):
        return np.array(value, "<f4" if kind == "f32" else "<f8").tobytes()
    else:
        _refuse(source, position, f"{_wanted(parameter)}, got {value!r} of type {type(value)}")
    if len(raw) != size:
        _refuse(source, position, f"{_wanted(parameter)}, got {len(raw)} bytes ({value!r})")
    return raw


def _integer(source: Source, position: int, value: int, parameter: Variable) -> bytes:
    size = parameter.size
    if size not in (1, 2, 4, 8):
        _refuse(source, position, f"{_wanted(parameter)}, got {value!r}")
    if not -(1 << (8 * size - 1)) <= value < 1 << (8 * size):
        _refuse(source, position, f"an integer that fits {size} bytes, got {value!r}")
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


class _Span:
    """The bytes of an array argument in the host's memory."""

    def __init__(self, position: int, array: Any) -> None:
        self.position, self.array = position, array
        low = high = array.__array_interface__["data"][0]
        for length, stride in zip(array.shape, array.strides, strict=True):
            if stride < 0:
                low += (length - 1) * stride
            else:
                high += (length - 1) * stride
        self.low, self.high = low, high + array.itemsize if array.size else low
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        self.offset = low - owner.__array_interface__["data"][0]

    @property
    def name(self) -> str:
        return f"argument {self.position} ({_described(self.array)})"


def _windows(
    spans: list[_Span], args: Sequence[Any], written: Sequence[Any]
) -> tuple[dict[int, Window], dict[int, int]]:
    """A window for each group of overlapping arrays, and each array's address."""
    windows: dict[int, Window] = {}
    addresses: dict[int, int] = {}
    groups: list[list[_Span]] = []
    for span in sorted(spans, key=lambda s: (s.low, s.high)):
        if groups and span.low < max(s.high for s in groups[-1]):
            groups[-1].append(span)
        else:
            groups.append([span])
    groups.sort(key=lambda group: min(s.position for s in group))
    for number, group in enumerate(groups, 1):
        window = _window(number, group)
        windows[number] = window
        low = group[0].low
        for span in group:
            # A view of negative strides begins at its last byte's end.
            first = span.array.__array_interface__["data"][0] if span.array.size else span.low
            addresses[span.position] = window.origin + window.lead + first - low
        if any(written[s.position] is not None for s in group):
            window.written = _written(window, group, written)
    return windows, addresses


def _window(number: int, group: list[_Span]) -> Window:
    low, high = min(s.low for s in group), max(s.high for s in group)
    first = min(group, key=lambda s: (s.low, -s.high))
    lead = first.offset % 256
    size = high - low
    name = " and ".join(s.name for s in sorted(group, key=lambda s: s.position))
    writable = any(s.array.flags.writeable for s in group)
    data = _bytes_at(low - lead, lead + size) if size else np.zeros(256, np.uint8)
    if not size:
        lead = 0
    window = Window(number, data, lead, size, name, first.array.itemsize, writable)
    window.spans = group
    return window


def _bytes_at(address: int, size: int) -> Any:
    """Memory as uint8; whoever uses it keeps its owner alive."""
    buffer: Any = (ctypes.c_uint8 * size).from_address(address)
    return np.frombuffer(buffer, np.uint8)


def _written(window: Window, group: list[_Span], given: Sequence[Any]) -> Written:
    """What the caller says of the bytes of a group of arrays: written, where anyone says so."""
    found = Written(len(window.data), 1, 1, None)
    low = min(s.low for s in group) - window.lead
    for span in group:
        flags = given[span.position]
        share = slice(span.low - low, span.high - low)
        found.flags[share] |= True if flags is None else flags
    return found


def _give_back(windows: dict[int, Window], written: Sequence[Any]) -> None:
    """Bring the caller's flags up to date."""
    for window in windows.values():
        if window.written is None:
            continue
        low = min(s.low for s in window.spans) - window.lead
        for span in window.spans:
            if written[span.position] is not None:
                share = slice(span.low - low, span.high - low)
                written[span.position][:] = window.written.flags[share]
