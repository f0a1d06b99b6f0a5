"""The state of a stream: what it takes, and how it is drawn from, divided, copied and saved."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops.errors import ArgumentError
from gpuops.random import RandomStateError, RNGState, philox4x32

WORD64 = st.integers(0, 2**64 - 1)


def state(seed: int, offset: int) -> RNGState:
    made = RNGState(seed)
    made.jump(offset)
    return made


# -- seeds -----------------------------------------------------------------------------------------


@given(seed=WORD64)
def test_the_key_is_the_seed(seed: int) -> None:
    rng = RNGState(seed)
    assert (rng.key.dtype, rng.key.shape) == (np.uint32, (2,))
    assert (rng.offset.dtype, rng.offset.shape) == (np.uint64, (1,))
    assert rng.key.tolist() == [seed % 2**32, seed // 2**32] and rng.offset.tolist() == [0]
    assert rng.seed == seed and rng.device is gpuops.Device("cpu")


def test_seeds_of_numpys_integers() -> None:
    assert RNGState(np.uint64(2**64 - 1)) == RNGState(2**64 - 1)
    assert RNGState(np.int8(5)) == RNGState(5)


@pytest.mark.parametrize("seed", [-1, 2**64, -(2**70)])
def test_seeds_out_of_range(seed: int) -> None:
    message = rf"RNGState: seed must be 0 <= seed < 2\*\*64, got {seed}"
    with pytest.raises(RandomStateError, match=message) as caught:
        RNGState(seed)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("seed", [1.0, "1", None, True, np.bool_(1), [1], np.float32(1)])
def test_seeds_that_are_no_ints(seed: Any) -> None:
    with pytest.raises(ArgumentError, match=r"RNGState: seed must be an int, .*got") as caught:
        RNGState(seed)
    assert isinstance(caught.value, TypeError)


def test_unknown_devices() -> None:
    with pytest.raises(gpuops.DeviceError, match="Expected one of cpu, cuda"):
        RNGState(1, device="tpu")


# -- drawing ---------------------------------------------------------------------------------------


@given(offset=WORD64, blocks=WORD64)
def test_reserving_moves_on_and_block_numbers_begin_anew(offset: int, blocks: int) -> None:
    rng = state(3, offset)
    first = rng.reserve(blocks)
    assert (first.dtype, first.shape, first.tolist()) == (np.uint64, (1,), [offset])
    assert rng.offset.tolist() == [(offset + blocks) % 2**64]
    first[0] = 0
    assert rng.offset.tolist() == [(offset + blocks) % 2**64], "what is returned is a copy"


@pytest.mark.parametrize("blocks", [-1, 2**64])
def test_counts_out_of_range_change_nothing(blocks: int) -> None:
    rng = RNGState(1)
    for function in (rng.reserve, rng.jump):
        with pytest.raises(RandomStateError, match=f"RNGState.{function.__name__}: blocks"):
            function(blocks)
    with pytest.raises(ArgumentError, match="RNGState.jump: blocks must be an int"):
        rng.jump(1.5)  # type: ignore[arg-type]
    assert rng == RNGState(1)


def test_key_and_offset_cannot_be_replaced_but_written_to() -> None:
    rng = RNGState(1)
    for name in ("key", "offset", "seed", "other"):
        with pytest.raises(AttributeError):
            setattr(rng, name, 3)
    rng.offset[...] = 7
    assert rng == state(1, 7)


def test_no_two_threads_draw_the_same() -> None:
    rng = RNGState(4)
    start = threading.Barrier(16)

    def draw(number: int) -> list[int]:
        start.wait()
        return [int(rng.reserve(number + 1)[0]) for _ in range(500)]

    with ThreadPoolExecutor(16) as pool:
        drawn = list(pool.map(draw, range(16)))
    ranges = sorted((first, n + 1) for n, firsts in enumerate(drawn) for first in firsts)
    ends = [first + length for first, length in ranges]
    assert [first for first, _ in ranges] == [0, *ends[:-1]]
    assert rng.offset.tolist() == [ends[-1]]


def draw_and_send(queue: Any) -> None:
    queue.put([int(first) for first in RNGState(4).reserve(2)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_child_forked_while_others_draw_can_draw() -> None:
    rng, stop = RNGState(4), threading.Event()

    def keep_drawing() -> None:
        while not stop.is_set():
            rng.reserve(1)

    threads = [threading.Thread(target=keep_drawing) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue = multiprocessing.get_context("fork").SimpleQueue()
    try:
        for _ in range(10):
            with warnings.catch_warnings():
                # Python 3.12 warns of forking beside threads: that is what is tested.
                warnings.simplefilter("ignore", DeprecationWarning)
                process = multiprocessing.get_context("fork").Process(
                    target=draw_and_send, args=(queue,)
                )
                process.start()
            process.join(60)
            code = process.exitcode
            process.kill()
            assert code == 0, "the child hangs" if code is None else "the child failed"
            assert queue.get() == [0]
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# -- splitting -------------------------------------------------------------------------------------


@given(seed=WORD64, offset=WORD64, n=st.integers(0, 5))
def test_children_are_as_the_format_says(seed: int, offset: int, n: int) -> None:
    rng = state(seed, offset)
    children = rng.split(n)
    assert rng == state(seed, (offset + n) % 2**64)
    for number, child in enumerate(children):
        block = (offset + number) % 2**64
        counter = np.array([block % 2**32, block // 2**32, 0, 1], np.uint32)
        expected = philox4x32(counter, np.array([seed % 2**32, seed // 2**32], np.uint32))[:2]
        assert np.array_equal(child.key, expected) and child.offset.tolist() == [0]


def test_children_are_reproducible_and_all_different() -> None:
    first, second = RNGState(9), RNGState(9)
    assert first.split(1000) == second.split(1000)
    seeds = {child.seed for child in [*first.split(1000), *RNGState(9).split(1000)]}
    assert len(seeds) == 2000
    grandchildren = {child.seed for parent in RNGState(9).split(10) for child in parent.split(10)}
    assert len(grandchildren) == 100 and not grandchildren & seeds
    # Split at once or one by one.
    rng = RNGState(9)
    assert [rng.split(1)[0] for _ in range(3)] == RNGState(9).split(3)


@pytest.mark.parametrize("n", [-1, 2**32, 1.0, None])
def test_counts_of_children_that_are_none(n: Any) -> None:
    with pytest.raises((RandomStateError, ArgumentError), match="RNGState.split: n must be"):
        RNGState(1).split(n)


# -- equality, copies, saved states ----------------------------------------------------------------


def test_equality() -> None:
    assert state(1, 5) == state(1, 5)
    assert state(1, 5) != state(1, 6) and state(1, 5) != state(2, 5)
    assert RNGState(1) != 1 and RNGState(1) != None  # noqa: E711
    assert RNGState(2**32) != RNGState(1)


def test_no_hash_but_weak_references() -> None:
    rng = RNGState(1)
    with pytest.raises(TypeError, match="unhashable type: 'RNGState'"):
        hash(rng)
    ref = weakref.ref(rng)
    assert ref() is rng
    del rng
    assert ref() is None


COPIES = {
    "copy": lambda rng: rng.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda rng: pickle.loads(pickle.dumps(rng)),
    "oldest pickle": lambda rng: pickle.loads(pickle.dumps(rng, 0)),
    "JSON": lambda rng: RNGState.from_json(rng.to_json()),
    "repr": lambda rng: state(*eval(repr(rng), {"RNGState": lambda **k: (k["seed"], k["offset"])})),
}


@pytest.mark.parametrize("how", COPIES)
@given(seed=WORD64, offset=WORD64)
def test_a_copy_goes_on_as_the_original_and_on_its_own(how: str, seed: int, offset: int) -> None:
    rng = state(seed, offset)
    other = COPIES[how](rng)
    assert type(other) is RNGState and other is not rng and other == rng
    other.jump(1)
    assert other != rng and rng == state(seed, offset)
    rng.jump(1)
    assert other == rng


def test_a_state_in_a_structure_is_copied_once() -> None:
    rng = RNGState(3)
    first, second = copy.deepcopy([rng, rng])
    assert first is second and first is not rng
    first, second = pickle.loads(pickle.dumps([rng, rng]))
    assert first is second


def test_a_state_pickled_elsewhere_is_the_same() -> None:
    code = (
        "import pickle, sys; from gpuops.random import RNGState; rng = RNGState(2**63 + 1);"
        "rng.jump(2**40); sys.stdout.buffer.write(pickle.dumps(rng))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert pickle.loads(done.stdout) == state(2**63 + 1, 2**40)


def test_a_saved_state_is_as_it_was_in_version_1() -> None:
    text = '{"format": "gpuops.RNGState", "version": 1, "key": [1, 2], "offset": 3}'
    assert RNGState.from_json(text) == state(1 + 2 * 2**32, 3)
    assert state(1 + 2 * 2**32, 3).to_json() == text


GOOD = json.loads(RNGState(1).to_json())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        (None, "got None, which is no JSON"),
        (7, "got int 7, which is no JSON"),
        (b"\xff", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("3", "does not say so in its field 'format'"),
        ("[]", "does not say so in its field 'format'"),
        ({**GOOD, "format": "other"}, "does not say so in its field 'format'"),
        ({**GOOD, "version": 2}, "version 2; this gpuops reads version 1"),
        ({**GOOD, "version": True}, "version True; this gpuops reads version 1"),
        ({**GOOD, "version": 1.0}, "version 1.0"),
        ({**GOOD, "version": None}, "version None"),
        ({**GOOD, "key": [1]}, r"a key that is not two ints below 2\*\*32: \[1\]"),
        ({**GOOD, "key": [1, -1]}, "a key that is not two ints"),
        ({**GOOD, "key": [1, 2**32]}, "a key that is not two ints"),
        ({**GOOD, "key": [1, 1.0]}, "a key that is not two ints"),
        ({**GOOD, "key": [True, 1]}, "a key that is not two ints"),
        ({**GOOD, "key": "12"}, "a key that is not two ints"),
        ({**GOOD, "key": {"0": 1, "1": 2}}, "a key that is not two ints"),
        ({**GOOD, "offset": -1}, r"an offset that is no int below 2\*\*64: -1"),
        ({**GOOD, "offset": 2**64}, "an offset that is no int"),
        ({**GOOD, "offset": 0.0}, "an offset that is no int"),
        ({**GOOD, "offset": None}, "an offset that is no int"),
        ({k: v for k, v in GOOD.items() if k != "offset"}, "an offset that is no int"),
        ({k: v for k, v in GOOD.items() if k != "key"}, "a key that is not two ints"),
        ({k: v for k, v in GOOD.items() if k != "version"}, "version None"),
    ],
)  # fmt: skip
def test_malformed_saved_states(text: Any, problem: str) -> None:
    if isinstance(text, dict):
        text = json.dumps(text)
    with pytest.raises(RandomStateError, match=problem) as caught:
        RNGState.from_json(text)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith("RNGState.from_json: expected a state that")


# -- as an argument of operators -------------------------------------------------------------------


def test_it_is_a_parameter_type_in_hints_and_schemas(ns: str) -> None:  # B7
    assert gpuops.is_opaque_type(RNGState) and gpuops.is_opaque_type("RNGState")

    def kernel(x: gpuops.Array, rng: RNGState, other: RNGState | None = None) -> gpuops.Array:
        return x + rng.reserve(1)[0] + (0 if other is None else 100)

    schema = "(Array x, RNGState rng, RNGState? other=None) -> Array"
    hinted = gpuops.custom_op(f"{ns}::hinted", kernel, mutates_args=())
    assert str(hinted.schema) == f"{ns}::hinted{schema}"
    gpuops.define(f"{ns}::written", schema)
    gpuops.impl(f"{ns}::written", "default", kernel)
    rng = RNGState(5)
    for call in (hinted, getattr(gpuops.ops, ns).written):
        before = rng.copy()
        assert call(np.zeros(1), rng).tolist() == before.offset.tolist()
        assert call(np.zeros(1), rng, other=before)[0] == before.offset[0] + 101
        for wrong, got in ((None, "None"), (5, "int 5"), (np.random.default_rng(0), "Generator")):
            with pytest.raises(
                ArgumentError, match=f"argument 'rng' .*must be a RNGState; .*{got}"
            ):
                call(np.zeros(1), wrong)


def test_the_module_is_reachable_and_loaded_late() -> None:
    code = (
        "import sys, gpuops; before = 'gpuops.random' in sys.modules;"
        "rng = gpuops.random.RNGState(3); print(before, rng, 'gpuops.cuda' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False RNGState(seed=3, offset=0, device='cpu') False\n"


# -- on "cuda" -------------------------------------------------------------------------------------


@pytest.fixture(
    params=["simulated_cuda", pytest.param("cuda_device", marks=pytest.mark.cuda)],
    ids=["simulated", "gpu"],
)
def on_cuda(request: pytest.FixtureRequest) -> Any:
    """The simulated GPU, and a real one where there is one."""
    return request.getfixturevalue(request.param)


def test_a_state_on_the_device(on_cuda: Any) -> None:
    rng = RNGState(2**40 + 3, device="cuda")
    assert rng.device is on_cuda.device
    assert type(rng.key) is type(rng.offset) is type(on_cuda.asarray(np.zeros(1)))
    first = rng.reserve(2**33 + 1)
    assert type(first) is type(rng.offset) and on_cuda.get(first).tolist() == [0]
    assert rng.offset.get().tolist() == [2**33 + 1]
    rng.jump(2**64 - 1)
    there = state(2**40 + 3, 2**33)
    assert rng == there and there == rng and rng.copy() == rng and rng.seed == there.seed
    assert repr(rng) == f"RNGState(seed={rng.seed}, offset={2**33}, device='cuda:0')"
    assert rng.to_json() == there.to_json()
    assert RNGState.from_json(rng.to_json(), device="cuda").device is rng.device
    with pytest.raises(RandomStateError, match="RNGState.reserve: blocks"):
        rng.reserve(-1)


def test_moving_between_devices(on_cuda: Any) -> None:
    here = state(7, 9)
    there = here.to("cuda")
    assert there.device.type == "cuda" and there == here
    assert here.to("cpu") is here and there.to("cuda") is there and there.to("cuda:0") is there
    there.jump(1)
    assert here == state(7, 9) and there.to("cpu") == state(7, 10)
    assert copy.deepcopy(there).device is there.device
    assert pickle.loads(pickle.dumps(there)) == there


def test_children_are_the_same_on_every_device(on_cuda: Any) -> None:
    there = state(7, 2**32 - 1).to("cuda")
    children = there.split(3)
    assert children == state(7, 2**32 - 1).split(3)
    assert {child.device for child in children} == {there.device}
    assert there == state(7, 2**32 + 2)
