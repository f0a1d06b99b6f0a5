"""Launches and references for kernels of NVIDIA/cuda-samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bench.foreign_case import Case, Cases
from tests.cuda_corpus.corpus import Launch, floats, ints, zeros

I4, U4, F4, F8, U8 = np.int32, np.uint32, np.float32, np.float64, np.uint64
FILES: list[Cases] = []


def of(file: str, **facts: object) -> Cases:
    """Cases of a file in Samples."""
    cases = Cases(f"Samples/{file}", **facts)
    FILES.append(cases)
    return cases


def uints(*shape: int, high: int = 1000, seed: int = 0) -> np.ndarray:
    return ints(*shape, high=high, seed=seed).view(U4)


# -- introduction ----------------------------------------------------------------------------------

vote = of("0_Introduction/simpleVoteIntrinsics/simpleVote_kernel.cuh")
dot_half = of(
    "0_Introduction/fp16ScalarProduct/fp16ScalarProduct.cu", first=("#include <cuda_fp16.h>",)
)


@of("0_Introduction/vectorAdd/vectorAdd.cu").add("vectorAdd")
def _() -> Launch:
    a, b = floats(1000), floats(1000, seed=1)
    return Launch(4, 256, (a, b, zeros(1000), I4(1000)), {2: a + b})


@of("0_Introduction/asyncAPI/asyncAPI.cu").add("increment_kernel")
def _() -> Launch:
    x = ints(512)
    return Launch(2, 256, (x, I4(26)), {0: x + 26})


@of("0_Introduction/simpleStreams/simpleStreams.cu").add("init_array")
def _() -> Launch:
    factor = ints(1, low=5)
    args = (zeros(512, dtype=I4), factor, I4(10))
    return Launch(2, 256, args, {0: np.full(512, 10 * factor[0])})


@of("0_Introduction/matrixMul/matrixMul.cu").add("MatrixMulCUDA<16>")
def _() -> Launch:
    a, b = floats(32, 48), floats(48, 64, seed=1)
    args = (zeros(32, 64), a, b, I4(48), I4(64))
    return Launch((4, 2), (16, 16), args, {0: a @ b}, rtol=1e-3)


@vote.add("VoteAnyKernel1")
def _() -> Launch:
    x = uints(128, high=40) // 39
    right = np.repeat(x.reshape(4, 32).any(1), 32)
    return Launch(1, 128, (x, zeros(128, dtype=U4), I4(128)), {1: right})


@vote.add("VoteAllKernel2")
def _() -> Launch:
    x = np.ones(128, U4)
    x[70] = 0
    right = np.repeat(x.reshape(4, 32).all(1), 32)
    return Launch(1, 128, (x, zeros(128, dtype=U4), I4(128)), {1: right})


@vote.add("VoteAnyKernel3")
def _() -> Launch:
    t = np.arange(96)
    right = np.stack([t >= 32, t >= 48, t >= 64], 1)
    return Launch(1, 96, (zeros(96, 3, dtype=bool), I4(32)), {0: right})


@of("0_Introduction/simpleAtomicIntrinsics/simpleAtomicIntrinsics_kernel.cuh").add("testKernel")
def _() -> Launch:
    out = np.array([0, 0, 0, 0, 0, 0, 0, -5, 0xFF, 0, 0], I4)
    t = np.arange(32)
    right = np.array([320, -320, np.nan, 31, 0, 32 % 18, 138 - 32, -5, 0, 0, 0])
    right[8] = np.bitwise_and.reduce(2 * t + 7) & 0xFF
    right[9] = -1
    right[10] = np.bitwise_xor.reduce(t)
    return Launch(1, 32, (out,), {0: right})


@of("0_Introduction/clock/clock.cu").add("timedReduction")
def _() -> Launch:
    x = floats(128)
    args = (x, zeros(3), zeros(6, dtype=np.int64))
    return Launch(3, 64, args, {1: np.full(3, x.min())}, shared_mem=512)


@dot_half.add("scalarProductKernel_intrinsics", "scalarProductKernel_native")
def _() -> Launch:
    a, b = (ints(512, 2, high=4, seed=s).astype(np.float16) for s in (0, 1))
    # The first index of thread t is t + 128, as the sample has it.
    right = (a[128:] * b[128:]).sum(dtype=float)
    return Launch(1, 128, (a, b, zeros(1), U8(512)), {2: right})


@of("0_Introduction/mergeSort/mergeSort.cu").add("mergeSortSharedKernel<1U>")
def _() -> Launch:
    return sort(1024, 512, U4(1024))


@of("0_Introduction/simpleAWBarrier/simpleAWBarrier.cu").add("normVecByDotProductAWBarrier")
def _() -> Launch:
    a, b = np.abs(floats(500)), np.abs(floats(500, seed=1))
    norm = math.sqrt(float((a.astype(float) * b).sum()))
    args = (a, b, zeros(3, dtype=F8), I4(500))
    return Launch(3, 64, args, {0: a / norm, 1: b / norm}, shared_mem=8 * 64, rtol=1e-3)


# -- reductions, scans, sorting --------------------------------------------------------------------

reduction = of("2_Concepts_and_Techniques/reduction/reduction_kernel.cu")
fence = of("2_Concepts_and_Techniques/threadFenceReduction/threadFenceReduction_kernel.cuh")
scan = of("2_Concepts_and_Techniques/scan/scan.cu")
shuffle_scan = of("2_Concepts_and_Techniques/shfl_scan/shfl_scan.cu")
sorting = "2_Concepts_and_Techniques/sortingNetworks"
bitonic, odd_even = of(f"{sorting}/bitonicSort.cu"), of(f"{sorting}/oddEvenMergeSort.cu")


@reduction.add("reduce0<int>", "reduce1<int>", "reduce2<int>")
def _() -> Launch:
    x = ints(500)
    right = np.pad(x, (0, 12)).reshape(4, 128).sum(1)
    return Launch(4, 128, (x, zeros(4, dtype=I4), U4(500)), {1: right}, shared_mem=512)


@reduction.add("reduce3<float>", "reduce4<float, 128>", "reduce5<float, 128>")
def _() -> Launch:
    x = floats(1000)
    right = np.pad(x, (0, 24)).reshape(4, 256).sum(1)
    return Launch(4, 128, (x, zeros(4), U4(1000)), {1: right}, shared_mem=512, rtol=1e-3)


def total(dtype: type, block: int, memory: int) -> Callable[[], Launch]:
    """A sum over one block."""

    def build() -> Launch:
        x = ints(900).astype(dtype)
        args = (x, zeros(1, dtype=dtype), U4(900))
        return Launch(1, block, args, {1: x.sum()}, shared_mem=memory, rtol=1e-4)

    return build


reduction.add("reduce6<double, 128, false>")(total(F8, 128, 1024))
reduction.add("reduce7<int, 128, false>", "cg_reduce<int>")(total(I4, 128, 512))
reduction.add("multi_warp_cg_reduce<int, 256, 64>")(total(I4, 256, 1024))


@fence.add("reduceMultiPass<128, false>")
def _() -> Launch:
    x = floats(1000)
    right = np.pad(x, (0, 24)).reshape(4, 256).sum(1)
    return Launch(4, 128, (x, zeros(4), U4(1000)), {1: right}, shared_mem=512, rtol=1e-3)


@fence.add("reduceSinglePass<128, false>")
def _() -> Launch:
    x = floats(1000)
    right = np.array([x.sum(dtype=float), np.nan, np.nan, np.nan])
    return Launch(4, 128, (x, zeros(4), U4(1000)), {1: right}, shared_mem=512, rtol=1e-3)


@of("2_Concepts_and_Techniques/reductionMultiBlockCG/reductionMultiBlockCG.cu").add(
    "reduceSinglePassMultiBlockCG"
)
def _() -> Launch:
    x = floats(1000)
    right = np.array([x.sum(dtype=float), np.nan, np.nan])
    return Launch(3, 64, (x, zeros(3), U4(1000)), {1: right}, shared_mem=512, rtol=1e-3)


@of("2_Concepts_and_Techniques/scalarProd/scalarProd_kernel.cuh").add("scalarProdGPU")
def _() -> Launch:
    a, b = floats(5, 300), floats(5, 300, seed=1)
    return Launch(2, 128, (zeros(5), a, b, I4(5), I4(300)), {0: (a * b).sum(1)}, rtol=1e-3)


@scan.add("scanExclusiveShared")
def _() -> Launch:
    x = uints(1024)
    return Launch(1, 256, (zeros(1024, dtype=U4), x, U4(1024)), {0: x.cumsum() - x})


@scan.add("scanExclusiveShared2")
def _() -> Launch:
    x = uints(8 * 1024)
    within = (x.reshape(8, 1024).cumsum(1) - x.reshape(8, 1024)).astype(U4)
    sums = x.reshape(8, 1024).sum(1)
    args = (zeros(8, dtype=U4), within, x, U4(8), U4(8))
    return Launch(1, 256, args, {0: sums.cumsum() - sums})


@scan.add("uniformUpdate")
def _() -> Launch:
    x, add = uints(2, 1024), uints(2, seed=1)
    return Launch(2, 256, (x, add), {0: x + add[:, None]})


@shuffle_scan.add("shfl_scan_test")
def _() -> Launch:
    x = ints(2, 256)
    args = (x, I4(32), zeros(2, dtype=I4))
    return Launch(2, 256, args, {0: x.cumsum(1), 2: x.sum(1)}, shared_mem=32)


@shuffle_scan.add("uniform_add")
def _() -> Launch:
    x, add = ints(2, 256), ints(2, seed=1)
    return Launch(2, 256, (x, add, I4(512)), {0: x + add[:, None]})


@shuffle_scan.add("shfl_vertical_shfl")
def _() -> Launch:
    x = uints(1080, 32, high=9)
    return Launch(1, (32, 8), (x, I4(32), I4(1080)), {0: x.cumsum(0)})


def sort(n: int, block: int, *more: np.generic) -> Launch:
    keys = np.random.default_rng(3).permutation(n).astype(U4)
    values = (7 * keys + 1).astype(U4)
    args = (zeros(n, dtype=U4), zeros(n, dtype=U4), keys, values, *more)
    right = np.arange(n)
    return Launch(1, block, args, {0: right, 1: 7 * right + 1})


@bitonic.add("bitonicSortShared")
def _() -> Launch:
    return sort(1024, 512, U4(1024), U4(1))


@bitonic.add("bitonicSortShared1")
def _() -> Launch:
    launch = sort(1024, 512)
    right = {position: values[::-1] for position, values in launch.right.items()}
    return Launch(1, 512, launch.args, right)


@bitonic.add("bitonicMergeGlobal")
def _() -> Launch:
    # The last merge of a bitonic sequence, its widest step: smaller keys to the first half.
    n = 256
    keys = np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)[::-1]]).astype(U4)
    low, high = np.minimum(keys[:128], keys[128:]), np.maximum(keys[:128], keys[128:])
    args = (zeros(n, dtype=U4), zeros(n, dtype=U4), keys, keys, U4(n), U4(n), U4(128), U4(1))
    return Launch(1, 128, args, {0: np.append(low, high), 1: np.append(low, high)})


@odd_even.add("oddEvenMergeSortShared")
def _() -> Launch:
    return sort(1024, 512, U4(1024), U4(1))


histograms = "2_Concepts_and_Techniques/histogram"
histogram256, histogram64 = of(f"{histograms}/histogram256.cu"), of(f"{histograms}/histogram64.cu")


@histogram256.add("histogram256Kernel")
def _() -> Launch:
    x = ints(4000, high=256).astype(np.uint8)
    args = (zeros(1, 256, dtype=U4), x.view(U4), U4(1000))
    return Launch(1, 192, args, {0: np.bincount(x, minlength=256)})


@histogram256.add("mergeHistogram256Kernel")
def _() -> Launch:
    parts = uints(5, 256)
    return Launch(256, 256, (zeros(256, dtype=U4), parts, U4(5)), {0: parts.sum(0)})


@histogram64.add("histogram64Kernel")
def _() -> Launch:
    x = ints(4800, high=256).astype(np.uint8)
    args = (zeros(1, 64, dtype=U4), x.view(U4), U4(300))
    return Launch(1, 64, args, {0: np.bincount(x >> 2, minlength=64)})


@histogram64.add("mergeHistogram64Kernel")
def _() -> Launch:
    parts = uints(300, 64)
    return Launch(64, 256, (zeros(64, dtype=U4), parts, U4(300)), {0: parts.sum(0)})


@of("2_Concepts_and_Techniques/inlinePTX/inlinePTX.cu").add("sequence_gpu")
def _() -> Launch:
    return Launch(1, 128, (zeros(100, dtype=I4), I4(100)), {0: np.arange(100) % 32})


box = of("2_Concepts_and_Techniques/boxFilter/boxFilter_kernel.cu")


def blurred(x: np.ndarray, radius: int) -> np.ndarray:
    """Mean of 2 * radius + 1 neighbours along rows, edges repeated."""
    padded = np.pad(x, ((0, 0), (radius, radius)), mode="edge")
    return sum(padded[:, k : k + x.shape[1]] for k in range(2 * radius + 1)) / (2 * radius + 1)


@box.add("d_boxfilter_x_global")
def _() -> Launch:
    x = floats(64, 40)
    args = (x, zeros(64, 40), I4(40), I4(64), I4(4))
    return Launch(2, 32, args, {1: blurred(x, 4)}, rtol=1e-3)


@box.add("d_boxfilter_y_global")
def _() -> Launch:
    x = floats(40, 64)
    args = (x, zeros(40, 64), I4(64), I4(40), I4(4))
    return Launch(2, 32, args, {1: blurred(x.T, 4).T}, rtol=1e-3)


# -- cooperative groups, pipelines -----------------------------------------------------------------

aggregated = of("3_CUDA_Features/warpAggregatedAtomicsCG/warpAggregatedAtomicsCG.cu")
copying = of("3_CUDA_Features/globalToShmemAsyncCopy/globalToShmemAsyncCopy.cu")


@of("3_CUDA_Features/binaryPartitionCG/binaryPartitionCG.cu").add("oddEvenCountAndSumCG")
def _() -> Launch:
    x = ints(512)
    odd = x % 2 == 1
    args = (x, zeros(1, dtype=I4), zeros(2, dtype=I4), U4(512))
    return Launch(2, 128, args, {1: odd.sum(), 2: [x[odd].sum(), x[~odd].sum()]})


@aggregated.add("filter_arr")
def _() -> Launch:
    x = ints(500, low=-50, high=50)
    args = (zeros(500, dtype=I4), zeros(1, dtype=I4), x, I4(500))
    return Launch(2, 128, args, {1: (x > 0).sum()})


@aggregated.add("mapToBuckets")
def _() -> Launch:
    x, start = ints(500, high=5), np.arange(5, dtype=I4) * 500
    args = (x, zeros(2500, dtype=I4), start, I4(500), I4(5))
    return Launch(2, 128, args, {2: start + np.bincount(x, minlength=5)})


@aggregated.add("calculateMaxInEachBuckets")
def _() -> Launch:
    x, values = ints(500, high=5), ints(500, high=10**6, seed=1)
    right = [values[x == bucket].max() for bucket in range(5)]
    args = (x, values, zeros(5, dtype=I4), I4(500), I4(5))
    return Launch(2, 128, args, {2: right})


@of("3_CUDA_Features/jacobiCudaGraphs/jacobi.cu").add("JacobiMethod")
def _() -> Launch:
    a = floats(512, 512) / 512 + np.eye(512, dtype=F4)
    b, x = a.sum(1, dtype=F8), floats(512, seed=1).astype(F8)
    step = (b - a.astype(F8) @ x) / np.diag(a)
    args = (a, b, F4(1e-2), x, zeros(512, dtype=F8), zeros(1, dtype=F8))
    return Launch(66, 256, args, {4: x + step, 5: np.abs(step).sum()}, rtol=1e-4)


@of("3_CUDA_Features/jacobiCudaGraphs/jacobi.cu").add("finalError")
def _() -> Launch:
    x = floats(512).astype(F8)
    right = np.abs(x - 1).sum()
    return Launch(2, 128, (x, zeros(1, dtype=F8)), {1: right}, shared_mem=32, rtol=1e-4)


@copying.add(
    "MatrixMulAsyncCopyMultiStageLargeChunk<16>",
    "MatrixMulAsyncCopyLargeChunk<16>",
    "MatrixMulAsyncCopyLargeChunkAWBarrier<16>",
    "MatrixMulAsyncCopySingleStage<16>",
    "MatrixMulAsyncCopyMultiStage<16>",
    "MatrixMulNaive<16>",
    "MatrixMulNaiveLargeChunk<16>",
)
def _() -> Launch:
    # The second matrix is constant, as in the sample, whose indices into it are not all right.
    a, b = floats(32, 32), np.full((32, 32), F4(0.5))
    args = (zeros(32, 32), a, b, I4(32), I4(32))
    return Launch((2, 2), (16, 16), args, {0: a @ b}, rtol=1e-3)


@copying.add("MatrixMulAsyncCopyMultiStageSharedState<16>")
def _() -> Launch:
    a, b = floats(32, 32), np.full((32, 32), F4(0.5))
    args = (zeros(32, 32), a, b, I4(32), I4(32))
    return Launch((2, 2), (16, 20), args, {0: a @ b}, rtol=1e-3)


# -- by domain -------------------------------------------------------------------------------------

walsh = of("5_Domain_Specific/fastWalshTransform/fastWalshTransform_kernel.cuh")


def hadamard(x: np.ndarray) -> np.ndarray:
    """The Walsh-Hadamard transform of a power of two of values."""
    if x.size == 1:
        return x
    first, second = hadamard(x[: x.size // 2]), hadamard(x[x.size // 2 :])
    return np.concatenate([first + second, first - second])


@walsh.add("fwtBatch1Kernel")
def _() -> Launch:
    x = floats(3, 128)
    right = np.stack([hadamard(row) for row in x])
    return Launch(3, 32, (zeros(3, 128), x, I4(7)), {0: right}, shared_mem=512, rtol=1e-3)


@walsh.add("fwtBatch2Kernel")
def _() -> Launch:
    x = floats(4, 32)
    a, b, c, d = x
    right = np.stack([a + c + b + d, a + c - b - d, a - c + b - d, a - c - b + d])
    return Launch((1, 1), 32, (zeros(4, 32), x, I4(32)), {0: right}, rtol=1e-3)


@walsh.add("modulateKernel")
def _() -> Launch:
    a, b = floats(200), floats(200, seed=1)
    return Launch(1, 64, (a, b, I4(200)), {0: a * b / 200}, rtol=1e-4)


@of("5_Domain_Specific/BlackScholes/BlackScholes_kernel.cuh").add("BlackScholesGPU")
def _() -> Launch:
    rng = np.random.default_rng(0)
    price, strike, years = (rng.uniform(*r, 1000) for r in ((5, 30), (1, 100), (0.25, 10)))
    rate, spread = 0.02, 0.3
    d1 = (np.log(price / strike) + (rate + spread**2 / 2) * years) / (spread * np.sqrt(years))
    normal = np.vectorize(lambda d: 0.5 * math.erfc(-d / math.sqrt(2)))
    n1, n2, discounted = normal(d1), normal(d1 - spread * np.sqrt(years)), np.exp(-rate * years)
    call = price * n1 - strike * discounted * n2
    put = strike * discounted * (1 - n2) - price * (1 - n1)
    inputs = tuple(values.astype(F4) for values in (price, strike, years))
    args = (zeros(1000), zeros(1000), *inputs, F4(rate), F4(spread), I4(1000))
    return Launch(4, 128, args, {0: call, 1: put}, rtol=1e-3)


@of(
    "5_Domain_Specific/dwtHaar1D/dwtHaar1D_kernel.cuh",
    first=("#define INV_SQRT_2 0.70710678f", "#define LOG_NUM_BANKS 4"),
).add("dwtHaar1D")
def _() -> Launch:
    x = floats(64)
    right, rest = np.full(64, np.nan), x.astype(float)
    while rest.size > 1:
        half = rest.size // 2
        right[half : 2 * half] = (rest[::2] - rest[1::2]) / math.sqrt(2)
        rest = (rest[::2] + rest[1::2]) / math.sqrt(2)
    args = (x, zeros(64), zeros(1), U4(6), U4(32), I4(32))
    return Launch(1, 32, args, {1: right, 2: rest}, shared_mem=4 * 72, rtol=1e-3)


@of("5_Domain_Specific/SobolQRNG/sobol_gpu.cu").add("sobolGPU_kernel")
def _() -> Launch:
    directions = ints(2, 32, high=2**31 - 1).view(U4)
    index = np.arange(200)
    gray = index ^ (index >> 1)
    bits = (gray[:, None] >> np.arange(32)) & 1
    points = np.bitwise_xor.reduce(bits[None] * directions[:, None], axis=2)
    args = (U4(200), U4(2), directions, zeros(2, 200))
    return Launch((1, 2), 64, args, {3: points * 2.0**-32}, rtol=1e-4)


@of("5_Domain_Specific/recursiveGaussian/recursiveGaussian_kernel.cuh").add("d_transpose")
def _() -> Launch:
    x = uints(40, 50)
    args = (zeros(50, 40, dtype=U4), x, I4(50), I4(40))
    return Launch((4, 3), (16, 16), args, {0: x.T})


@of("5_Domain_Specific/HSOpticalFlow/addKernel.cuh").add("AddKernel")
def _() -> Launch:
    a, b = floats(200), floats(200, seed=1)
    return Launch(1, 256, (a, b, I4(200), zeros(200)), {3: a + b})


# -- performance -----------------------------------------------------------------------------------

transpose = of("6_Performance/transpose/transpose.cu")
aligned = of("6_Performance/alignedTypes/alignedTypes.cu")


def tiles(right: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Launch]:
    """A launch over 64 x 64 values, four tiles of 32 x 32."""

    def build() -> Launch:
        x = floats(64, 64)
        return Launch((2, 2), (32, 16), (zeros(64, 64), x, I4(64), I4(64)), {0: right(x)})

    return build


def per_tile(x: np.ndarray) -> np.ndarray:
    """Each tile transposed where it is."""
    return x.reshape(2, 32, 2, 32).transpose(0, 3, 2, 1).reshape(64, 64)


transpose.add("copy", "copySharedMem")(tiles(lambda x: x))
transpose.add(
    "transposeNaive", "transposeCoalesced", "transposeNoBankConflicts", "transposeDiagonal"
)(tiles(lambda x: x.T))
transpose.add("transposeFineGrained")(tiles(per_tile))
transpose.add("transposeCoarseGrained")(tiles(lambda x: per_tile(x).T))


def copied(words: int) -> Callable[[], Launch]:
    """A copy of 100 structures of so many 32-bit words."""

    def build() -> Launch:
        x = uints(100, words)
        return Launch(1, 64, (zeros(100, words, dtype=U4), x, I4(100)), {0: x})

    return build


aligned.add("testKernel<RGBA8>")(copied(1))
aligned.add("testKernel<LA32>")(copied(2))
aligned.add("testKernel<RGB32_misaligned>")(copied(3))
aligned.add("testKernel<RGBA32_2>")(copied(8))


@of("6_Performance/UnifiedMemoryPerf/matrixMultiplyPerf.cu").add("matrixMultiplyKernel")
def _() -> Launch:
    a, b = floats(64, 64), floats(64, 64, seed=1)
    return Launch((2, 2), (32, 32), (zeros(64, 64), a, b, U4(64)), {0: a @ b}, rtol=1e-3)


CASES: list[Case] = [case for cases in FILES for case in cases]
