"""Right kernels, and one-line changes that make each of them wrong.

A mutant replaces one piece of text, which occurs once in the kernel's file. Changes that make no
difference to any launch do not belong here; those that make none to this one launch do.
"""

from __future__ import annotations

import numpy as np

from tests.cuda_corpus.corpus import Launch, Table, floats, ints, zeros

RIGHT = Table()
right = RIGHT.entry()

I4 = np.int32
F4 = np.float32


@right
def vadd() -> Launch:
    a, b = floats(300), floats(300, seed=1)
    return Launch(3, 128, (a, b, zeros(300), I4(300)), {2: a + b})


@right
def saxpy() -> Launch:
    x, y = floats(303), floats(303, seed=1)
    return Launch(2, 32, (F4(1.5), x, y, I4(303)), {2: F4(1.5) * x + y}, rtol=1e-4)


@right
def matmul() -> Launch:
    a, b = floats(37, 41), floats(41, 29, seed=1)
    args = (a, b, zeros(37, 29), I4(37), I4(29), I4(41))
    return Launch((2, 3), (16, 16), args, {2: a @ b}, rtol=1e-3)


@right
def transpose() -> Launch:
    x = ints(50, 71)
    return Launch((3, 2), (32, 8), (x, zeros(71, 50, dtype=I4), I4(50), I4(71)), {1: x.T})


@right
def block_sum() -> Launch:
    x = floats(900)
    return Launch(3, 128, (x, zeros(1), I4(900)), {1: x.sum(dtype=float)}, rtol=1e-4)


@right
def softmax_row() -> Launch:
    # Far below zero: without the row's own maximum, every exponential is zero.
    x = 5 * floats(7, 75) - F4(200)
    e = np.exp(x - x.max(1, keepdims=True))
    return Launch(2, 128, (x, zeros(7, 75), I4(7), I4(75)), {1: e / e.sum(1, keepdims=True)})


@right
def scan() -> Launch:
    x = ints(2, 128, low=1)
    return Launch(2, 128, (x, zeros(2, 128, dtype=I4)), {1: x.cumsum(1)})


@right
def scan_in_place() -> Launch:
    x = ints(128, low=1)
    return Launch(1, 64, (x, zeros(128, dtype=I4)), {1: x.cumsum() - x})


@right
def histogram() -> Launch:
    x = ints(1000, high=256).astype(np.uint8)
    args = (x, zeros(256, dtype="u4"), I4(1000))
    return Launch(2, 96, args, {1: np.bincount(x, minlength=256)})


@right
def layernorm() -> Launch:
    x, weight, bias = floats(3, 150), floats(150, seed=1), floats(150, seed=2)
    mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 0.01) * weight + bias
    args = (x, weight, bias, zeros(3, 150), I4(150), F4(0.01))
    return Launch(3, 64, args, {3: expected}, rtol=1e-3)


@right
def convolve() -> Launch:
    x = floats(150)
    taps = [1, -2, 3, 0.5, 0.25, -1, 2, 4, -3, 1.5, 0.75, 2.5, -0.5, 1.25, 0.1, 0.2, 0.3][:11]
    expected = np.convolve(x, taps[::-1], mode="same")
    return Launch(3, 64, (x, zeros(150), I4(150), I4(5)), {1: expected}, rtol=1e-3)


@right
def bitonic_sort() -> Launch:
    keys = ints(2, 128, high=1000)
    return Launch(2, 64, (keys,), {0: np.sort(keys, 1)})


@right
def compact() -> Launch:
    x = ints(250, low=-50, high=50)
    halves = [part[part > 0] for part in (x[:128], x[128:])]
    kept = np.stack([np.pad(half, (0, 128 - len(half))) for half in halves])
    args = (x, zeros(2, 128, dtype=I4), zeros(2, dtype=I4), I4(250))
    return Launch(2, 128, args, {1: kept, 2: [len(half) for half in halves]})


MUTANTS: dict[str, list[tuple[str, str]]] = {
    "vadd": [
        ("if (i < n)", "if (i <= n)"),
        ("if (i < n) ", ""),
        ("if (i < n)", "if (i < n - 1)"),
        ("a[i] + b[i]", "a[i] - b[i]"),
        ("a[i] + b[i]", "a[i] + b[0]"),
        ("blockIdx.x * blockDim.x + threadIdx.x", "blockIdx.x * gridDim.x + threadIdx.x"),
        ("blockIdx.x * blockDim.x + threadIdx.x", "threadIdx.x"),
        ("c[i] =", "c[n - 1 - i] ="),
    ],
    "saxpy": [
        ("n / 4;", "(n + 3) / 4;"),
        ("b.x += s * a.x;", "b.x += a.x;"),
        ("gridDim.x * blockDim.x;", "blockDim.x;"),
        ("b.z += s * a.z;", "b.z += s * a.y;"),
        ("b.w += s * a.w;", "b.w = s * a.w;"),
        ("i = 4 * packs + first", "i = packs + first"),
        ("i = 4 * packs + first", "i = 4 * packs"),
        ("i < n; i += stride) y[i]", "i <= n; i += stride) y[i]"),
        ("const float4*>(x)[i]", "const float4*>(x + 1)[i]"),
    ],
    "matmul": [
        ("        __syncthreads();  // tiles are complete\n", ""),
        ("        __syncthreads();  // tiles are used\n", ""),
        ("start < k;", "start <= k - 16;"),
        ("row < m && start + tx < k ?", "start + tx < k ?"),
        ("row < m && start + tx < k ?", "row < m ?"),
        ("(start + ty) * n + column", "(start + ty) * k + column"),
        ("j < 16; ++j", "j <= 16; ++j"),
        ("sum += left", "sum = left"),
        ("right[j][tx];", "right[tx][j];"),
        ("if (row < m && column < n) c", "if (row < m) c"),
        ("c[row * n + column]", "c[row * m + column]"),
    ],
    "transpose": [
        ("    __syncthreads();\n", ""),
        ("tile[threadIdx.x][threadIdx.y + j]", "tile[threadIdx.y + j][threadIdx.x]"),
        ("column < columns && row + j < rows", "column < columns && row < rows"),
        ("(row + j) * rows + column]", "(row + j) * columns + column]"),
        ("column = blockIdx.y * 32 + threadIdx.x;", "column = blockIdx.x * 32 + threadIdx.x;"),
        ("column < rows && row + j < columns", "row + j < columns"),
    ],
    "block_sum": [
        ("step = 16", "step = 8"),
        ("step > 0", "step > 1"),
        ("    __syncthreads();\n", ""),
        ("if (lane == 0) part", "if (lane == 1) part"),
        ("part[warp] = value;", "part[lane] = value;"),
        ("lane < blockDim.x / 32 ? part[lane]", "lane < 32 ? part[lane]"),
        ("lane < blockDim.x / 32 ? part[lane]", "lane < blockDim.x / 64 ? part[lane]"),
        ("if (lane == 0) atomicAdd(sum, value);", "if (lane == 0) *sum += value;"),
        ("if (lane == 0) atomicAdd(sum, value);", "atomicAdd(sum, value);"),
        ("__shfl_down_sync(0xffffffffu", "__shfl_down_sync(0x0000ffffu"),
        ("value, half)", "value, half / 2)"),
    ],
    "softmax_row": [
        ("row >= rows", "row > rows"),
        ("if (row >= rows) return;", "if (row >= rows || lane >= length % 32) return;"),
        ("most = -3.0e38f", "most = 10.0f"),
        ("most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, step));", "most = most;"),
        ("__shfl_xor_sync(0xffffffffu, sum, half)", "__shfl_down_sync(0xffffffffu, sum, half)"),
        ("sum += expf(x[row * length + i] - most);", "sum += expf(x[row * length + i] + most);"),
        ("i += 32)\n        y", "i += 31)\n        y"),
        ("i += 32)\n        y", "i += 64)\n        y"),
        ("y[row * length + i] =", "y[row * length + lane] ="),
    ],
    "scan": [
        ("    __syncthreads();\n    for", "    for"),
        ("        __syncthreads();  // of the round\n", ""),
        ("step < 128", "step < 64"),
        ("t >= step", "t > step"),
        ("if (t >= step) value", "value"),
        ("now = 1 - now;", ""),
        ("buffer[now][t - step]", "buffer[now][t] - step"),
    ],
    "scan_in_place": [
        ("        __syncthreads();  // up\n", ""),
        ("        __syncthreads();  // down\n", ""),
        ("active < 128", "active < 64"),
        ("tree[127] = 0", "tree[0] = 0"),
        ("tree[b] += tree[a];", "tree[b] = tree[a];"),
        ("offset *= 2;", "offset += 2;"),
        ("tree[d] += kept;", "tree[d] = kept;"),
        ("b = offset * (2 * t + 2) - 1;", "b = offset * (2 * t + 2);"),
    ],
    "histogram": [
        ("    __syncthreads();  // cleared\n", ""),
        ("    __syncthreads();  // counted\n", ""),
        ("k < 256; k += blockDim.x) count", "k < 255; k += blockDim.x) count"),
        ("k < 256; k += blockDim.x) count[k] = 0", "k <= 256; k += blockDim.x) count[k] = 0"),
        ("atomicAdd(&count[x[i]], 1u);", "count[x[i]] += 1u;"),
        ("atomicAdd(&bins[k], count[k]);", "bins[k] += count[k];"),
        ("i < n;", "i < n - 1;"),
        ("i += gridDim.x * blockDim.x", "i += blockDim.x"),
    ],
    "layernorm": [
        ("    __syncthreads();  // of all threads' sums\n", ""),
        ("        __syncthreads();  // of the round\n", ""),
        ("half = 32", "half = 16"),
        ("if (t < half)", "if (t <= half)"),
        ("if (t < half)", "if (t < 2 * half)"),
        ("- mean * mean", "- mean"),
        ("weight[i] + bias[i]", "weight[t] + bias[i]"),
        ("square += row[i] * row[i]", "square += row[i] * row[0]"),
        ("y[blockIdx.x * length + i]", "y[blockIdx.x * 64 + i]"),
        ("variance + eps", "variance - eps"),
    ],
    "convolve": [
        ("    __syncthreads();\n", ""),
        ("k < 64 + 2 * radius", "k < 64"),
        ("first + k >= 0 && ", ""),
        (" && first + k < n", ""),
        ("first + k < n", "first + k <= n"),
        ("k <= 2 * radius; ++k", "k < 2 * radius; ++k"),
        ("if (i >= n) return;", ""),
        ("blockIdx.x * 64 - radius", "blockIdx.x * 64"),
        ("tile[64 + 2 * MOST]", "tile[64 + MOST]"),
    ],
    "bitonic_sort": [
        ("            __syncthreads();  // of the step\n", ""),
        ("    __syncthreads();  // end\n", ""),
        ("size <= 128", "size < 128"),
        ("stride = size / 2", "stride = size"),
        ("(stride - 1)", "stride"),
        ("(low & size) == 0", "(low & stride) == 0"),
        ("key[low] > key[high]", "key[low] < key[high]"),
        ("key[t + 64] = mine[t + 64];", ""),
        ("key[high] = swap;", "key[high] = key[low];"),
    ],
    "compact": [
        ("    __syncthreads();\n", ""),
        ("(1u << lane) - 1", "(2u << lane) - 1"),
        ("w < warp", "w <= warp"),
        ("if (lane == 0) before", "if (lane == 0 && warp) before"),
        ("__ballot_sync(0xffffffffu, value > 0)", "__ballot_sync(0x7fffffffu, value > 0)"),
        ("value > 0);\n    if", "value >= 0);\n    if"),
        ("if (value > 0) kept", "kept"),
        ("if (t == 127)", "if (t == 0)"),
        ("if (t == 127) count", "count"),
    ],
}
