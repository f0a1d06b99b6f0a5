"""The reader of cubins, against what ptxas itself prints."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpuops import cuda
from gpuops.cuda import nvrtc
from gpuops.cuda.cubin import CubinError, ParameterSlot, read_cubin

SOURCE = r"""
struct Three { float a; long long b; char c; };
struct Large { char bytes[20000]; };

template <typename T>
__global__ void many(const T* x, float s, Three t, T* y, bool b, unsigned char c, int n) {
    __shared__ T tile[64];
    tile[threadIdx.x] = x[n] * s + t.a + b + c;
    __syncthreads();
    y[n] = tile[63 - threadIdx.x];
}

__global__ void large(Large x, int n, float* y) { y[n] = x.bytes[n]; }

// 120 values at a time, of which 64 registers hold no more than half.
extern "C" __global__ void __launch_bounds__(1024) spill(float* x, int n) {
    float a[120];
#pragma unroll
    for (int i = 0; i < 120; i++) a[i] = x[i * n];
    for (int j = 0; j < n; j++)
#pragma unroll
        for (int i = 0; i < 120; i++) a[i] = a[(i * 7 + 1) % 120] * a[i] + x[j];
#pragma unroll
    for (int i = 0; i < 120; i++) x[i] = a[i];
}

// An array that is indexed with what only the launch tells lies in memory: stack, and no spill.
extern "C" __global__ void stack(float* x, int n) {
    float a[50];
    for (int i = 0; i < 50; i++) a[i] = x[i];
    for (int i = 0; i < n; i++) a[(i * n) % 50] += i;
    for (int i = 0; i < 50; i++) x[i] = a[i];
}

extern "C" __global__ void dynamic() {
    extern __shared__ int room[];
    room[threadIdx.x] = 1;
}

extern "C" __global__ void __launch_bounds__(96) nothing() {}
"""
NAMES = ("many<float>", "many<double>", "large", "spill", "stack", "dynamic", "nothing")


@pytest.fixture(scope="module", params=cuda.SUPPORTED_ARCHS)
def compiled(request: pytest.FixtureRequest) -> nvrtc.Compiled:
    return nvrtc.compile_cubin(SOURCE, request.param, (nvrtc.VERBOSE,), NAMES, types=True)


def printed(log: str, symbol: str) -> tuple[int, int, int]:
    """Registers, stack and static shared memory of a kernel, as ptxas prints them."""
    section = log.split(f"Function properties for {symbol}\n")[1].split("Compile time")[0]
    stack = re.search(r"(\d+) bytes stack frame", section)
    registers = re.search(r"Used (\d+) registers", section)
    shared = re.search(r"(\d+) bytes smem", section)
    assert stack and registers
    return int(registers[1]), int(stack[1]), int(shared[1]) if shared else 0


def test_it_reads_what_ptxas_prints(compiled: nvrtc.Compiled) -> None:
    found = read_cubin(compiled.code)
    assert set(compiled.lowered.values()) <= found.keys()
    for symbol in compiled.lowered.values():
        kernel = found[symbol]
        read = kernel.registers, kernel.stack, kernel.static_shared
        assert read == printed(compiled.log, symbol), symbol


def test_parameters_and_launch_bounds(compiled: nvrtc.Compiled) -> None:
    found = read_cubin(compiled.code)
    many = found[compiled.lowered["many<float>"]]
    assert many.parameters == (
        ParameterSlot(0, 8),
        ParameterSlot(8, 4),
        ParameterSlot(16, 24),
        ParameterSlot(40, 8),
        ParameterSlot(48, 1),
        ParameterSlot(49, 1),
        ParameterSlot(52, 4),
    )
    assert [slot.size for slot in found[compiled.lowered["large"]].parameters] == [20000, 4, 8]
    assert found["nothing"].parameters == ()
    assert (found["nothing"].max_threads, found["spill"].max_threads) == (96, 1024)
    assert many.max_threads is None
    assert many.static_shared == 256
    assert found["dynamic"].static_shared == 0


def test_the_whole_file_arrives(compiled: nvrtc.Compiled) -> None:
    """CuPy's binding drops the last byte, which belongs to the last program header."""
    start = int.from_bytes(compiled.code[32:40], "little")
    size, count = (int.from_bytes(compiled.code[at : at + 2], "little") for at in (54, 56))
    assert len(compiled.code) == start + size * count


def test_spills_are_read_from_the_log() -> None:
    compiled = nvrtc.compile_cubin(SOURCE, 75, (nvrtc.VERBOSE,), ("spill", "stack"))
    spills = nvrtc.read_spills(compiled.log)
    assert min(spills["spill"]) > 0
    assert spills["stack"] == (0, 0)
    assert read_cubin(compiled.code)["stack"].stack >= 200


SMALL = 'extern "C" __global__ void f(float* x) { *x = 1; }'


@cache
def small() -> bytes:
    return nvrtc.compile_cubin(SMALL, 80, (), ("f",)).code


@given(share=st.floats(0, 0.5))
def test_what_is_cut_off_is_refused(share: float) -> None:
    with pytest.raises(CubinError, match="cubin"):
        read_cubin(small()[: int(share * len(small()))])


@given(share=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255))
@example(share=47 / 4000, flipped=128)
def test_changed_bytes_give_another_answer_or_an_error(share: float, flipped: int) -> None:
    changed = bytearray(small())
    changed[int(share * len(changed))] ^= flipped
    # Any other exception than this one fails the test.
    with suppress(CubinError):
        assert isinstance(read_cubin(bytes(changed)), dict)


def test_other_files_are_refused() -> None:
    with pytest.raises(CubinError, match="expected a 64-bit ELF file"):
        read_cubin(b"#!/bin/sh\n")
    header = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    header[18] = 62
    with pytest.raises(CubinError, match="its machine is 62, not 190"):
        read_cubin(bytes(header))
