"""What kernels need on each architecture, found by compiling them on a machine without a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuops.cuda import nvrtc
from gpuops.cuda.cubin import Resources, read_cubin
from gpuops.cuda.limits import SUPPORTED_ARCHS, block_threads
from gpuops.errors import ArgumentError, describe

if TYPE_CHECKING:
    from gpuops.cuda.kernel import Kernel

__all__ = ["KernelReport", "compile_report", "compile_reports"]


@dataclass(frozen=True, slots=True)
class KernelReport:
    """What one kernel needs on one architecture.

    Attributes:
        kernel: its name.
        arch: such as ``"sm_90"``.
        registers: per thread.
        spill_stores: bytes per thread written because registers were short.
        spill_loads: bytes per thread read back.
        stack: bytes of local memory per thread.
        static_shared: bytes of shared memory per block.
        constant: bytes of constants of its own.
        parameters: the size of each parameter in bytes.
        max_threads: the most threads per block that it can be launched with.
    """

    kernel: str
    arch: str
    registers: int
    spill_stores: int
    spill_loads: int
    stack: int
    static_shared: int
    constant: int
    parameters: tuple[int, ...]
    max_threads: int

    @property
    def spills(self) -> int:
        """Bytes stored and loaded per thread because registers were short."""
        return self.spill_stores + self.spill_loads


def compile_report(
    kernel: Kernel, archs: Sequence[str | int] | str | int = SUPPORTED_ARCHS
) -> tuple[KernelReport, ...]:
    """What a kernel needs, per architecture. Needs neither a GPU nor a driver.

    Args:
        kernel: a `gpuops.cuda.Kernel`.
        archs: such as ``("sm_80", "sm_90a")``, or one of them.

    Returns:
        A row for each architecture, in order.

    Raises:
        ArgumentError: `kernel` is no kernel.
        CompileError: the source does not compile for one of them.
        NvrtcNotFoundError: NVRTC is not installed.
        ArchitectureError: no such architecture.

    >>> from gpuops.cuda import Kernel
    >>> fill = Kernel('extern "C" __global__ void fill(float* x, float s) { *x = s; }', "fill")
    >>> (row,) = compile_report(fill, ["sm_80"])
    >>> row.parameters, row.spills, row.registers < 16
    ((8, 4), 0, True)
    """
    if not hasattr(kernel, "program"):
        raise ArgumentError(f"compile_report takes a gpuops.cuda.Kernel, got {describe(kernel)}")
    chosen = (archs,) if isinstance(archs, str | int) else archs
    return tuple(compile_reports([kernel], chosen))


def compile_reports(
    kernels: Iterable[Kernel], archs: Sequence[str | int] = SUPPORTED_ARCHS
) -> list[KernelReport]:
    """`compile_report` of several kernels: those of one source are compiled together.

    Returns:
        For each kernel, in order, a row for each architecture.
    """
    wanted = list(kernels)
    groups: dict[tuple[str, tuple[str, ...], str], list[Kernel]] = {}
    for kernel in wanted:
        groups.setdefault(kernel.program, []).append(kernel)
    jobs = [(group, f"sm_{nvrtc.arch_number(a)}") for group in groups.values() for a in archs]
    found: dict[tuple[str, tuple[str, ...], str], dict[tuple[str, str], KernelReport]] = {}
    # NVRTC works without Python's lock: two threads use two cores.
    with ThreadPoolExecutor(2) as pool:
        for (group, arch), rows in zip(jobs, pool.map(_compile, jobs), strict=True):
            of_program = found.setdefault(group[0].program, {})
            of_program.update({(row.kernel, arch): row for row in rows})
    numbers = [f"sm_{nvrtc.arch_number(arch)}" for arch in archs]
    return [found[kernel.program][kernel.name, arch] for kernel in wanted for arch in numbers]


def _compile(job: tuple[list[Kernel], str]) -> list[KernelReport]:
    kernels, arch = job
    source, options, filename = kernels[0].program
    names = tuple(dict.fromkeys(kernel.name for kernel in kernels))
    compiled = nvrtc.compile_cubin(source, arch, (*options, nvrtc.VERBOSE), names, filename)
    resources = read_cubin(compiled.code)
    spills = nvrtc.read_spills(compiled.log)
    return [
        _row(name, arch, resources[symbol], spills[symbol])
        for name, symbol in compiled.lowered.items()
    ]


def _row(kernel: str, arch: str, found: Resources, spills: tuple[int, int]) -> KernelReport:
    return KernelReport(
        kernel,
        arch,
        found.registers,
        *spills,
        found.stack,
        found.static_shared,
        found.constant,
        tuple(slot.size for slot in found.parameters),
        block_threads(found),
    )
