"""Launches and references for kernels in dev/cuda of karpathy/llm.c, in float32.

Those of softmax, the classifier and attention are in `foreign_llmc_attention`.
"""

from __future__ import annotations

import numpy as np

from bench.foreign_case import Case, Cases, bfloat16, float32
from tests.cuda_corpus.corpus import Launch, floats, ints, zeros

I4, F4, I8, U8 = np.int32, np.float32, np.int64, np.uint64

# Most files choose bfloat16 by this line; without it their floatX is float.
IN_FLOAT = ("#define ENABLE_BF16",)


def of(name: str, **facts: object) -> Cases:
    """Cases of a file in dev/cuda."""
    cases = Cases(f"dev/cuda/{name}.cu", **{"without": IN_FLOAT, **facts})
    FILES.append(cases)
    return cases


FILES: list[Cases] = []


# -- elementwise -----------------------------------------------------------------------------------

gelu_forward, gelu_backward = of("gelu_forward"), of("gelu_backward")
gelu_in_bfloat16 = of("gelu_forward", without=(), first=("#include <cuda_bf16.h>",))
SCALE = np.sqrt(2 / np.pi)


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(SCALE * (x + 0.044715 * x**3)))


@gelu_forward.add("gelu_forward_kernel1", "gelu_forward_kernel2")
def _() -> Launch:
    x = 3 * floats(1000)
    return Launch(8, 128, (zeros(1000), x, I4(1000)), {0: gelu(x)}, rtol=1e-4)


@gelu_in_bfloat16.add("gelu_forward_kernel2")
def _() -> Launch:
    x = bfloat16(3 * floats(1000))
    out = zeros(1000, dtype="u2")
    return Launch(1, 128, (out, x, I4(1000)), {0: bfloat16(gelu(float32(x)))}, rtol=1e-2)


@gelu_backward.add("gelu_backward1", "gelu_backward2")
def _() -> Launch:
    x, dout = floats(1000), floats(1000, seed=1)
    t = np.tanh(SCALE * (x + 0.044715 * x**3))
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SCALE * (1 + 3 * 0.044715 * x * x)
    return Launch(8, 128, (zeros(1000), x, dout, I4(1000)), {0: slope * dout}, rtol=1e-4)


@of("residual_forward").add("residual_forward_kernel1", "residual_forward_kernel2")
def _() -> Launch:
    a, b = floats(1000), floats(1000, seed=1)
    return Launch(8, 128, (zeros(1000), a, b, I4(1000)), {0: a + b})


@of("adamw").add("adamw_kernel1", "adamw_kernel2")
def _() -> Launch:
    p, g, m, v = (floats(1000, seed=k) for k in range(4))
    v = np.abs(v)
    rate, beta1, beta2, c1, c2, eps, decay = 1e-2, 0.9, 0.999, 0.1, 0.01, 1e-8, 0.01
    m1, v1 = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    p1 = p - rate * ((m1 / c1) / (np.sqrt(v1 / c2) + eps) + decay * p)
    scalars = tuple(F4(s) for s in (rate, beta1, beta2, c1, c2, eps, decay))
    return Launch(8, 128, (p, g, m, v, I8(1000), *scalars), {0: p1, 2: m1, 3: v1}, rtol=1e-4)


# -- encoder, permutations -------------------------------------------------------------------------

B, T, C, NH = 2, 24, 64, 4
HS = C // NH


@of("encoder_forward").add(
    "encoder_forward_kernel1", "encoder_forward_kernel2", "encoder_forward_kernel3"
)
def _() -> Launch:
    tokens, wte, wpe = ints(B, T, high=30), floats(30, C), floats(T, C, seed=1)
    args = (zeros(B, T, C), tokens, wte, wpe, I4(B), I4(T), I4(C))
    return Launch(24, 128, args, {0: wte[tokens] + wpe})


@of("encoder_backward").add("encoder_backward_kernel1", "encoder_backward_kernel2")
def _() -> Launch:
    tokens, dout = ints(B, T, high=30), floats(B, T, C)
    dwte = np.zeros((30, C))
    np.add.at(dwte, tokens, dout)
    args = (zeros(30, C), zeros(T, C), dout, tokens, I4(B), I4(T), I4(C))
    return Launch(24, 128, args, {0: dwte, 1: dout.sum(0)}, rtol=1e-4)


@of("permute").add("permute_kernel")
def _() -> Launch:
    x = floats(3, 4, 5, 6)
    args = (x, zeros(6, 5, 3, 4), I4(3), I4(4), I4(5), I4(6))
    return Launch(3, 128, args, {1: x.transpose(3, 2, 0, 1)})


# -- layer normalisation ---------------------------------------------------------------------------

layernorm_forward, layernorm_backward = of("layernorm_forward"), of("layernorm_backward")
fused_residual = of("fused_residual_forward")
ROWS = B * T


class Norm:
    """A layer normalisation with random input: its values, and its gradients."""

    def __init__(self, rows: int = ROWS, length: int = C) -> None:
        self.x, self.dout = floats(rows, length), floats(rows, length, seed=1)
        self.weight, self.bias = floats(length, seed=2), floats(length, seed=3)
        self.mean = self.x.mean(1)
        self.rstd = (1 / np.sqrt(self.x.var(1) + 1e-5)).astype(F4)
        self.normed = (self.x - self.mean[:, None]) * self.rstd[:, None]
        self.out = self.normed * self.weight + self.bias
        d = self.weight * self.dout
        inner = (d * self.normed).mean(1, keepdims=True)
        self.dx = (d - d.mean(1, keepdims=True) - self.normed * inner) * self.rstd[:, None]
        self.dweight, self.dbias = (self.dout * self.normed).sum(0), self.dout.sum(0)


def forward(grid: int, block: int | tuple[int, ...], shared_mem: int = 0) -> Launch:
    n = Norm()
    args = (zeros(ROWS, C), zeros(ROWS), zeros(ROWS), n.x, n.weight, n.bias, I4(ROWS), I4(C))
    return Launch(grid, block, args, {0: n.out, 1: n.mean, 2: n.rstd}, shared_mem, rtol=1e-3)


@layernorm_forward.add("layernorm_forward_kernel1")
def _() -> Launch:
    return forward(2, 32)


@layernorm_forward.add("mean_kernel")
def _() -> Launch:
    n = Norm()
    args = (zeros(ROWS), n.x, I4(ROWS), I4(C), I4(32))
    return Launch(ROWS, 32, args, {0: n.mean}, 128, rtol=1e-3)


@layernorm_forward.add("rstd_kernel")
def _() -> Launch:
    n = Norm()
    args = (zeros(ROWS), n.x, n.mean, I4(ROWS), I4(C), I4(32))
    return Launch(ROWS, 32, args, {0: n.rstd}, 128, rtol=1e-3)


@layernorm_forward.add("normalization_kernel")
def _() -> Launch:
    n = Norm()
    args = (zeros(ROWS, C), n.x, n.mean, n.rstd, n.weight, n.bias, I4(B), I4(T), I4(C))
    return Launch(ROWS * C // 128, 128, args, {0: n.out}, rtol=1e-3)


@layernorm_forward.add("layernorm_forward_kernel3", "layernorm_forward_kernel4")
def _() -> Launch:
    return forward(ROWS // 4, 128)


@layernorm_forward.add("layernorm_forward_kernel5")
def _() -> Launch:
    return forward(ROWS, 64)


@layernorm_forward.add("layernorm_forward_kernel6")
def _() -> Launch:
    return forward(ROWS // 4, (32, 4), shared_mem=(2 + 4) * C * 4)


def residual(grid: int, block: int | tuple[int, ...], shared_mem: int = 0) -> Launch:
    n, other = Norm(), floats(ROWS, C, seed=5)
    args = (zeros(ROWS, C), zeros(ROWS, C), zeros(ROWS), zeros(ROWS), n.x - other, other)
    right = {0: n.x, 1: n.out, 2: n.mean, 3: n.rstd}
    more = (n.weight, n.bias, I4(ROWS), I4(C))
    return Launch(grid, block, (*args, *more), right, shared_mem, rtol=1e-3)


@fused_residual.add(
    "fused_residual_forward2",
    flaw=("OUT-OF-BOUNDS", "its guard lets the thread behind the last row pass"),
)
def _() -> Launch:
    return residual(2, 32)


@fused_residual.add("fused_residual_forward3", "fused_residual_forward_kernel4")
def _() -> Launch:
    return residual(ROWS // 4, (32, 4))


@fused_residual.add("fused_residual_forward_kernel5")
def _() -> Launch:
    return residual(ROWS // 4, (32, 4), shared_mem=(2 + 4) * C * 4)


@fused_residual.add("fused_residual_forward_kernel6")
def _() -> Launch:
    return residual(4, (32, 2, 2), shared_mem=(2 + 2) * C * 4 + 64 * 4 * 2)


def backward(grid: int, block: int, *scratch: np.ndarray, shared_mem: int, c: int = C) -> Launch:
    """kernels 3 and on; scratch comes before dout."""
    n = Norm(length=c)
    before = (zeros(ROWS, c), zeros(c), zeros(c), *scratch)
    after = (n.dout, n.x, n.weight, n.mean, n.rstd, I4(B), I4(T), I4(c))
    right = {0: n.dx, 1: n.dweight, 2: n.dbias}
    return Launch(grid, block, (*before, *after), right, shared_mem, rtol=1e-3)


ALL_FLOAT = "<float, float, float, float>"


@layernorm_backward.add("layernorm_backward_kernel1")
def _() -> Launch:
    return backward(2, 32, shared_mem=0)


@layernorm_backward.add(f"layernorm_backward_kernel2{ALL_FLOAT}")
def _() -> Launch:
    n = Norm()
    before = (zeros(ROWS, C), zeros(C), zeros(C), n.dout, n.x, n.weight, n.mean, n.rstd)
    args = (*before, I4(B), I4(T), I4(C), zeros(C), zeros(C))
    return Launch(ROWS // 4, 128, args, {0: n.dx, 11: n.dweight, 12: n.dbias}, 8 * C, rtol=1e-3)


@layernorm_backward.add("copy_to_dweight_dbias<float>")
def _() -> Launch:
    dbias, dweight = floats(C), floats(C, seed=1)
    args = (I4(C), zeros(C), zeros(C), dbias, dweight)
    return Launch(1, 32, args, {1: dbias, 2: dweight})


@layernorm_backward.add(f"layernorm_backward_kernel3{ALL_FLOAT}")
def _() -> Launch:
    return backward(4, 128, shared_mem=8 * C)


@layernorm_backward.add(f"layernorm_backward_kernel5{ALL_FLOAT}")
def _() -> Launch:
    return backward(4, 128, zeros(4 * 2 * C + 1), shared_mem=8 * C + 4)


@layernorm_backward.add(f"layernorm_backward_kernel6{ALL_FLOAT}", "layernorm_backward_kernel7")
def _() -> Launch:
    return backward(4, 128, zeros(2 * C + 1), shared_mem=8 * C + 4)


@layernorm_backward.add("layernorm_backward_kernel8")
def _() -> Launch:
    return backward(4, 128, zeros(2 * 128 + 1), shared_mem=8 * 128 + 4, c=128)


NO_FENCE = ("RACE", "the last block reads what others wrote, with no fence before their count")


@layernorm_backward.add("layernorm_backward_kernel9", flaw=NO_FENCE)
def _() -> Launch:
    memory = (2 * 128 + 2 * 128 + 1) * 4
    return backward(4, 128, zeros(32 + 4 * 2 * 128), shared_mem=memory, c=128)


@layernorm_backward.add("layernorm_backward_kernel10", flaw=NO_FENCE)
def _() -> Launch:
    memory = (2 * 128 + 2 * (512 - 32) * 4) * 4
    return backward(2, 512, zeros(32 + 2 * 2 * 128), shared_mem=memory, c=128)


# -- matrix products, sums -------------------------------------------------------------------------

matmul_forward, matmul_backward = of("matmul_forward"), of("matmul_backward")
bias_backward = of(
    "matmul_backward_bias",
    first=(
        "#include <cuda/std/type_traits>",
        "namespace std { using cuda::std::bool_constant; }",
    ),
)


@matmul_forward.add("matmul_forward_kernel1")
def _() -> Launch:
    x, weight, bias = floats(40, 30), floats(50, 30, seed=1), floats(50, seed=2)
    args = (zeros(40, 50), x, weight, bias, I4(40), I4(30), I4(50))
    return Launch((5, 7), (8, 8), args, {0: x @ weight.T + bias}, rtol=1e-3)


@matmul_forward.add("add_bias")
def _() -> Launch:
    x, bias = floats(B, T, 50), floats(50, seed=2)
    return Launch(4, 64, (x, bias, I4(B), I4(T), I4(50)), {0: x + bias})


@matmul_forward.add("matmul_forward_kernel4")
def _() -> Launch:
    x, weight, bias = floats(256, 64), floats(128, 64, seed=1), floats(128, seed=2)
    args = (zeros(256, 128), x, weight, bias, I4(64), I4(128))
    return Launch((2, 1), (16, 16), args, {0: x @ weight.T + bias}, rtol=1e-3)


def bias_sum(grid: object, block: object, memory: int = 0, *more: object, oc: int = 64) -> Launch:
    dout = floats(ROWS, oc)
    args = (zeros(oc), dout, I4(B), I4(T), I4(oc), *more)
    return Launch(grid, block, args, {0: dout.sum(0)}, memory, rtol=1e-3)  # type: ignore[arg-type]


@matmul_backward.add("matmul_backward_bias_kernel_naive")
def _() -> Launch:
    return bias_sum(2, 32)


@matmul_backward.add("matmul_backward_bias_kernel_faster")
def _() -> Launch:
    return bias_sum(64, 32, 128)


@bias_backward.add("matmul_backward_bias_kernel1")
def _() -> Launch:
    return bias_sum(64, 32, 128)


@bias_backward.add("matmul_backward_bias_kernel2")
def _() -> Launch:
    return bias_sum(16, 128)


@bias_backward.add("matmul_backward_bias_kernel3")
def _() -> Launch:
    return bias_sum(64, 64)


@bias_backward.add("matmul_backward_bias_kernel4")
def _() -> Launch:
    return bias_sum(2, 128, 512)


@bias_backward.add("matmul_backward_bias_kernel5")
def _() -> Launch:
    return bias_sum((2, 3), 32)


@bias_backward.add("cast_and_add_kernel")
def _() -> Launch:
    a, b = floats(100), floats(100, seed=1)
    return Launch(2, 64, (a, b, U8(100)), {0: a + b})


@bias_backward.add("matmul_backward_bias_kernel7")
def _() -> Launch:
    return bias_sum((1, 2), (32, 8), 32 * 4 * 4, I4(256), oc=128)


@bias_backward.add("matmul_backward_bias_kernel8<float, false>")
def _() -> Launch:
    return bias_sum((2, 1), (4, 8, 4), 0, np.uint8(0))


@bias_backward.add("matmul_backward_bias_kernel8<float, true>")
def _() -> Launch:
    return bias_sum((2, 3), (4, 8, 4), 0, np.uint8(1))


@bias_backward.add("matmul_backward_bias_kernel9<float, false>")
def _() -> Launch:
    return bias_sum((2, 1), (4, 8, 4), 0, np.uint8(0))


@bias_backward.add("reduce_add_sum_kernel")
def _() -> Launch:
    parts, start = floats(3, 64), floats(64, seed=1)
    return Launch(1, 32, (start, parts, U8(64), U8(3)), {0: start + parts.sum(0)}, rtol=1e-4)


global_norm = of("global_norm")


@global_norm.add("norm_kernel1<float>", "norm_kernel2<float>", "norm_kernel3<float>")
def _() -> Launch:
    x = floats(3000)
    return Launch(4, 128, (zeros(1), x, U8(3000)), {0: (x * x).sum(dtype=float)}, rtol=1e-4)


@global_norm.add("norm_kernel4<float>")
def _() -> Launch:
    x = floats(4, 128)
    return Launch(4, 128, (zeros(4), x, U8(512)), {0: (x * x).sum(1)}, rtol=1e-4)


@global_norm.add("global_norm_aggregate_kernel")
def _() -> Launch:
    x = floats(50)
    return Launch(1, 64, (x, U8(50)), {0: np.append(x.sum(), x[1:])}, rtol=1e-4)


@of("trimat_forward").add(
    "trimul_global<matmul_tri_naive>",
    "trimul_global<matmul_tri_registers>",
    "trimul_global<matmul_tri3>",
    "trimul_global<matmul_tri4>",
)
def _() -> Launch:
    x = floats(1, 128, 3, 1, 32)
    right = x[0, :, 0, 0] @ x[0, :, 1, 0].T / F4(np.sqrt(32))
    right[np.triu_indices(128, 1)] = np.nan  # left open above the diagonal
    args = (zeros(128, 128), x, I4(128), I4(32), I4(1))
    return Launch((1, 1, 1), (16, 16), args, {0: right}, rtol=1e-3)


CASES: list[Case] = [case for cases in FILES for case in cases]
