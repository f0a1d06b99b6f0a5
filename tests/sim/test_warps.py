"""Warp-wide instructions against plain loops over lanes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuops import cuda
from gpuops.cuda.simulation import run_ptx
from tests.sim.ptx_kernels import unary_text

few = settings(max_examples=8, deadline=None)
FULL = 0xFFFFFFFF


def run_warps(body: str, results: list[tuple[str, object]], operands: list[tuple[str, np.ndarray]]):
    """As `run_each`, without the launches of one thread: lanes need each other."""
    text = unary_text([body], [k for k, _ in results], [k for k, _ in operands])
    n = len(operands[0][1])
    out = [np.zeros(n, dtype) for _, dtype in results]
    run_ptx(text, "k", 1, n, [*(v for _, v in operands), *out])
    return out


def shuffled(values: list[int], mode: str, lanes: list[int], clamp: int) -> tuple[list, list]:
    """PTX ISA, ``shfl.sync``."""
    segment, bound = clamp >> 8 & 31, clamp & 31
    found, inside = [], []
    for k in range(32):
        b = lanes[k] & 31
        top = (k & segment) | (bound & ~segment & 31)
        low = k & segment
        source = {"up": k - b, "down": k + b, "bfly": k ^ b, "idx": low | (b & ~segment & 31)}[mode]
        ok = source >= top if mode == "up" else source <= top
        found.append(values[source if ok else k])
        inside.append(ok)
    return found, inside


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
def test_shuffles(mode: str) -> None:
    @few
    @given(st.integers(0, 31), st.sampled_from([2, 4, 8, 16, 32]), st.integers(0, 99))
    def check(offset: int, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 2**32, 64, dtype=np.uint32)
        offset %= size
        clamp = (32 - size) << 8 | (0 if mode == "up" else 31)
        uniform = f"shfl.sync.{mode}.b32 %d0|%d1, %a0, {offset}, {clamp}, -1;"
        results = [("u32", np.uint32), ("pred", np.bool_)]
        lanes = np.full(64, offset, np.uint32)
        if mode == "idx":
            lanes = rng.integers(0, size, 64, dtype=np.uint32)
        varying = f"shfl.sync.{mode}.b32 %d0|%d1, %a0, %a1, {clamp}, -1;"
        for body, given_lanes in ((uniform, np.full(64, offset)), (varying, lanes)):
            found, ok = run_warps(body, results, [("u32", values), ("u32", lanes)])
            for w in (0, 32):
                warp = slice(w, w + 32)
                expected = shuffled(values[warp].tolist(), mode, given_lanes[warp].tolist(), clamp)
                assert (found[warp].tolist(), ok[warp].tolist()) == expected

    check()


@few
@given(st.integers(0, 2**64 - 1))
def test_votes(pattern: int) -> None:
    flags = np.array([pattern >> k & 1 for k in range(64)], np.bool_)
    text = (
        "vote.sync.ballot.b32 %d0, %a0, -1; vote.sync.all.pred %d1, %a0, -1;"
        "vote.sync.any.pred %d2, !%a0, -1; vote.sync.uni.pred %d3, %a0, -1; activemask.b32 %d4;"
    )
    kinds = [("u32", np.uint32), *[("pred", np.bool_)] * 3, ("u32", np.uint32)]
    ballot, every, some, uniform, active = run_warps(text, kinds, [("pred", flags)])
    for w in (0, 32):
        warp = slice(w, w + 32)
        bits = pattern >> w & FULL
        assert set(ballot[warp].tolist()) == {bits}
        assert set(every[warp].tolist()) == {bits == FULL}
        assert set(some[warp].tolist()) == {bits != FULL}
        assert set(uniform[warp].tolist()) == {bits in (0, FULL)}
        assert set(active[warp].tolist()) == {FULL}


@few
@given(st.lists(st.integers(0, 4), min_size=32, max_size=32))
def test_matches_and_reductions(values: list[int]) -> None:
    a = np.array(values, np.uint32)
    text = (
        "match.any.sync.b32 %d0, %a0, -1; match.all.sync.b32 %d1|%d2, %a0, -1;"
        "redux.sync.add.s32 %d3, %a0, -1; redux.sync.max.u32 %d4, %a0, -1;"
        "redux.sync.xor.b32 %d5, %a0, -1; redux.sync.min.s32 %d6, %a0, -1;"
    )
    kinds = [("u32", np.uint32), ("u32", np.uint32), ("pred", np.bool_), *[("u32", np.uint32)] * 4]
    some, every, same, total, most, parity, least = run_warps(text, kinds, [("u32", a)])
    assert some.tolist() == [sum((v == w) << k for k, w in enumerate(values)) for v in values]
    uniform = len(set(values)) == 1
    assert every.tolist() == [FULL if uniform else 0] * 32 and same.tolist() == [uniform] * 32
    assert total.tolist() == [sum(values)] * 32
    assert most.tolist() == [max(values)] * 32 and least.tolist() == [min(values)] * 32
    assert parity.tolist() == [int(np.bitwise_xor.reduce(a))] * 32


def test_parts_of_a_warp_work_each_for_itself() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(const int* x, int* sums, unsigned* masks, int* firsts) {
            int t = threadIdx.x, odd = t & 1;
            unsigned mask = odd ? 0xaaaaaaaau : 0x55555555u;
            int v = x[t];
            if (odd) v = __reduce_add_sync(mask, v);
            else v = __reduce_max_sync(mask, v);
            sums[t] = v;
            masks[t] = __match_any_sync(mask, t / 8);
            firsts[t] = __shfl_sync(mask, x[t], odd);
            if (t < 5) masks[t] = __ballot_sync(0x1f, x[t] > 3) << 8 | __activemask();
        }""",
        "k",
    )
    x = np.arange(64, dtype=np.int32) * 3 % 17
    sums, firsts, masks = np.zeros(64, "i4"), np.zeros(64, "i4"), np.zeros(64, "u4")
    cuda.simulate(kernel, 1, 64, (x, sums, masks, firsts))
    for w in (0, 32):
        warp = x[w : w + 32]
        assert sums[w : w + 32 : 2].tolist() == [warp[::2].max()] * 16
        assert sums[w + 1 : w + 32 : 2].tolist() == [warp[1::2].sum()] * 16
        assert firsts[w : w + 32].tolist() == warp[:2].tolist() * 16
    assert masks[8:16].tolist() == [0x5500, 0xAA00] * 4
    ballot = sum((int(v) > 3) << k for k, v in enumerate(x[:5]))
    assert masks[:5].tolist() == [ballot << 8 | 31] * 5


def test_a_short_warp_has_fewer_lanes() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(int* y, int* sum) {
            int v = threadIdx.x;
            for (int d = 16; d; d /= 2) {
                int other = __shfl_down_sync(~0u, v, d);
                if (threadIdx.x % 32 + d < blockDim.x - threadIdx.x / 32 * 32) v += other;
            }
            y[blockIdx.x * blockDim.x + threadIdx.x] = __ballot_sync(~0u, 1);
            if (threadIdx.x == 32) sum[blockIdx.x] = v;
        }""",
        "k",
    )
    y, total = np.zeros(2 * 42, np.int32), np.zeros(2, np.int32)
    cuda.simulate(kernel, 2, 42, (y, total))
    assert y[:32].tolist() == [-1] * 32 and y[32:42].tolist() == [1023] * 10
    assert total.tolist() == [sum(range(32, 42))] * 2


PROBLEMS: dict[str, tuple[str, str]] = {
    "exited": (
        "if (t > 20) return; y[t] = __shfl_sync(~0u, t, 0);",
        "shfl.sync.idx.b32 with mask 0xffffffff names exited lanes (21, 22,",
    ),
    "exit later": (
        "if (t > 20) { y[t] = x[t] + 1; return; } y[t] = __any_sync(~0u, t > 3);",
        "vote.sync.any.pred with mask 0xffffffff names exited lanes (21, 22,",
    ),
    "syncwarp": ("if (t == 3) return; __syncwarp(); y[t] = 1;", "names exited lanes (3)"),
    "not in mask": ("y[t] = __shfl_sync(0xffff, t, 0);", "own lane is not in its mask 0x0000ffff"),
    "reads another": (
        "if (t < 16) y[t] = __shfl_down_sync(0xffff, t, 8);",
        "shuffle reads lane 16, which does not take part",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_wrong_masks_are_named(name: str) -> None:
    body, problem = PROBLEMS[name]
    kernel = cuda.Kernel(
        'extern "C" __global__ void k(const int* x, int* y) {\nint t = threadIdx.x;\n'
        + body
        + "\n}",
        "k",
    )
    x = np.zeros(32, np.int32)
    with pytest.raises(cuda.SimulationError) as caught:
        cuda.simulate(kernel, 1, 32, (x, x.copy()))
    assert problem in str(caught.value)
    assert (caught.value.kind, caught.value.line) == ("WARP-MASK", 3)


def test_a_barrier_of_a_warp_is_one_wherever_it_is_met() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(const int* x, int* y) {
            __shared__ int s[64];
            int t = threadIdx.x;
            if (t % 2) {
                s[t] = x[t];
                __syncwarp();
                y[t] = s[t - 1] + 1;
            } else {
                s[t] = 2 * x[t];
                __syncwarp();
                y[t] = s[t + 1] + 2;
            }
        }""",
        "k",
    )
    x, y = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    cuda.simulate(kernel, 1, 64, (x, y))
    assert y.tolist() == [2 * (t - 1) + 1 if t % 2 else t + 1 + 2 for t in range(64)]


def test_special_registers() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(unsigned* y) {
            unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
            unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
            unsigned lane, warp, below, above;
            asm("mov.u32 %0, %laneid;" : "=r"(lane));
            asm("mov.u32 %0, %warpid;" : "=r"(warp));
            asm("mov.u32 %0, %lanemask_lt;" : "=r"(below));
            asm("mov.u32 %0, %lanemask_ge;" : "=r"(above));
            unsigned* row = y + 8 * (block * blockDim.x * blockDim.y * blockDim.z + thread);
            row[0] = thread; row[1] = block; row[2] = lane; row[3] = warp; row[4] = below;
            row[5] = above; row[6] = blockDim.z; row[7] = gridDim.y;
        }""",
        "k",
    )
    y = np.zeros((2 * 3 * 2, 5 * 4 * 3, 8), np.uint32)
    cuda.simulate(kernel, (2, 3, 2), (5, 4, 3), (y,))
    for block in range(12):
        for thread in range(60):
            lane = thread % 32
            low = (1 << lane) - 1
            expected = [thread, block, lane, thread // 32, low, FULL ^ low, 3, 3]
            assert y[block, thread].tolist() == expected


def test_clocks_advance() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(long long* y) {
            long long start = clock64();
            while (clock64() < start + 10000) __nanosleep(100);
            unsigned long long t; asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
            y[0] = clock64() - start; y[1] = t; y[2] = clock();
        }""",
        "k",
    )
    y = np.zeros(3, np.int64)
    cuda.simulate(kernel, 1, 1, (y,))
    assert y[0] >= 10000 and y[1] > 0 and y[2] > 0
