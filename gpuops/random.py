"""Random numbers that are the same on every device: Philox 4x32-10 and the state of a stream.

The generator is counter-based (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random
numbers: as easy as 1, 2, 3, SC 2011): block number n of a stream is a function of n and a key, so
that any thread of any device can compute any part of a stream.

>>> rng = RNGState(2026)
>>> rng
RNGState(seed=2026, offset=0, device='cpu')
>>> rng.reserve(10), rng.offset
(array([0], dtype=uint64), array([10], dtype=uint64))

Stream format, version 1. What is written here never changes; another format would get another
number in what `RNGState.to_json` writes.

- The key is the seed: its low 32 bits, then its high 32 bits.
- Block n, 0 <= n < 2**64, is ``philox4x32(counter, key)`` of the counter ``(n % 2**32, n // 2**32,
  0, 0)``: four words of 32 bits. Blocks are numbered modulo 2**64.
- The offset is the number of the first block that has not been drawn from.
- `RNGState.split` draws one block per child, with the counter ``(n % 2**32, n // 2**32, 0, 1)``;
  the child's key is that block's first two words.

How an operator makes its numbers from the words of the blocks that it draws is told where it is
declared.
"""

from __future__ import annotations

import json
import operator
import threading
from contextlib import AbstractContextManager
from typing import Any, NoReturn, cast, final

import numpy as np

from gpuops.devices import Device, array_kind, device_of
from gpuops.errors import ArgumentError, GpuopsError, describe
from gpuops.locks import fork_safe
from gpuops.opaque import OpaqueBase, register_opaque_type

__all__ = ["RNGState", "RandomStateError", "philox4x32"]

_FORMAT = "gpuops.RNGState"
_VERSION = 1

_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
# The golden ratio and sqrt(3) - 1, in 32 bits: what the key grows by from round to round.
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HIGH = np.uint64(2**32 - 1), np.uint64(32)

# The last word of the counters that `split` draws keys with; an operator's have 0 there.
_SPLIT = 1

# One lock for all states, which is held for the time of an addition: a lock of its own for each
# could be held by another thread when a child is forked, and then never be released there.
_lock = fork_safe(threading.Lock())


class RandomStateError(GpuopsError, ValueError):
    """A seed, a count, a counter or the saved form of a state is not what it has to be."""


# -- the generator ---------------------------------------------------------------------------------


def philox4x32(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Philox 4x32 with 10 rounds: the reference, in NumPy.

    Source: Salmon et al. 2011, section 3.3; the constants are those of their library Random123.

    Args:
        counter: uint32, shape (..., 4), the least significant word first.
        key: uint32, shape (..., 2).

    Returns:
        uint32, shape (..., 4): four random words for each pair of a counter and a key. The leading
        dimensions are broadcast.

    Raises:
        ArgumentError: `counter` or `key` is no NumPy array of uint32.
        RandomStateError: their last dimension is not 4 or 2, or the others cannot be broadcast.

    >>> words = philox4x32(np.zeros(4, np.uint32), np.zeros(2, np.uint32))
    >>> [f"{word:08x}" for word in words]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    _check_words("counter", counter, 4)
    _check_words("key", key, 2)
    try:
        shape = np.broadcast_shapes(counter.shape[:-1], key.shape[:-1])
    except ValueError:
        raise RandomStateError(
            f"philox4x32: counter {describe(counter)} and key {describe(key)} cannot be broadcast: "
            "all dimensions but the last must be equal, or 1, or missing"
        ) from None
    c0, c1, c2, c3 = np.moveaxis(counter.astype(np.uint64), -1, 0)
    k0, k1 = np.moveaxis(key.astype(np.uint64), -1, 0)
    for number in range(_ROUNDS):
        if number:
            k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
        left, right = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (right >> _HIGH) ^ c1 ^ k0, right & _LOW
        c2, c3 = (left >> _HIGH) ^ c3 ^ k1, left & _LOW
    out = np.empty((*shape, 4), np.uint32)
    for position, word in enumerate((c0, c1, c2, c3)):
        out[..., position] = word
    return out


def _check_words(name: str, value: Any, count: int) -> None:
    if type(value) is not np.ndarray or value.dtype != np.uint32:
        raise ArgumentError(
            f"philox4x32: {name} must be a numpy.ndarray of uint32 with {count} words in its last "
            f"dimension, got {describe(value)}"
        )
    if value.ndim == 0 or value.shape[-1] != count:
        raise RandomStateError(
            f"philox4x32: {name} must have {count} words in its last dimension, "
            f"got {describe(value)}"
        )


# -- the state of a stream -------------------------------------------------------------------------


@final
class RNGState(OpaqueBase):
    """Where one stream of random numbers stands: a key, and how many blocks have been drawn.

    An operator takes it as an argument (annotated ``RNGState``, in schema strings ``RNGState``)
    and draws from it: the next call with it gives other numbers. Key and offset are arrays on the
    state's device; kernels read them there, and a CUDA graph that was captured with a draw in it
    draws further numbers each time it is launched. Any number of threads may draw from one state:
    no two get the same numbers, but which of them gets which is for the scheduler to decide. For
    numbers that do not depend on it, `split` the state into one for each thread.

    States are equal if they have the same key and offset, on whatever devices, and, as they change
    and have equality, they have no hash.

    Args:
        seed: 0 <= seed < 2**64. Different seeds give independent streams.
        device: where key and offset are: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Raises:
        ArgumentError: the seed is no int.
        RandomStateError: the seed is out of range.
        DeviceError: there is no such device.

    >>> rng = RNGState(7)
    >>> rng.key, rng.offset
    (array([7, 0], dtype=uint32), array([0], dtype=uint64))
    >>> rng == RNGState(7), rng == RNGState(8)
    (True, False)
    """

    __slots__ = ("_key", "_offset")

    def __init__(self, seed: int, *, device: str | Device = "cpu") -> None:
        self._set(_whole("RNGState", "seed", seed), 0, device)

    def _set(self, seed: int, offset: int, device: str | Device) -> None:
        self._key = _put(np.array([seed % 2**32, seed >> 32], np.uint32), device)
        self._offset = _put(np.array([offset], np.uint64), device)

    @property
    def key(self) -> Any:
        """uint32, shape (2,), on the state's device: the low and the high half of the seed."""
        return self._key

    @property
    def offset(self) -> Any:
        """uint64, shape (1,), on the state's device: the number of the next block.

        The array itself, and not a copy: who writes to it moves the state.
        """
        return self._offset

    @property
    def device(self) -> Device:
        """Where key and offset are."""
        return cast(Device, device_of(self._key))

    @property
    def seed(self) -> int:
        """The key as one number; on "cuda" this waits for the device."""
        low, high = _numbers(self._key)
        return low | high << 32

    def reserve(self, blocks: int) -> Any:
        """Take the next blocks of the stream: nobody else will draw from them.

        It is what an operator that draws calls first. On "cuda" it is a launch on the current
        stream, and does not wait: the host never knows the offset.

        Args:
            blocks: how many, 0 <= blocks < 2**64.

        Returns:
            uint64, shape (1,), a new array on the state's device: the number of the first block.

        Raises:
            ArgumentError: `blocks` is no int.
            RandomStateError: it is out of range.
        """
        count = _whole("RNGState.reserve", "blocks", blocks)
        if type(self._offset) is not np.ndarray:
            return _reserve_on_cuda(self._offset, count)
        with _lock:
            first = self._offset.copy()
            self._offset[0] = (int(first[0]) + count) % 2**64
        return first

    def jump(self, blocks: int) -> None:
        """Leave out the next blocks, as if they had been drawn.

        Args:
            blocks: how many, 0 <= blocks < 2**64; ``2**64 - n`` goes back by n.

        Raises:
            ArgumentError: `blocks` is no int.
            RandomStateError: it is out of range.

        >>> rng = RNGState(7)
        >>> rng.jump(2**40)
        >>> rng
        RNGState(seed=7, offset=1099511627776, device='cpu')
        """
        self.reserve(_whole("RNGState.jump", "blocks", blocks))

    def split(self, n: int) -> list[RNGState]:
        """`n` new states, whose streams are independent of this one's and of each other.

        Their keys are drawn from this state, which moves on: another split gives others. Keys have
        64 bits, so that among 2**20 children of one state the probability that two have the same
        key is 3e-8. On "cuda" this waits for the device.

        Args:
            n: how many, 0 <= n < 2**32.

        Raises:
            ArgumentError: `n` is no int.
            RandomStateError: it is out of range.

        >>> first, second = RNGState(7).split(2)
        >>> first == second, first == RNGState(7).split(1)[0]
        (False, True)
        """
        count = _whole("RNGState.split", "n", n, 2**32)
        (first,) = _numbers(self.reserve(count))
        number = np.uint64(first) + np.arange(count, dtype=np.uint64)
        counter = np.zeros((count, 4), np.uint32)
        counter[:, 0], counter[:, 1], counter[:, 3] = number & _LOW, number >> _HIGH, _SPLIT
        words = philox4x32(counter, np.array(_numbers(self._key), np.uint32))
        return [_restore(low | high << 32, 0, self.device) for low, high, *_ in words.tolist()]

    def copy(self) -> RNGState:
        """A state of its own that goes on with the same numbers; on "cuda" it does not wait."""
        state = object.__new__(RNGState)
        with _current(self._key):
            state._key, state._offset = self._key.copy(), self._offset.copy()
        return state

    __copy__ = copy

    def to(self, device: str | Device) -> RNGState:
        """A copy of the state on another device; the state itself if it is there already.

        Raises:
            DeviceError: there is no such device.
        """
        state = object.__new__(RNGState)
        state._key, state._offset = _put(self._key, device), _put(self._offset, device)
        return self if state._key is self._key else state

    def to_json(self) -> str:
        """The state as one line of text; on "cuda" this waits for the device.

        >>> RNGState(7).to_json()
        '{"format": "gpuops.RNGState", "version": 1, "key": [7, 0], "offset": 0}'
        """
        (offset,) = _numbers(self._offset)
        fields = {"format": _FORMAT, "version": _VERSION}
        return json.dumps(fields | {"key": _numbers(self._key), "offset": offset})

    @staticmethod
    def from_json(text: str, *, device: str | Device = "cpu") -> RNGState:
        """The state that `to_json` wrote down.

        Args:
            text: what `to_json` returned.
            device: where to put it, which need not be where it was.

        Raises:
            RandomStateError: `text` is something else, or of a version that this one cannot read.
            DeviceError: there is no such device.

        >>> RNGState.from_json(RNGState(7).to_json()) == RNGState(7)
        True
        """
        (low, high), offset = _parse(text)
        return _restore(low | high << 32, offset, device)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RNGState):
            return NotImplemented
        mine = (_numbers(self._key), _numbers(self._offset))
        return mine == (_numbers(other._key), _numbers(other._offset))

    # Equal states stop being equal when one of them is drawn from.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        (offset,) = _numbers(self._offset)
        return f"RNGState(seed={self.seed}, offset={offset}, device={str(self.device)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        (offset,) = _numbers(self._offset)
        return _restore, (self.seed, offset, str(self.device))


# A fake of a state tells where it is, which a fake kernel may need, and nothing that changes.
register_opaque_type(RNGState, "RNGState", typ="reference", members={"device": "use_real"})


def _restore(seed: int, offset: int, device: str | Device) -> RNGState:
    state = object.__new__(RNGState)
    state._set(seed, offset, device)
    return state


def _whole(function: str, name: str, value: Any, limit: int = 2**64) -> int:
    """`value` as an int from 0 to below `limit`; a bool is none."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(
            f"{function}: {name} must be an int, 0 <= {name} < 2**{limit.bit_length() - 1}, "
            f"got {describe(value)}"
        ) from None
    if not 0 <= number < limit:
        raise RandomStateError(
            f"{function}: {name} must be 0 <= {name} < 2**{limit.bit_length() - 1}, got {number}"
        )
    return number


# -- arrays of a device ----------------------------------------------------------------------------


def _put(array: Any, device: str | Device) -> Any:
    if type(array) is np.ndarray and Device(device).type == "cpu":
        return array
    # Only who has a state on a GPU pays for what it takes to get it there.
    from gpuops.cuda.transfer import asarray

    return asarray(array, device=device)


def _current(array: Any) -> AbstractContextManager[Any]:
    """A context in which an array's device is the current one, where CuPy would allocate."""
    kind = array_kind(type(array))
    assert kind is not None
    return kind.guard(kind.device_of(array))


def _numbers(array: Any) -> list[int]:
    """The numbers in an array of any device."""
    if type(array) is not np.ndarray:
        array = array.get()
    return [int(number) for number in array]


def _reserve_on_cuda(offset: Any, blocks: int) -> Any:
    from gpuops.cuda.counters import reserve

    with _current(offset):
        # One launch, so that a captured graph reserves anew whenever it runs.
        return reserve(offset, blocks)


# -- saved states ----------------------------------------------------------------------------------


def _parse(text: Any) -> tuple[list[int], int]:
    """Key and offset in what `RNGState.to_json` wrote.

    Raises:
        RandomStateError: it is something else.
    """
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        _refuse(f"{describe(text)}, which is no JSON ({error})")
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
        _refuse(f"{describe(text)}, which does not say so in its field 'format'")
    version = fields.get("version")
    if type(version) is not int or version != _VERSION:
        _refuse(f"version {version!r}; this gpuops reads version {_VERSION}")
    key, offset = fields.get("key"), fields.get("offset")
    if not isinstance(key, list) or len(key) != 2 or not all(_below(2**32, k) for k in key):
        _refuse(f"a key that is not two ints below 2**32: {key!r}")
    if not _below(2**64, offset):
        _refuse(f"an offset that is no int below 2**64: {offset!r}")
    return key, cast(int, offset)


def _below(limit: int, value: Any) -> bool:
    return type(value) is int and 0 <= value < limit


def _refuse(problem: str) -> NoReturn:
    raise RandomStateError(
        f"RNGState.from_json: expected a state that RNGState.to_json wrote, got {problem}"
    )
