"""How many blocks of a kernel run on a multiprocessor at a time, and the block size for most.

Limits: CUDA Programming Guide, appendix "Compute Capabilities", table "Device and Streaming
Multiprocessor Information". How registers and shared memory are rounded up: ``cuda_occupancy.h`` of
the CUDA toolkit, which documents what the driver does.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuops.cuda.cubin import Resources
from gpuops.cuda.geometry import ceil_div
from gpuops.cuda.nvrtc import ArchitectureError, arch_number

__all__ = ["SUPPORTED_ARCHS", "Limits", "Occupancy", "block_threads", "limits_of", "occupancy_of"]

SUPPORTED_ARCHS = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
"""What gpuops compiles every kernel of its pack for: one for each generation since Turing."""

WARP = 32
_KIB = 1024
# Of every architecture in the table below.
_REGISTERS = 65536  # per multiprocessor, and the most per block
_REGISTER_UNIT = 256  # they are given out to warps in such units
_PARTITIONS = 4  # of a multiprocessor; each has a quarter of the registers
_MAX_THREADS = 1024  # per block
DEFAULT_SHARED = 48 * _KIB
"""Shared memory that a block may use without asking for more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one multiprocessor of an architecture.

    Attributes:
        threads: resident at a time.
        blocks: resident at a time.
        shared: bytes of shared memory.
        shared_per_block: bytes that one block can have, static and dynamic together.
        shared_unit: bytes in which shared memory is given out.
        shared_reserved: bytes that the system takes in every block.
    """

    threads: int
    blocks: int
    shared: int
    shared_per_block: int
    shared_unit: int
    shared_reserved: int


def _limits(threads: int, blocks: int, shared: int, per_block: int) -> Limits:
    return Limits(threads, blocks, shared * _KIB, per_block * _KIB, 128, 1 * _KIB)


_LIMITS = {
    "75": Limits(1024, 16, 64 * _KIB, 64 * _KIB, 256, 0),
    "80": _limits(2048, 32, 164, 163),
    "86": _limits(1536, 16, 100, 99),
    "87": _limits(1536, 16, 164, 163),
    "89": _limits(1536, 24, 100, 99),
    "90": _limits(2048, 32, 228, 227),
    "100": _limits(2048, 32, 228, 227),
    "103": _limits(2048, 32, 228, 227),
    "120": _limits(1536, 24, 100, 99),
    "121": _limits(1536, 24, 100, 99),
}


def limits_of(arch: str | int) -> Limits:
    """The limits of an architecture.

    Raises:
        ArchitectureError: it is not in the table.

    >>> limits_of("sm_90").threads
    2048
    """
    number = arch_number(arch).rstrip("af")
    if number not in _LIMITS:
        known = ", ".join(f"sm_{found}" for found in _LIMITS)
        raise ArchitectureError(f"the limits of sm_{number} are not known; known are {known}")
    return _LIMITS[number]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How full a multiprocessor gets.

    Attributes:
        blocks: per multiprocessor at a time; 0 if the kernel cannot be launched so.
        warps: of these blocks together.
        fraction: of the warps that the multiprocessor can hold.
        limited_by: ``"threads"``, ``"blocks"``, ``"registers"`` or ``"shared memory"``.
    """

    blocks: int
    warps: int
    fraction: float
    limited_by: str


def block_threads(resources: Resources) -> int:
    """The most threads that a block of a kernel can have, in whole warps.

    A launch with more fails: it exceeds what ``__launch_bounds__`` promised the compiler, or the
    registers of a block.
    """
    bound = min(resources.max_threads or _MAX_THREADS, _MAX_THREADS)
    # The hardware's own check takes it that every partition holds as many warps as the fullest.
    per_partition = _REGISTERS // _PARTITIONS // _registers_per_warp(resources)
    return min(bound, per_partition * _PARTITIONS * WARP)


def _registers_per_warp(resources: Resources) -> int:
    needed = max(resources.registers, 1) * WARP
    return ceil_div(needed, _REGISTER_UNIT) * _REGISTER_UNIT


def occupancy_of(
    resources: Resources, threads: int, arch: str | int, shared_mem: int = 0
) -> Occupancy:
    """The occupancy of a kernel with some resources; see `gpuops.cuda.occupancy`.

    Raises:
        ArchitectureError: the limits of the architecture are not known.
    """
    limits = limits_of(arch)
    warps = ceil_div(threads, WARP)
    per_warp = _registers_per_warp(resources)
    shared = resources.static_shared + shared_mem
    allowed = {
        "threads": limits.threads // WARP // warps,
        "blocks": limits.blocks,
        "registers": _REGISTERS // _PARTITIONS // per_warp * _PARTITIONS // warps,
        "shared memory": limits.blocks,
    }
    if threads > block_threads(resources):
        allowed["registers" if resources.max_threads is None else "threads"] = 0
    taken = ceil_div(shared + limits.shared_reserved, limits.shared_unit) * limits.shared_unit
    if shared > limits.shared_per_block:
        allowed["shared memory"] = 0
    elif taken:
        allowed["shared memory"] = limits.shared // taken
    limited_by = min(allowed, key=lambda name: allowed[name])
    blocks = allowed[limited_by]
    return Occupancy(blocks, blocks * warps, blocks * warps * WARP / limits.threads, limited_by)
