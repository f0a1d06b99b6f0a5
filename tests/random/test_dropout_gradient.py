"""The gradient of dropout has the mask of the forward pass, whoever draws in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import grad, trace, value_and_grad, vjp, vmap, xp
from gpuops.random import RNGState
from gpuops_kernels import dropout, dropout_apply, dropout_forward

PLACES = ["numpy", "numba", "cuda"]


@pytest.fixture(params=PLACES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of the three implementations: the reference, Numba's, and CUDA's in the simulator."""
    operators = (dropout, dropout_apply, dropout_forward)
    if request.param == "cuda":
        with gpuops.cuda.simulator():
            yield "cuda"
        return
    if request.param == "numpy":
        handles = [
            gpuops.register_kernel(operator, "cpu", gpuops.get_kernel(operator))
            for operator in operators
        ]
        yield "cpu"
        for handle in handles:
            handle.undo()
        return
    yield "cpu"


def moved(x: np.ndarray, device: str) -> Any:
    return gpuops.asarray(x, device=device)


def host(x: Any) -> np.ndarray:
    return np.asarray(gpuops.asarray(x, device="cpu"))


def both(x: Any, rng: RNGState, p: float = 0.5) -> Any:
    """The result of dropout, and its gradient with respect to ones."""

    def function(x: Any) -> Any:
        y = dropout(x, p, rng)
        return xp.sum(y), y

    (_, y), gradient = value_and_grad(function, has_aux=True)(x)
    return y, gradient


def positive(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.arange(1, int(np.prod(shape)) + 1, dtype=dtype).reshape(shape)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (8,), (3, 5), (0,)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_mask_and_one_draw(device: str, shape: tuple[int, ...], dtype: str) -> None:
    x = positive(*shape, dtype=dtype)
    rng, alone = RNGState(3, device=device), RNGState(3, device=device)
    y, gradient = both(moved(x, device), rng)
    assert np.array_equal(host(y), host(dropout(moved(x, device), 0.5, alone)))
    assert rng == alone, "the gradient draws nothing of its own"
    assert np.array_equal(host(gradient), np.where(host(y) != 0, 2, 0))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_none_and_all_are_dropped(device: str, p: float) -> None:
    x = np.array([0.0, np.inf, -3.0, np.nan, 5.0], np.float32)
    _, gradient = both(moved(x, device), RNGState(3, device=device), p)
    assert host(gradient).tolist() == [1 - p] * 5


def test_draws_before_the_reverse_pass(device: str) -> None:
    rng = RNGState(3, device=device)
    x = moved(np.ones(50, np.float32), device)
    out, back = vjp(lambda x: dropout(x, 0.5, rng), x)
    dropout(x, 0.5, rng)
    rng.jump(1000)
    (found,) = back(moved(np.ones(50, np.float32), device))
    assert np.array_equal(host(found), host(out))


def test_threads_that_share_a_state() -> None:
    rng = RNGState(9)
    x = np.ones(64, np.float32)
    start = threading.Barrier(8, timeout=60)
    masks: list[bytes] = []

    def work(_: int) -> None:
        start.wait()
        for _ in range(200):
            y, gradient = both(x, rng)
            assert np.array_equal(y, gradient)
            masks.append(y.tobytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(set(masks)) == 1600, "no two have the same numbers"
    assert int(rng.offset[0]) == 1600 * 16


class Racing(threading.Thread):
    """Draws from a state for as long as it is wanted."""

    def __init__(self, rng: RNGState) -> None:
        super().__init__()
        self.rng = rng
        self.wanted = True

    def run(self) -> None:
        while self.wanted:
            self.rng.reserve(1)


def test_another_thread_that_draws_all_the_time() -> None:
    rng = RNGState(9)
    racing = Racing(rng)
    racing.start()
    try:
        for _ in range(300):
            y, gradient = both(np.ones(33), rng)
            assert np.array_equal(y, gradient)
    finally:
        racing.wanted = False
        racing.join()


# -- batches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (8,), (2, 5)])
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("chunk", [None, 2])
def test_each_element_of_a_batch_has_its_own_mask_in_both_passes(
    device: str, shape: tuple[int, ...], dim: int, chunk: int | None
) -> None:
    size = 6
    rows = np.stack([positive(*shape)] * size)
    rng, alone = RNGState(4, device=device), RNGState(4, device=device)
    x = moved(np.moveaxis(rows, 0, dim), device)
    y, gradient = vmap(lambda row: both(row, rng), dim, randomness="different", chunk_size=chunk)(x)
    found, slopes = host(y), host(gradient)
    assert np.array_equal(slopes, np.where(found != 0, 2, 0))
    # What calls one after the other draw.
    looped = [both(moved(row, device), alone) for row in rows]
    assert np.array_equal(found, np.stack([host(y) for y, _ in looped]))
    assert np.array_equal(slopes, np.stack([host(g) for _, g in looped]))
    assert rng == alone
    if found.size > 20:
        assert len(np.unique(slopes.reshape(size, -1), axis=0)) > 1


def test_the_same_mask_for_a_batch(device: str) -> None:
    rng, alone = RNGState(4, device=device), RNGState(4, device=device)
    x = moved(np.stack([positive(5), -positive(5)]), device)
    y, gradient = vmap(lambda row: both(row, rng), randomness="same")(x)
    one = host(both(moved(positive(5), device), alone)[1])
    assert np.array_equal(host(gradient), [one, one])
    assert np.array_equal(host(y) != 0, [one != 0, one != 0])
    assert rng == alone


@pytest.mark.parametrize("outer", ["different", "same"])
@pytest.mark.parametrize("inner", ["different", "same"])
def test_batches_of_batches(outer: str, inner: str) -> None:
    rng = RNGState(11)
    x = np.ones((3, 4, 21), np.float32)
    function = vmap(lambda row: both(row, rng), randomness=inner)
    y, gradient = vmap(function, randomness=outer)(x)
    assert np.array_equal(y, gradient)
    expected = (4 if inner == "different" else 1) * (3 if outer == "different" else 1)
    assert len(np.unique(y.reshape(12, -1), axis=0)) == expected


def test_the_gradient_of_a_batch(device: str) -> None:
    rng, again = RNGState(11, device=device), RNGState(11, device=device)
    x = moved(np.ones((3, 7), np.float32), device)

    def drop(x: Any, rng: RNGState) -> Any:
        return vmap(lambda row: dropout(row, 0.5, rng), randomness="different")(x)

    found = grad(lambda x: xp.sum(drop(x, rng)))(x)
    assert np.array_equal(host(found), host(drop(x, again)))


def test_an_unbatched_array_in_a_batch() -> None:
    rng = RNGState(2)
    x = np.ones(40)

    def function(row: Any) -> Any:
        y, gradient = both(x, rng)
        return y + 0 * row, gradient + 0 * row

    y, gradient = vmap(function, randomness="different")(np.ones((3, 40)))
    assert np.array_equal(y, gradient) and len(np.unique(y, axis=0)) == 3


def test_an_empty_batch() -> None:
    rng = RNGState(2)
    y, gradient = vmap(lambda row: both(row, rng), randomness="different")(np.ones((0, 5)))
    assert y.shape == gradient.shape == (0, 5) and rng == RNGState(2)


# -- graphs, and derivatives of derivatives --------------------------------------------------------


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_graph_of_the_gradient_draws_anew(device: str, mode: str) -> None:
    x = moved(np.ones((4, 9), np.float32), device)
    graph = trace(lambda x, rng: both(x, rng), mode)(x, RNGState(1, device=device))
    assert [node.operator.name for node in graph.nodes if "dropout" in node.operator.name] == [
        "dropout_forward",
        "dropout_apply",
    ]
    rng, alone = RNGState(5, device=device), RNGState(5, device=device)
    for _ in range(3):
        y, gradient = graph(x, rng)
        assert np.array_equal(host(y), host(gradient))
        assert np.array_equal(host(y), host(dropout(x, 0.5, alone)))
    assert rng == alone


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_a_graph_of_a_batch_of_gradients(randomness: str) -> None:
    function = vmap(both, (0, None), randomness=randomness)
    x = np.ones((4, 9), np.float32)
    graph = trace(function, "fake")(x, RNGState(1))
    rng, alone = RNGState(5), RNGState(5)
    for _ in range(2):
        y, gradient = graph(x, rng)
        assert np.array_equal(y, gradient)
        assert np.array_equal(y, function(x, alone)[0])
    assert rng == alone


def test_second_derivatives_have_the_mask_too(device: str) -> None:
    x = np.arange(1, 10, dtype=np.float64)
    rng, alone = RNGState(6, device=device), RNGState(6, device=device)

    def first(x: Any) -> Any:
        return grad(lambda x: xp.sum(dropout(x, 0.5, rng) ** 3))(x)

    found = grad(lambda x: xp.sum(first(x)))(moved(x, device))
    mask = host(dropout(moved(np.ones(9), device), 0.5, alone))
    np.testing.assert_allclose(host(found), 6 * mask**3 * x)


def test_without_a_gradient_nothing_is_kept() -> None:
    called: list[str] = []
    right = gpuops.get_kernel(dropout_forward, "cpu")

    def noting(*args: Any) -> Any:
        called.append("forward")
        return right(*args)

    x, rng = np.ones(5), RNGState(1)
    with gpuops.register_kernel(dropout_forward, "cpu", noting):
        dropout(x, 0.5, rng)
        with gpuops.no_grad():
            grad(lambda x: xp.sum(x * dropout(gpuops.stop_gradient(x), 0.5, rng)))(x)
        assert not called
        grad(lambda x: xp.sum(dropout(x, 0.5, rng)))(x)
        assert called == ["forward"]


@pytest.mark.parametrize("operator", [dropout, dropout_forward, dropout_apply])
def test_opcheck(operator: Any) -> None:
    x, rng = np.linspace(1, 2, 10), RNGState(3)
    args = (x, 0.5, rng) if operator is not dropout_apply else (x, 0.5, rng.key, rng.offset)
    assert set(gpuops.opcheck(operator, args).values()) == {"SUCCESS"}
