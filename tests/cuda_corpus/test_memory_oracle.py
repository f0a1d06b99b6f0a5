"""Bounds, alignment and initialisation against an oracle: one thread of many strays, at random.

All threads access a place that is right but for one, whose offset, width and kind are drawn. What
has to be reported follows from a comparison of numbers.
"""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpuops import cuda

WIDTHS = [1, 2, 4, 8, 16]
SIGNS = st.sampled_from([-1, 1])
THREADS = 64
OWNER = 512  # bytes of the array that the argument is a part of

SOURCE = """
typedef unsigned long long Word;
struct __align__(16) Pair { Word low, high; };
// All bytes of what is read are used, and at once: parts of a word may be padding.
template <typename T> __device__ inline Word use(T value) { return 3 * static_cast<Word>(value); }
template <> __device__ inline Word use(Pair value) { return 3 * value.low + 5 * value.high; }
template <typename T> __device__ inline void access(char* at, bool store, Word* out) {
    if (store)
        *reinterpret_cast<T*>(at) = T();
    else
        out[threadIdx.x] = use(*reinterpret_cast<T*>(at));
}
__device__ inline void stray(char* base, long long offset, int width, bool store, Word* out) {
    switch (width) {
        case 1: access<unsigned char>(base + offset, store, out); break;
        case 2: access<unsigned short>(base + offset, store, out); break;
        case 4: access<unsigned int>(base + offset, store, out); break;
        case 8: access<Word>(base + offset, store, out); break;
        default: access<Pair>(base + offset, store, out); break;
    }
}
extern "C" __global__ void in_global(char* base, long long offset, int width, bool store,
                                     int thread, Word* out) {
    stray(base, threadIdx.x == thread ? offset : 0, width, store, out);
}
// Bytes from `first` up to `last` are written before the access.
extern "C" __global__ void in_shared(int first, int last, long long offset, int width, int thread,
                                     Word* out) {
    extern __shared__ __align__(16) char memory[];
    for (int k = first + threadIdx.x; k < last; k += blockDim.x) memory[k] = 1;
    __syncthreads();
    if (threadIdx.x == thread) stray(memory, offset, width, false, out);
}
"""

IN_GLOBAL = cuda.Kernel(SOURCE, "in_global")
IN_SHARED = cuda.Kernel(SOURCE, "in_shared")


def kind_of_report(kernel: cuda.Kernel, args: tuple[object, ...], shared_mem: int = 0) -> str:
    """The kind of what the simulator reports; "" if it reports nothing."""
    try:
        cuda.simulate(kernel, 1, THREADS, args, shared_mem=shared_mem)
    except cuda.SimulationError as report:
        return report.kind
    return ""


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from([0, 16, 32, 48]),
    length=st.sampled_from([16, 17, 60, 64, 100]),
    offset=st.integers(-40, 140) | st.builds(lambda k, sign: sign << k, st.integers(8, 62), SIGNS),
    width=st.sampled_from(WIDTHS),
    store=st.booleans(),
    thread=st.integers(0, THREADS - 1),
)
@example(start=16, length=64, offset=-1, width=1, store=False, thread=0)
@example(start=16, length=64, offset=64, width=1, store=True, thread=63)
def test_accesses_of_an_argument(
    start: int, length: int, offset: int, width: int, store: bool, thread: int
) -> None:
    owner = np.zeros(OWNER, np.int8)
    view = owner[start : start + length]
    if not store:
        view.flags.writeable = False
    args = (view, np.int64(offset), np.int32(width), np.bool_(store), np.int32(thread))
    expected = set()
    if offset < 0 or offset + width > length:
        expected.add("OUT-OF-BOUNDS")
    if offset % width:  # the view itself starts at a multiple of 16
        expected.add("MISALIGNED")
    found = kind_of_report(IN_GLOBAL, (*args, np.zeros(THREADS, np.uint64)))
    assert found in (expected or {""})


@settings(max_examples=150, deadline=None)
@given(
    size=st.sampled_from([64, 100, 128]),
    first=st.integers(0, 64),
    last=st.integers(0, 64),
    offset=st.integers(-20, 140),
    width=st.sampled_from(WIDTHS),
    thread=st.integers(0, THREADS - 1),
)
def test_reads_of_shared_memory(
    size: int, first: int, last: int, offset: int, width: int, thread: int
) -> None:
    args = tuple(np.int32(n) for n in (first, last))
    args += (np.int64(offset), np.int32(width), np.int32(thread))
    expected = set()
    if offset < 0 or offset + width > size:
        expected.add("OUT-OF-BOUNDS")
    if offset % width:
        expected.add("MISALIGNED")
    if not expected and (offset < first or offset + width > last):
        expected.add("UNINITIALISED")
    found = kind_of_report(IN_SHARED, (*args, np.zeros(THREADS, np.uint64)), shared_mem=size)
    assert found in (expected or {""})
