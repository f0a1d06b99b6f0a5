"""The race check against an oracle: random accesses, random barriers, every pair looked at.

A kernel is a sequence of steps. In each, some threads access one place of a buffer in shared or in
global memory; after it comes a barrier of the block, of the warps, or none. Two accesses of a byte
by two threads race if one of them writes, not both are atomic, and no barrier that both take part
in stands between them. The simulator has to report kernels with such a pair, and no others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuops import cuda

THREADS, BLOCKS, BYTES = 64, 2, 256

# Volatile assembly, so that the compiler neither merges nor drops an access. The mnemonics are not
# volatile: such accesses would be left alone.
SOURCE = """
#define MEMORY(W, SPACE, REGISTER, TYPE) \\
    __device__ inline unsigned read_##SPACE##_##W(ADDRESS_##SPACE at) { \\
        TYPE value; \\
        asm volatile("ld." #SPACE ".u" #W " %0, [%1];" : REGISTER(value) : PLACE_##SPACE(at)); \\
        return (unsigned)value; \\
    } \\
    __device__ inline void write_##SPACE##_##W(ADDRESS_##SPACE at, unsigned given) { \\
        TYPE value = (TYPE)given; \\
        asm volatile("st." #SPACE ".u" #W " [%0], %1;" ::PLACE_##SPACE(at), INPUT_##W(value)); \\
    }
#define ADDRESS_shared unsigned
#define ADDRESS_global char*
#define PLACE_shared "r"
#define PLACE_global "l"
#define INPUT_8 "h"
#define INPUT_16 "h"
#define INPUT_32 "r"
#define INPUT_64 "l"
#define BOTH(W, REGISTER, TYPE) MEMORY(W, shared, REGISTER, TYPE) MEMORY(W, global, REGISTER, TYPE)
BOTH(8, "=h", unsigned short)
BOTH(16, "=h", unsigned short)
BOTH(32, "=r", unsigned int)
BOTH(64, "=l", unsigned long long)
__device__ inline void add_shared_32(unsigned at, unsigned value) {
    asm volatile("red.shared.add.u32 [%0], %1;" ::"r"(at), "r"(value));
}
__device__ inline void add_global_32(char* at, unsigned value) {
    asm volatile("red.global.add.u32 [%0], %1;" ::"l"(at), "r"(value));
}
extern "C" __global__ void steps(char* buffer, unsigned* out) {
    __shared__ __align__(8) char memory[BYTES];
    const int t = threadIdx.x, id = blockIdx.x * blockDim.x + t;
    for (int k = t; k < BYTES; k += blockDim.x) memory[k] = 0;
    __syncthreads();
    const unsigned shared = (unsigned)__cvta_generic_to_shared(memory);
    unsigned sum = 0;
    STEPS
    out[id] = sum;
}
"""


@dataclass(frozen=True)
class Step:
    """Threads first <= t < last of each block access item (factor * t + offset) modulo the items.

    Attributes:
        kind: "read", "write" or "add" (atomic).
        space: "shared" or "global".
        width: of the access in bytes.
        barrier: after it, "block", "warp" or "".
    """

    kind: str
    space: str
    width: int
    factor: int
    offset: int
    first: int
    last: int
    barrier: str

    def code(self) -> str:
        """The step in CUDA C++."""
        items = BYTES // self.width
        base = "shared" if self.space == "shared" else "buffer"
        at = f"{base} + {self.width} * (({self.factor} * t + {self.offset}) % {items})"
        name = f"{self.kind}_{self.space}_{8 * self.width}"
        # Every thread writes a value of its own, so that no two writes are alike.
        access = f"sum += {name}({at})" if self.kind == "read" else f"{name}({at}, id + 1)"
        wait = {"block": "__syncthreads();", "warp": "__syncwarp();", "": ""}[self.barrier]
        return f"if (t >= {self.first} && t < {self.last}) {access}; {wait}"

    def bytes_of(self, t: int) -> range:
        """Which bytes a thread touches."""
        start = (self.factor * t + self.offset) % (BYTES // self.width) * self.width
        return range(start, start + self.width)


@st.composite
def a_step(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(["read", "read", "write", "write", "add"]))
    first = draw(st.sampled_from([0, 0, 0, 16, 32, 40]))
    return Step(
        kind,
        draw(st.sampled_from(["shared", "shared", "global"])),
        4 if kind == "add" else draw(st.sampled_from([1, 2, 4, 8])),
        draw(st.sampled_from([0, 1, 1, 1, 2, 3, 63])),
        draw(st.sampled_from([0, 0, 1, 31, 32, 62])),
        first,
        draw(st.sampled_from([first + 1, first + 8, 32, 64, 64])),
        draw(st.sampled_from(["", "warp", "block", "block"])),
    )


def races(steps: list[Step]) -> bool:
    """The oracle: whether any two accesses race."""
    touched = defaultdict(list)  # (space, block of shared memory, byte) -> accesses
    for when, step in enumerate(steps):
        for block in range(BLOCKS):
            for t in range(step.first, step.last):
                for byte in step.bytes_of(t):
                    owner = block if step.space == "shared" else None
                    touched[step.space, owner, byte].append((when, block, t))
    return any(
        conflict(steps, *pair)
        for accesses in touched.values()
        for pair in combinations(sorted(set(accesses)), 2)
    )


def conflict(steps: list[Step], one: tuple[int, int, int], two: tuple[int, int, int]) -> bool:
    """Whether two accesses of the same byte, given as (step, block, thread), race."""
    if one[1:] == two[1:]:
        return False
    kinds = {steps[one[0]].kind, steps[two[0]].kind}
    # A plain read beside atomics is left alone in global memory: the compare-and-swap idiom.
    harmless = [{"read"}, {"add"}]
    if steps[one[0]].space == "global":
        harmless.append({"read", "add"})
    if kinds in harmless:
        return False
    if one[1] != two[1]:
        return True
    between = {step.barrier for step in steps[one[0] : two[0]]}
    same_warp = one[2] // 32 == two[2] // 32
    return not ("block" in between or ("warp" in between and same_warp))


def reported(steps: list[Step]) -> bool:
    """Whether the simulator finds a race; any other report is an error."""
    code = "\n    ".join(step.code() for step in steps)
    source = SOURCE.replace("STEPS", code).replace("BYTES", str(BYTES))
    args = (np.zeros(BYTES, np.int8), np.zeros(BLOCKS * THREADS, np.uint32))
    try:
        cuda.simulate(cuda.Kernel(source, "steps"), BLOCKS, THREADS, args)
    except cuda.SimulationError as report:
        if report.kind != "RACE":
            raise
        return True
    return False


@settings(max_examples=60, deadline=None)
@given(st.lists(a_step(), min_size=1, max_size=6))
def test_races_are_those_of_the_oracle(steps: list[Step]) -> None:
    assert reported(steps) == races(steps)


def test_the_oracle_itself() -> None:
    """A neighbour's value needs a barrier, within a warp one of the warp; a thread's own none."""

    def exchange(distance: int, barrier: str) -> list[Step]:
        store = Step("write", "shared", 4, 1, 0, 0, 64, barrier)
        return [store, Step("read", "shared", 4, 1, distance, 0, 31, "")]

    assert races(exchange(1, "")) and not races(exchange(1, "warp"))
    assert races(exchange(32, "warp")) and not races(exchange(32, "block"))
    assert not races(exchange(0, ""))
    assert races([Step("write", "global", 4, 1, 0, 0, 64, "block")])
    assert not races([Step("add", "global", 4, 0, 0, 0, 64, "")])
