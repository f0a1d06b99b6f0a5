"""Run a CUDA kernel on NumPy arrays, with every access checked. Needs neither GPU nor driver."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuops.cuda.cubin import ParameterSlot
from gpuops.cuda.geometry import Dim, launch_sizes
from gpuops.cuda.mangling import function_parameters
from gpuops.cuda.nvrtc import Compiled, CompileError, compile_ptx
from gpuops.cuda.parameter_names import parameter_names
from gpuops.cuda.signature import KernelParameter, KernelSignature, signature_of
from gpuops.cuda.sim.launch import RESIDENT, launch
from gpuops.cuda.sim.program import Program
from gpuops.cuda.sim.ptx import parse
from gpuops.cuda.sim.report import SimulationError, Source
from gpuops.errors import ArgumentError, describe

if TYPE_CHECKING:
    from gpuops.cuda.kernel import Kernel

__all__ = ["SimulationError", "run_ptx", "simulate"]

# The newest architecture whose PTX avoids what is not simulated (thread block clusters, bulk
# copies), then what sources that need a newer one are compiled for.
_ARCHS = ("compute_80", "compute_90", "compute_75")

_Made = tuple[Program, Source, tuple[KernelParameter, ...]]
_KEPT = 512  # programs; the one made first goes first
_programs: dict[Any, _Made] = {}
_lock = threading.Lock()


def simulate(
    kernel: Kernel,
    grid: Dim,
    block: Dim,
    args: Sequence[Any],
    shared_mem: int = 0,
    *,
    _written: Sequence[Any] | None = None,
    _resident: int = RESIDENT,
    _races: bool = True,
) -> None:
    """Run a kernel on NumPy arrays, in place, and refuse what is undefined on a GPU.

    The source is compiled to PTX once and the PTX is interpreted, all threads at a time. Checked
    are bounds, alignment, reads of memory nobody wrote, races, barriers that not all threads
    reach, masks of warp-wide functions, and whether the kernel ends. See docs/simulator.md.

    Args:
        kernel: what to run.
        grid: blocks, as in a launch: an int or a tuple of up to three. With a 0 nothing runs.
        block: threads of a block, likewise.
        args: NumPy arrays, which are passed as pointers to their memory (views too: the kernel sees
            the bytes from the first element to the last, and arrays that share memory share it in
            the kernel); Python numbers, which become the parameter's type; NumPy scalars,
            which have to have its size and kind; structures as NumPy void scalars or bytes.
            Arrays have to hold what the kernel's pointers point to, except that integers of one
            size stand for each other, raw bytes for anything, and complex numbers for their parts;
            `gpuops.cuda.pointer` of an array is taken as it is.
        shared_mem: dynamic shared memory in bytes.

    Raises:
        ArgumentError: the arguments do not fit the kernel's parameters.
        CompileError: the source does not compile.
        SimulationError: the kernel does something wrong, or something that is not simulated.

    >>> import numpy as np
    >>> from gpuops import cuda
    >>> scale = cuda.Kernel('''
    ... extern "C" __global__ void scale(float* x, float s, int n) {
    ...     int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...     if (i <= n) x[i] *= s;
    ... }''', "scale")
    >>> x = np.ones(100, np.float32)
    >>> cuda.simulate(scale, 1, 128, (x, 2.0, 99))
    >>> float(x.sum())
    200.0
    >>> cuda.simulate(scale, 1, 128, (x, 2.0, 100))
    Traceback (most recent call last):
    ...
    gpuops.cuda.sim.report.SimulationError: OUT-OF-BOUNDS in kernel 'scale': out of bounds read of
    4 bytes at 1 element past the end of argument 0 (float32[100]); thread (100, 0, 0) of block
    (0, 0, 0)
      at scale.cu:4: if (i <= n) x[i] *= s;
    """
    if not hasattr(kernel, "program"):
        raise ArgumentError(f"simulate takes a gpuops.cuda.Kernel, got {describe(kernel)}")
    where = f"Kernel {kernel.name!r}"
    if not isinstance(args, tuple | list):
        raise ArgumentError(f"{where}: args must be a tuple or a list, got {describe(args)}")
    if not isinstance(shared_mem, int | np.integer) or shared_mem < 0:
        raise ArgumentError(f"{where}: shared_mem must be a number of bytes, got {shared_mem!r}")
    blocks, threads = launch_sizes(kernel.name, grid, block)
    program, source, parameters = _program(kernel)
    # Those of a launch on the simulated GPU were compared there, and more strictly.
    if _written is None and len(args) == len(parameters):
        signature = KernelSignature(kernel.name, parameters, str(kernel.location))
        args = signature.check_host_arrays(args)
    launch(
        program,
        source,
        blocks,
        threads,
        args,
        int(shared_mem),
        races=_races,
        written=_written,
        resident=_resident,
    )


def run_ptx(
    ptx: str,
    symbol: str,
    grid: Dim,
    block: Dim,
    args: Sequence[Any],
    shared_mem: int = 0,
    **options: Any,
) -> None:
    """Run a kernel given as PTX text; options as of `gpuops.cuda.sim.launch.launch`."""
    program, source = _ptx_program(ptx, symbol)
    blocks, threads = launch_sizes(symbol, grid, block)
    launch(program, source, blocks, threads, args, shared_mem, **options)


@lru_cache(maxsize=64)
def _ptx_program(ptx: str, symbol: str) -> tuple[Program, Source]:
    module = parse(ptx)
    return Program(module, symbol), Source(symbol, f"{symbol}.ptx", "", module)


def _program(kernel: Kernel) -> _Made:
    """The kernel's program and what it takes, made once for its source, name and options."""
    key = *kernel.program, kernel.name
    with _lock:
        found = _programs.get(key)
        if found is None:
            found = _programs[key] = _make(kernel)
            if len(_programs) > _KEPT:
                del _programs[next(iter(_programs))]
    return found


def _make(kernel: Kernel) -> _Made:
    text, options, filename = kernel.program
    flags = (*options, "-lineinfo")
    first: CompileError | None = None
    for arch in _ARCHS:
        try:
            compiled = compile_ptx(text, arch, flags, (kernel.name,), filename, types=True)
        except CompileError as error:
            first = first or error
            continue
        module = parse(compiled.code.decode())
        program = Program(module, compiled.lowered[kernel.name])
        source = Source(kernel.name, filename, text, module)
        return program, source, _parameters(kernel.name, text, compiled, program)
    assert first is not None
    raise first


def _parameters(
    name: str, text: str, compiled: Compiled, program: Program
) -> tuple[KernelParameter, ...]:
    mangled = compiled.types.get(name)
    types = function_parameters(mangled) if mangled else None
    slots = [
        ParameterSlot(program.layout.params[parameter.name], parameter.size)
        for parameter in program.function.params
    ]
    return signature_of(name, types, slots, parameter_names(text, name)).parameters
