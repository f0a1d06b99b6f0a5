"""Launches and references for llm.c's kernels of softmax, the classifier and attention."""

from __future__ import annotations

import numpy as np

from bench.foreign_case import Case, Cases, causal, softmax
from bench.foreign_llmc import F4, HS, I4, IN_FLOAT, NH, ROWS, B, C, T
from tests.cuda_corpus.corpus import Launch, floats, ints, zeros

FILES: list[Cases] = []


def of(name: str) -> Cases:
    """Cases of a file in dev/cuda."""
    cases = Cases(f"dev/cuda/{name}.cu", without=IN_FLOAT)
    FILES.append(cases)
    return cases


# -- softmax, cross entropy, classifier ------------------------------------------------------------

softmax_forward = of("softmax_forward")


def rows(grid: int, block: int, shared_mem: int = 0, *, n: int = 10, c: int = 150) -> Launch:
    x = 4 * floats(n, c)
    args = (zeros(n, c), x, I4(n), I4(c))
    return Launch(grid, block, args, {0: softmax(x)}, shared_mem, rtol=1e-3)


@softmax_forward.add("softmax_forward_kernel1", "softmax_forward_online_kernel1")
def _() -> Launch:
    return rows(1, 32)


@softmax_forward.add("softmax_forward_kernel2")
def _() -> Launch:
    return rows(10, 64, 256)


@softmax_forward.add("softmax_forward_kernel3")
def _() -> Launch:
    return rows(10, 32, 128)


@softmax_forward.add(
    "softmax_forward_kernel4",
    flaw=("RACE", "sums overwrite the maximum that other warps may not have read yet"),
)
def _() -> Launch:
    return rows(10, 128, 16)


@softmax_forward.add("softmax_forward_online_kernel2", "softmax_forward_online_kernel8")
def _() -> Launch:
    return rows(3, 128)


@softmax_forward.add("softmax_forward_kernel7")
def _() -> Launch:
    return rows(10, 32, 8, c=256)


@softmax_forward.add(
    "softmax_forward_kernel7",
    flaw=("RACE", "indices cut to the last element read it beside its owner's write, in vain"),
)
def _() -> Launch:
    return rows(10, 128, 32)


@of("crossentropy_forward").add("crossentropy_forward_kernel1")
def _() -> Launch:
    probs, targets = softmax(floats(ROWS, 50)), ints(ROWS, high=50)
    right = -np.log(probs[np.arange(ROWS), targets])
    return Launch(2, 32, (zeros(ROWS), probs, targets, I4(B), I4(T), I4(50)), {0: right}, rtol=1e-4)


def class_gradient(probs: np.ndarray, targets: np.ndarray, dlosses: np.ndarray) -> np.ndarray:
    hot = np.eye(probs.shape[1], dtype=F4)[targets]
    return (probs - hot) * dlosses[:, None]


@of("crossentropy_softmax_backward").add("crossentropy_softmax_backward_kernel1")
def _() -> Launch:
    probs, targets, dlosses = softmax(floats(ROWS, 50)), ints(ROWS, high=50), floats(ROWS)
    args = (zeros(ROWS, 50), dlosses, probs, targets, I4(B), I4(T), I4(50))
    right = class_gradient(probs, targets, dlosses)
    return Launch(ROWS * 50 // 32, 32, args, {0: right}, rtol=1e-4)


classifier = of("classifier_fused")


def classify(grid: int, block: int, probs: bool, v: int = 150) -> Launch:
    p = 160
    logits, targets, dlosses = 3 * floats(ROWS, p), ints(ROWS, high=v), floats(ROWS, seed=1)
    right = softmax(logits[:, :v])
    losses = -np.log(right[np.arange(ROWS), targets])
    out, gradient = zeros(ROWS, p), np.zeros((ROWS, p))
    gradient[:, :v] = class_gradient(right, targets, dlosses)
    outputs = (out, zeros(ROWS), *((zeros(ROWS, p),) if probs else ()))
    args = (*outputs, logits, dlosses, targets, I4(B), I4(T), I4(v), I4(p))
    return Launch(grid, block, args, {1: losses, 0: gradient}, rtol=1e-3)


@classifier.add("fused_classifier_kernel1")
def _() -> Launch:
    return classify(ROWS // 4, 128, probs=False)


@classifier.add("fused_classifier_kernel2", "fused_classifier_kernel3")
def _() -> Launch:
    return classify(ROWS, 128, probs=True)


@classifier.add("fused_classifier_kernel5<true, true>")
def _() -> Launch:
    return classify(ROWS, 128, probs=True, v=152)


@classifier.add(
    "fused_classifier_kernel5<true, true>",
    flaw=("RACE", "several threads write each of the elements behind the last whole pack"),
)
def _() -> Launch:
    return classify(ROWS, 128, probs=True)


@classifier.add("fused_classifier_kernel4")
def _() -> Launch:
    launch = classify(ROWS, 128, probs=True)
    # The last pack of a row is stored whole; what it holds behind the row is left open.
    launch.right[0][:, 150:152] = np.nan
    return launch


# -- attention -------------------------------------------------------------------------------------

attention_forward, attention_backward = of("attention_forward"), of("attention_backward")
SIZES = (I4(B), I4(T), I4(C), I4(NH))


def heads() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Input (B, T, 3, NH, HS), and q, k, v of it as (B, NH, T, HS)."""
    x = floats(B, T, 3, NH, HS)
    q, k, v = (np.ascontiguousarray(x[:, :, part].transpose(0, 2, 1, 3)) for part in range(3))
    return x, q, k, v


def scores() -> np.ndarray:
    _, q, k, _ = heads()
    return q @ k.transpose(0, 1, 3, 2) / F4(np.sqrt(HS))


@attention_forward.add("attention_query_key_kernel1")
def _() -> Launch:
    allowed = np.tril(np.ones((T, T), bool))
    right = np.where(allowed, scores(), -np.inf)
    return Launch(36, 128, (zeros(B, NH, T, T), heads()[0], *SIZES), {0: right}, rtol=1e-3)


@attention_forward.add("attention_softmax_kernel1")
def _() -> Launch:
    x = scores()
    return Launch(6, 32, (zeros(B, NH, T, T), x, I4(B), I4(T), I4(NH)), {0: causal(x)}, rtol=1e-3)


@attention_forward.add("attention_value_kernel1")
def _() -> Launch:
    x, _, _, v = heads()
    att = causal(scores())
    right = (att @ v).transpose(0, 2, 1, 3)
    return Launch(6, 32, (zeros(B, T, NH, HS), att, x, *SIZES), {0: right}, rtol=1e-3)


@attention_forward.add("softmax_forward_kernel4")
def _() -> Launch:
    return rows(10, 128, 32)


@attention_forward.add("softmax_forward_kernel5")
def _() -> Launch:
    x = floats(B * NH, T, T)
    args = (zeros(B * NH, T, T), F4(0.7), x, I4(B * NH), I4(T))
    return Launch(B * NH * T // 4, 128, args, {0: causal(x, 0.7)}, rtol=1e-3)


@attention_forward.add(
    "attention_forward_kernel2",
    flaw=("OUT-OF-BOUNDS", "a tile of keys is loaded whole, also behind the end of the sequence"),
)
def _() -> Launch:
    return flash(T, 32)


@attention_forward.add("attention_forward_kernel2")
def _() -> Launch:
    return flash(32, 16)


def flash(n: int, tile: int) -> Launch:
    q, k, v = (floats(B, NH, n, HS, seed=s) for s in range(3))
    right = causal(q @ k.transpose(0, 1, 3, 2), HS**-0.5) @ v
    tiles = -(-n // tile)
    sizes = tuple(I4(s) for s in (n, HS, tiles, tiles, tile, tile))
    sums = (zeros(B, NH, n), np.full((B, NH, n), -np.inf, F4), zeros(B, NH, n, HS))
    args = (q, k, v, *sizes, F4(HS**-0.5), *sums)
    memory = (3 * tile * HS + tile * tile) * 4
    return Launch((B, NH), tile, args, {12: right}, memory, rtol=1e-3)


@attention_forward.add("permute_kernel")
def _() -> Launch:
    x, q, k, v = heads()
    args = (zeros(*q.shape), zeros(*q.shape), zeros(*q.shape), x, I4(B), I4(T), I4(NH), I4(HS))
    return Launch(24, 128, args, {0: q, 1: k, 2: v})


@attention_forward.add("unpermute_kernel")
def _() -> Launch:
    q = floats(B, NH, T, HS)
    args = (q, zeros(B, T, NH, HS), I4(B), I4(T), I4(NH), I4(HS))
    return Launch(24, 128, args, {1: q.transpose(0, 2, 1, 3)})


@attention_forward.add("scale_kernel")
def _() -> Launch:
    x = floats(B, NH, T, T)
    right = np.where(np.tril(np.ones((T, T), bool)), x * F4(0.5), -np.inf)
    return Launch(36, 128, (x, F4(0.5), I4(B), I4(NH), I4(T)), {0: right})


@attention_forward.add(
    "attention_forward_fused1",
    flaw=("RACE", "lanes read scores from memory that lane 0 wrote, with no __syncwarp between"),
)
def _() -> Launch:
    x, _, _, v = heads()
    right = (causal(scores()) @ v).transpose(0, 2, 1, 3)
    args = (zeros(B, T, NH, HS), zeros(B, NH, T, T), zeros(B, NH, T, T), x, *SIZES)
    return Launch((T // 4, NH, B), 128, args, {0: right}, rtol=1e-3)


@attention_backward.add("permute_kernel_backward")
def _() -> Launch:
    x, q, k, v = heads()
    args = (zeros(*x.shape), q, k, v, I4(B), I4(T), I4(NH), I4(HS))
    return Launch(24, 128, args, {0: x})


@attention_backward.add("unpermute_kernel_backward")
def _() -> Launch:
    dout = floats(B, T, NH, HS)
    args = (zeros(B, NH, T, HS), dout, I4(B), I4(T), I4(NH), I4(HS))
    return Launch(24, 128, args, {0: dout.transpose(0, 2, 1, 3)})


def softmax_backward(grid: int, block: int, *, scale: bool = False, t: int = T) -> Launch:
    att, datt = causal(floats(B, NH, t, t)), floats(B, NH, t, t, seed=1)
    inner = (att * datt).sum(-1, keepdims=True)
    right = HS**-0.5 * att * (datt - inner)
    last = F4(HS**-0.5) if scale else I4(NH)
    args = (zeros(B, NH, t, t), datt, att, I4(B), I4(t), I4(C), last)
    return Launch((grid, B * NH), block, args, {0: right}, rtol=1e-3)


@attention_backward.add("softmax_autoregressive_backward_kernel1")
def _() -> Launch:
    launch = softmax_backward(1, 32)
    return Launch(1, 32, launch.args, launch.right, rtol=1e-3)


@attention_backward.add("softmax_autoregressive_backward_kernel2")
def _() -> Launch:
    return softmax_backward(1, 32)


@attention_backward.add("softmax_autoregressive_backward_kernel3")
def _() -> Launch:
    return softmax_backward(T // 2, 64)


@attention_backward.add("softmax_autoregressive_backward_kernel5")
def _() -> Launch:
    return softmax_backward(2, 64)


@attention_backward.add("softmax_autoregressive_backward_kernel6<32>")
def _() -> Launch:
    return softmax_backward(32, 32, t=32)


NOT_CLEARED = ("RACE", "a warp may store its sum before the first warp has set it to zero")


@attention_backward.add("softmax_autoregressive_backward_kernel7<64>", flaw=NOT_CLEARED)
def _() -> Launch:
    return softmax_backward(T, 64, scale=True)


@attention_backward.add("softmax_autoregressive_backward_kernel7<32>")
def _() -> Launch:
    return softmax_backward(T, 32, scale=True)


@attention_backward.add("softmax_autoregressive_backward_kernel8<64>", flaw=NOT_CLEARED)
def _() -> Launch:
    return softmax_backward(T // 4, 64, scale=True)


@attention_backward.add("softmax_autoregressive_backward_kernel8<32>")
def _() -> Launch:
    return softmax_backward(T // 4, 32, scale=True)


CASES: list[Case] = [case for cases in FILES for case in cases]
