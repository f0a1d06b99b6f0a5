"""What opaque objects cost, and that registrations and replays take no memory.

    python -m bench.bench_state

Prints, and exits with 1 if a limit is missed:

- a call with an opaque argument over one with a float in its place (limit 1.3), also for an object
  of a subclass;
- what a million registrations in the table of external objects, and a million replays of a graph
  that looks up two objects, leave behind: blocks of Python's allocator (limit 1000) and memory of
  the process (limit 4 MiB).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import gpuops
from gpuops import Array, OpaqueBase, external_objects

CALLS = 20_000
ROUNDS = 40
MILLION = 1_000_000
RATIO, BLOCKS, BYTES = 1.3, 1000, 4 << 20


class Handle(OpaqueBase):
    pass


class Special(Handle):
    pass


gpuops.register_opaque_type(Handle, "bench.Handle", typ="reference")


@gpuops.custom_op("bench_state::with_float", mutates_args=())
def with_float(x: Array, s: float) -> Array:
    return x


@gpuops.custom_op("bench_state::with_handle", mutates_args=())
def with_handle(x: Array, s: Handle) -> Array:
    return x


def times(ways: dict[str, tuple[Callable[..., Any], Any]]) -> dict[str, float]:
    """Seconds per call of each way: the least of rounds that take turns."""
    x = np.ones(2)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, (function, argument) in ways.items():
            start = perf_counter()
            for _ in range(CALLS):
                function(x, argument)
            best[name] = min(best[name], (perf_counter() - start) / CALLS)
    return best


def resident() -> int:
    """Bytes of memory that the process has."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0


def left_behind(work: Callable[[int], None]) -> tuple[float, int, int]:
    """Seconds for a million, and the blocks and bytes that there are more than before."""
    work(1000)
    gc.collect()
    blocks, size = sys.getallocatedblocks(), resident()
    start = perf_counter()
    work(MILLION)
    seconds = perf_counter() - start
    gc.collect()
    return seconds, sys.getallocatedblocks() - blocks, resident() - size


def registrations(number: int) -> None:
    handles = [Handle() for _ in range(4)]
    for _ in range(number // 8):
        external_objects.store_user_object_weakrefs(*handles)
        external_objects.register_user_object(handles[0], "L['handle']")
        made = external_objects.register_graph_created_object(Handle(), Handle)
        external_objects.construct_external_object(made)
        external_objects.set_external_object_by_index(made, handles[1])
    external_objects.reset_user_object_tracking()


first, second = Handle(), Special()


def twice(x: Any) -> Any:
    return with_handle(with_handle(x, first), second)


def replays(number: int) -> None:
    x = np.ones(2)
    for _ in range(number):
        GRAPH(x)


with_handle.register_fake(lambda x, s: x.new_empty(x.shape))
GRAPH = gpuops.trace(twice, "fake")(np.ones(2))


def main() -> int:
    found = times(
        {
            "float": (with_float, 1.0),
            "opaque": (with_handle, first),
            "opaque, of a subclass": (with_handle, second),
        }
    )
    missed = []
    for name, seconds in found.items():
        ratio = seconds / found["float"]
        print(f"a call with {name:<24} {seconds * 1e9:7.1f} ns  {ratio:5.2f}x")
        if ratio > RATIO:
            missed.append(f"a call with {name} costs {ratio:.2f}x, limit {RATIO}x")
    for what, work in (("registrations", registrations), ("replays", replays)):
        seconds, blocks, size = left_behind(work)
        print(
            f"1e6 {what:<14} {seconds:6.2f} s, {blocks} blocks, {size >> 10} KiB more than before"
        )
        if blocks > BLOCKS or size > BYTES:
            missed.append(f"{what} leave {blocks} blocks and {size} bytes")
    for line in missed:
        print("MISSED:", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
