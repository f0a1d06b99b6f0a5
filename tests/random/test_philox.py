"""The generator: published answers, an oracle in plain integers, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpuops.errors import ArgumentError, GpuopsError
from gpuops.random import RandomStateError, philox4x32

# Counter, key and result, of the file kat_vectors of Random123 1.14 (philox 4x32, 10 rounds).
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


def oracle(counter: Any, key: Any) -> list[int]:
    """Philox 4x32-10 after Salmon et al. 2011, section 3.3, with Python's integers."""
    (c0, c1, c2, c3), (k0, k1) = map(int, counter), map(int, key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_the_published_answers(counter: str, key: str, expected: str) -> None:
    got = philox4x32(words(counter), words(key))
    assert got.dtype == np.uint32 and got.shape == (4,)
    assert np.array_equal(got, words(expected))
    assert oracle(words(counter), words(key)) == words(expected).tolist()


SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)


@given(shapes=SHAPES, data=st.data())
def test_each_of_broadcast_counters_and_keys(shapes: Any, data: st.DataObject) -> None:
    left, right = shapes.input_shapes
    counter = data.draw(hnp.arrays(np.uint32, (*left, 4)))
    key = data.draw(hnp.arrays(np.uint32, (*right, 2)))
    kept = counter.copy(), key.copy()
    got = philox4x32(counter, key)
    assert got.shape == (*shapes.result_shape, 4)
    assert np.array_equal(counter, kept[0]) and np.array_equal(key, kept[1])
    counters = np.broadcast_to(counter, (*shapes.result_shape, 4)).reshape(-1, 4)
    keys = np.broadcast_to(key, (*shapes.result_shape, 2)).reshape(-1, 2)
    expected = [oracle(c, k) for c, k in zip(counters, keys, strict=True)]
    assert got.reshape(-1, 4).tolist() == expected


def test_any_layout_is_read() -> None:
    rows = np.arange(48, dtype=np.uint32).reshape(6, 8)
    strided, key = rows[::-2, ::2], np.array([1, 2], np.uint32)[::-1]
    expected = philox4x32(strided.copy(), key.copy())
    assert np.array_equal(philox4x32(strided, key), expected)


ZEROS = np.zeros(4, np.uint32)
KEY = np.zeros(2, np.uint32)


@pytest.mark.parametrize(
    ("counter", "key", "message"),
    [
        (ZEROS.astype(np.int64), KEY,
         "counter must be a numpy.ndarray of uint32 with 4 words .*, got numpy.ndarray int64[4]"),
        (ZEROS, KEY.astype(np.uint64), "key must be a numpy.ndarray of uint32 with 2 words"),
        (ZEROS.astype(np.float32), KEY, "got numpy.ndarray float32[4]"),
        (ZEROS.astype(">u4"), KEY, "got numpy.ndarray >u4[4]"),
        ([0, 0, 0, 0], KEY, "counter must be .* got list of length 4"),
        (ZEROS, None, "key must be .* got None"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_words_is_refused(counter: Any, key: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message.replace("[4]", r"\[4\]")) as caught:
        philox4x32(counter, key)
    assert isinstance(caught.value, TypeError) and str(caught.value).startswith("philox4x32: ")


@pytest.mark.parametrize(
    ("counter", "key", "message"),
    [
        (np.zeros(3, np.uint32), KEY, "counter must have 4 words in its last dimension"),
        (np.zeros((4, 2), np.uint32), KEY, "counter must have 4 words in its last dimension"),
        (np.zeros((), np.uint32), KEY, "counter must have 4 words in its last dimension"),
        (ZEROS, ZEROS, "key must have 2 words in its last dimension"),
        (np.zeros((3, 4), np.uint32), np.zeros((2, 2), np.uint32), "cannot be broadcast"),
    ],
)
def test_wrong_shapes_are_refused(counter: Any, key: Any, message: str) -> None:
    with pytest.raises(RandomStateError, match=message) as caught:
        philox4x32(counter, key)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, GpuopsError)
