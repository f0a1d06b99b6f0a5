"""`vmap`: arguments, results, what an element cannot do, fakes, tracing, the simulator."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import VmapError, vmap, xp

X = np.arange(6.0).reshape(3, 2)


def test_pytrees_and_in_dims_per_leaf() -> None:
    def function(state: dict[str, Any], pair: Any, *, factor: Any) -> Any:
        return {"sum": state["a"] + state["b"][0] * factor, "rest": (pair[1], None)}

    state = {"a": X, "b": [np.ones(2)]}
    out = vmap(function, ({"a": 0, "b": [None]}, (None, 0)), {"sum": 1, "rest": (0, None)})(
        state, (7, X), factor=np.full(2, 3.0)
    )
    assert np.array_equal(out["sum"], X.T + 3)
    assert np.array_equal(out["rest"][0], X)
    assert out["rest"][1] is None
    both = vmap(lambda p: p["a"] + p["b"], ({"a": 0, "b": None},))({"a": X, "b": np.ones(2)})
    assert np.array_equal(both, X + 1)
    assert np.array_equal(vmap(lambda p, q: p[0] + q, (0, None))((X, None), 1.0), X + 1)


def test_results_that_are_the_same_for_all_are_repeated() -> None:
    out = vmap(lambda x: (x, np.ones(4)), out_dims=(0, 1))(X)
    assert out[1].shape == (4, 3)
    assert not out[1].flags.writeable
    assert vmap(lambda x: (x, np.ones(4)), out_dims=(0, None))(X)[1].shape == (4,)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunks_give_the_same_as_all_at_once(size: int) -> None:
    sizes = []

    def function(x: Any, y: Any) -> Any:
        sizes.append(x.value.shape[x.dim])
        return x @ y, (y, x * 2)

    x = np.arange(35.0).reshape(5, 7)
    whole = vmap(function, (1, None), (0, (None, -1)))(x, np.ones(5))
    sizes.clear()
    parts = vmap(function, (1, None), (0, (None, -1)), chunk_size=size)(x, np.ones(5))
    assert sizes == [min(size, 7 - start) for start in range(0, 7, size)]
    for a, b in zip((whole[0], *whole[1]), (parts[0], *parts[1]), strict=True):
        assert np.array_equal(a, b)


def test_the_arrays_look_like_one_element() -> None:
    seen: list[Any] = []

    def function(x: Any) -> Any:
        seen.append((x.shape, x.ndim, x.size, x.dtype, x.strides, str(x.device), len(x), x.nbytes))
        seen.append((x.flags.c_contiguous, x.flags.writeable, x.new_empty((2,)).dtype))
        seen.append(repr(x))
        return x

    vmap(function, 1)(np.zeros((2, 3, 4), np.float32))
    assert seen[0] == ((2, 4), 2, 8, np.float32, (48, 4), "cpu", 2, 32)
    assert seen[1] == (False, True, np.float32)
    assert seen[2] == "BatchedArray(float32[2, 4] on cpu, a batch of 3 along axis 1)"


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: x if x.sum() > 0 else -x, "branches on the data"),
        (lambda x: float(x[0]), "makes a float"),
        (lambda x: int(x[0]), "makes an int"),
        (lambda x: complex(x[0]), "makes a complex"),
        (lambda x: x[0].item(), "makes a number"),
        (lambda x: np.asarray(x), "makes a NumPy array"),
        (lambda x: 1.0 in x, "asks what is in the data"),
        (lambda x: list(range(x[0])), "makes an index or a size"),
        (lambda x: np.from_dlpack(x), "exports the data"),
    ],
)
def test_a_look_at_one_elements_data_is_refused(function: Any, what: str) -> None:
    with pytest.raises(VmapError, match=rf"vmap\(<lambda>.*{what}.*test_vmap.py:\d+.*BatchedArray"):
        vmap(function)(X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: vmap(3), TypeError, "vmap takes a function, got int 3"),
        (lambda: vmap(abs, randomness="none"), TypeError, "'error', 'different' or 'same', got 'n"),
        (lambda: vmap(abs, chunk_size=0), TypeError, "chunk_size must be None or an int above 0"),
        (lambda: vmap(abs)(), VmapError, "got no inputs"),
        (lambda: vmap(abs, None)(X), VmapError, "nothing to batch"),
        (
            lambda: vmap(abs, "0")(X),
            VmapError,
            "expected in_dims to be an int, None or a .*str '0'",
        ),
        (lambda: vmap(abs, (0, 0))(X), VmapError, "in_dims has 2 items, for 1 positional"),
        (lambda: vmap(abs, ((0, 0),))(X), VmapError, "in_dims does not have the structure"),
        (lambda: vmap(abs, (0.5,))(X), VmapError, "an in_dim must be an int or None, got float"),
        (lambda: vmap(abs)(3), VmapError, "in_dim 0 for an argument that is no array: int 3"),
        (lambda: vmap(abs, 2)(X), IndexError, "in_dim 2 for .*which has 2 axes: expected -2 <="),
        (lambda: vmap(abs, -3)(X), IndexError, "in_dim -3 for"),
        (lambda: vmap(abs)(np.float64(1)), VmapError, "no array"),
        (lambda: vmap(xp.add)(X, X.T), VmapError, r"same size along .*got the sizes \[3, 2\]"),
        (lambda: vmap(lambda x: 3)(X), VmapError, "may only return arrays.*got int 3"),
        (lambda: vmap(abs, 0, None)(X), VmapError, "the out_dim of BatchedArray.* is None, but"),
        (lambda: vmap(abs, 0, 2)(X), IndexError, "out_dim 2 for a result that has, with the batch"),
        (lambda: vmap(abs, 0, -3)(X), IndexError, "out_dim -3"),
        (lambda: vmap(abs, 0, (0, 0))(X), VmapError, "out_dims does not have the structure"),
        (lambda: vmap(abs, 0, "x")(X), VmapError, "an out_dim must be an int or None, got str"),
    ],
)
def test_wrong_arguments_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as info:
        call()
    assert isinstance(info.value, gpuops.GpuopsError)


def test_an_array_that_was_kept_says_that_its_batch_has_ended() -> None:
    kept = []
    vmap(lambda x: kept.append(x) or x)(X)
    with pytest.raises(
        VmapError, match="xp::add.scalar_x2 was called with an array of a batch that has ended"
    ):
        kept[0] + 1


def test_the_function_keeps_its_name_and_an_error_in_it_leaves_nothing_behind() -> None:
    def named(x: Any) -> Any:
        raise RuntimeError("mine")

    batched = vmap(named)
    assert batched.__name__ == "named"
    with pytest.raises(RuntimeError, match="mine"):
        batched(X)
    from gpuops.interception import ambient, intercepted

    assert ambient.get() is None
    assert not intercepted


def test_numpys_functions_and_methods_are_batched() -> None:
    def function(x: Any) -> Any:
        y = np.exp(x) + np.sum(x)
        return np.concatenate([y, x.T.reshape(-1)]) @ np.ones((4, 2)), x[::-1][0], x.mean()

    found = vmap(function)(X)
    expected = [function(x) for x in X]
    for index, value in enumerate(found):
        np.testing.assert_allclose(value, np.stack([e[index] for e in expected]))


# -- together with fakes, tracing and the simulator ------------------------------------------------


def test_fakes_are_batched() -> None:
    fake = gpuops.FakeArray((3, 4, 5), "float32")
    out = vmap(lambda x: (x @ np.float32(2) if False else xp.matmul(x, x.T)).sum(axis=0))(fake)
    assert (type(out), out.shape, out.dtype) == (gpuops.FakeArray, (3, 4), np.float32)
    assert vmap(lambda x: x[[0, 1], 0])(fake).shape == (3, 2)


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_traced_vmap_is_a_graph_of_batched_operators(mode: str) -> None:
    def function(x: Any, y: Any) -> Any:
        return vmap(lambda a, b: (a * b + 1).sum(), (0, None))(x, y)

    graph = gpuops.trace(function, mode)(X, np.ones(2))
    assert [node.operator.name for node in graph.nodes] == ["multiply", "add", "sum"]
    larger = np.arange(10.0).reshape(5, 2)
    if mode == "symbolic":
        assert np.array_equal(graph(larger, np.ones(2)), larger.sum(axis=1) + 2)
    assert np.array_equal(graph(X, np.ones(2)), X.sum(axis=1) + 2)


# S2, on the simulated device
def test_arrays_of_the_simulated_device(simulated_cuda: Any) -> None:
    x = gpuops.asarray(X, device="cuda")
    out = vmap(lambda a: a * 2 + 1)(x)
    assert gpuops.device_of(out).type == "cuda"
    assert np.array_equal(out.get(), X * 2 + 1)


def test_importing_gpuops_loads_no_vmap_and_no_optree() -> None:
    program = "import sys, gpuops; print([m for m in sys.modules if 'vmap' in m or m == 'optree'])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_errors_of_rules_say_that_axes_may_be_those_of_the_batch() -> None:
    with pytest.raises(ValueError, match="cannot reshape") as info:
        vmap(lambda x: xp.reshape(x, (4,)))(X)
    (note,) = info.value.__notes__
    assert note == (
        "in vmap(<lambda>, in_dims=0, out_dims=0): xp::reshape ran for a batch of 3, along the "
        "axes (0, None, None) of its arguments; axes and sizes in the message may be those of the "
        "batch"
    )
    with pytest.raises(ValueError, match="reshape") as info:
        vmap(lambda x: x * xp.sum(xp.reshape(X, (4,))))(X)
    assert not hasattr(info.value, "__notes__")
