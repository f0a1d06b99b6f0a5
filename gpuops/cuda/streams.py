"""Streams and events, whose use is an operator call: traced, ordered, and replayed.

On a GPU they are CuPy's. In `gpuops.cuda.simulator` they are simulated: a launch is over when it
returns, whatever its stream, but using an array that another stream wrote, with no event between,
is an `OrderError` (see `gpuops.cuda.ordering`). Only launches of `gpuops.cuda.Kernel` count as
uses: what NumPy does with a simulated array is not seen.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn

from gpuops import ops
from gpuops.cuda import ordering, simulated
from gpuops.cuda.available import load_cupy, why_unavailable
from gpuops.cuda.ordering import OrderError, Timeline
from gpuops.devices import device_of, simulated_kind
from gpuops.errors import GpuopsError
from gpuops.opaque import OpaqueBase

__all__ = [
    "Event",
    "OrderError",
    "Stream",
    "StreamError",
    "current_stream",
    "kept_arrays",
    "record_stream",
    "restoring_streams",
]


class StreamError(GpuopsError, RuntimeError):
    """Streams are left in another order than they were entered in, or an event is unusable."""


class Stream(OpaqueBase):
    """A queue of a GPU's work: what is launched in ``with stream:`` goes there.

    It does not wait for the default stream, nor that one for it.

    Raises:
        DeviceError: there is no GPU, and this is not inside `gpuops.cuda.simulator`.

    >>> import gpuops
    >>> with gpuops.cuda.simulator():
    ...     stream = Stream()
    ...     with stream:
    ...         current_stream() is stream
    True
    """

    def __init__(self) -> None:
        self._native: Any = None
        self._timeline: Timeline | None = None
        if simulated_kind.get() is not None:
            self._timeline = Timeline()
            simulated.state.on_launch = _note_launch
        else:
            cupy = load_cupy("make a stream")
            self._native = cupy.cuda.Stream(non_blocking=True)
        ops.streams.made_stream(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _fail_copied(self)

    def __enter__(self) -> Stream:
        ops.streams.enter(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        ops.streams.exit(self)

    def record(self, event: Event) -> None:
        """Let `event` happen when all work that is in the queue now is done."""
        ops.streams.record(event, self)

    def wait(self, event: Event) -> None:
        """Let work that is queued from now on begin after `event`."""
        ops.streams.wait(event, self)

    def wait_stream(self, other: Stream) -> None:
        """Let work that is queued from now on begin after all that `other` has in its queue now."""
        ops.streams.wait_stream(self, other)

    def synchronize(self) -> None:
        """Wait on the host until the queue is empty."""
        ops.streams.synchronize(self)


class Event(OpaqueBase):
    """A point in a stream's work that other streams, and the host, can wait for.

    Raises:
        DeviceError: there is no GPU, and this is not inside `gpuops.cuda.simulator`.
    """

    def __init__(self) -> None:
        self._native: Any = None
        self._clock: ordering.Clock | None = None
        if simulated_kind.get() is None:
            self._native = load_cupy("make an event").cuda.Event(disable_timing=True)
        ops.streams.made_event(self)

    @staticmethod
    def like(stream: Stream) -> Event:
        """An event for one stream: of its GPU, or simulated as it is, wherever this is called.

        It is nobody's but the caller's: no tracing is told of it.
        """
        made = Event.__new__(Event)
        made._native = made._clock = None
        if stream._native is not None:
            cupy = load_cupy("make an event")
            # Of the null stream it is -1: that of the current device is meant.
            index = stream._native.device_id
            with cupy.cuda.Device(index if index >= 0 else None):
                made._native = cupy.cuda.Event(disable_timing=True)
        return made

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _fail_copied(self)

    @property
    def done(self) -> bool:
        """Whether it has happened; an event that was never recorded has.

        The simulator only knows what the host waited for.
        """
        if self._native is not None:
            return bool(self._native.done)
        return self._clock is None or ordering.happened(self._clock)

    def synchronize(self) -> None:
        """Wait for it on the host."""
        ops.streams.synchronize_event(self)


def _fail_copied(value: Stream | Event) -> NoReturn:
    raise TypeError(
        f"a {type(value).__name__} is a part of a device, and cannot be copied or pickled"
    )


# -- the current stream ----------------------------------------------------------------------------


class _Region(NamedTuple):
    """A stream that was entered.

    Attributes:
        stream: the stream.
        is_fake: whether only fakes were told so: the GPU goes on with the stream that it was on.
    """

    stream: Stream
    is_fake: bool


_entered: ContextVar[tuple[_Region, ...]] = ContextVar("gpuops_streams", default=())
_default_lock = threading.Lock()
_defaults: dict[bool, Stream] = {}
# By device and address, as CuPy may make more than one object of a stream. Nobody else gets the
# address while the `Stream` lives, which keeps CuPy's alive.
_foreign: weakref.WeakValueDictionary[tuple[int, int], Stream] = weakref.WeakValueDictionary()


def current_stream() -> Stream:
    """The stream that launches go to: that of the innermost ``with`` block, or the default stream.

    On a GPU, CuPy's own streams count too where a program has entered one.

    Raises:
        DeviceError: there is no GPU, and this is not inside `gpuops.cuda.simulator`.
    """
    regions = _entered.get()
    if regions and (regions[-1].is_fake or regions[-1].stream._native is None):
        return regions[-1].stream
    simulated = simulated_kind.get() is not None
    return stream_in_use(native=not simulated) or default_stream(simulated)


def stream_in_use(*, native: bool) -> Stream | None:
    """As `current_stream`, but None for the default stream.

    Args:
        native: whether the arrays are CuPy's, so that CuPy has the say. A simulated or fake array
            goes to the stream that was entered last.
    """
    entered = entered_stream()
    if native:
        now = load_cupy("find the current stream").cuda.get_current_stream()
        if entered is None or entered._native is None or entered._native.ptr != now.ptr:
            return _foreign_stream(now) if now.ptr else None
    return None if entered is None or is_default(entered) else entered


def outer_stream() -> Stream | None:
    """As `stream_in_use`, for who does not know what arrays there will be, or whether any."""
    regions = _entered.get()
    on_gpu = simulated_kind.get() is None and "cupy" in sys.modules and why_unavailable() is None
    return stream_in_use(native=on_gpu and not (regions and regions[-1].is_fake))


def _foreign_stream(native: Any) -> Stream:
    """The `Stream` for one of CuPy's that was entered without us."""
    key = (int(native.device_id), int(native.ptr))
    found = _foreign.get(key)
    if found is None:
        # Without the constructor, which would make a stream, and tell a tracing so.
        found = Stream.__new__(Stream)
        found._native, found._timeline = native, None
        found = _foreign.setdefault(key, found)
    return found


def entered_stream() -> Stream | None:
    """The stream of the innermost ``with`` block; None without one."""
    regions = _entered.get()
    return regions[-1].stream if regions else None


def is_default(stream: Stream) -> bool:
    """Whether it is the default stream, of the GPU or of the simulator."""
    return stream in _defaults.values()


def default_stream(is_simulated: bool) -> Stream:
    """The default stream of the simulator, or of the GPU."""
    with _default_lock:
        found = _defaults.get(is_simulated)
        if found is None:
            # Not one that a function makes: the constructor would tell a tracing so.
            found = Stream.__new__(Stream)
            found._native = found._timeline = None
            if is_simulated:
                found._timeline = Timeline()
                simulated.state.on_launch = _note_launch
            else:
                found._native = load_cupy("use the default stream").cuda.Stream.null
            _defaults[is_simulated] = found
    return found


@contextmanager
def restoring_streams() -> Iterator[None]:
    """Leave the streams that the block entered and, because of an exception, did not leave."""
    before = len(_entered.get())
    try:
        yield
    finally:
        leave_streams(before)


def entered_streams() -> int:
    """How many streams have been entered and not left."""
    return len(_entered.get())


def leave_streams(number: int) -> None:
    """Leave the streams that were entered last, until so many are left."""
    while len(regions := _entered.get()) > number:
        (pop if regions[-1].is_fake else do_exit)(regions[-1].stream)


# -- what the operators do; see `gpuops.cuda.stream_operators` -------------------------------------


def do_enter(stream: Stream) -> None:
    """Make a stream the current one."""
    if stream._native is not None:
        stream._native.__enter__()
    push(stream, is_fake=False)


def do_exit(stream: Stream) -> None:
    """Leave the innermost stream."""
    pop(stream)
    if stream._native is not None:
        stream._native.__exit__(None, None, None)


def push(stream: Stream, *, is_fake: bool) -> None:
    """Note that a stream was entered, by the GPU or by fakes only."""
    _entered.set((*_entered.get(), _Region(stream, is_fake)))


def pop(stream: Stream) -> None:
    """Note that the innermost stream was left.

    Raises:
        StreamError: it is another one.
    """
    entered = _entered.get()
    if not entered or entered[-1].stream is not stream:
        raise StreamError(
            "streams must be left in the reverse order of entering them: this one is not the "
            "innermost"
        )
    _entered.set(entered[:-1])


def do_record(event: Event, stream: Stream) -> None:
    """Record an event on a stream."""
    if event._native is not None:
        event._native.record(stream._native)
    else:
        event._clock = _timeline(stream).step()


def do_wait(event: Event, stream: Stream) -> None:
    """Let a stream wait for an event."""
    if event._native is not None:
        stream._native.wait_event(event._native)
    elif event._clock is None:
        raise StreamError("an event is waited for that was never recorded: nothing would be waited")
    else:
        _timeline(stream).wait(event._clock)


def do_wait_stream(stream: Stream, other: Stream) -> None:
    """Let a stream wait for all that another has in its queue."""
    if stream._native is not None:
        stream._native.wait_event(other._native.record())
    else:
        _timeline(stream).wait(_timeline(other).step())


def do_synchronize(stream: Stream) -> None:
    """Wait on the host for a stream."""
    if stream._native is not None:
        stream._native.synchronize()
    else:
        ordering.synchronize(_timeline(stream).step())
    _sweep()


def do_synchronize_event(event: Event) -> None:
    """Wait on the host for an event."""
    if event._native is not None:
        event._native.synchronize()
    elif event._clock is not None:
        ordering.synchronize(event._clock)
    _sweep()


def _timeline(stream: Stream) -> Timeline:
    if stream._timeline is None:
        raise StreamError("a stream of a GPU is used with an event of the simulator")
    return stream._timeline


def _note_launch(kernel: str, reads: list[Any], writes: list[Any]) -> None:
    """A simulated launch, on the current stream."""
    # Also in a thread that is outside of the simulator: it is the arrays that are simulated.
    stream = entered_stream() or default_stream(True)
    ordering.note_accesses(_timeline(stream), f"kernel {kernel}", reads, writes)


# -- arrays that another stream still uses ---------------------------------------------------------

_kept_lock = threading.Lock()
# What a capture into a CUDA graph keeps: nothing runs meanwhile, and events must not be asked.
_captured: ContextVar[list[Any] | None] = ContextVar("gpuops_captured", default=None)
# For each stream in the order of its work, so that the first that is not done ends the search.
_kept: dict[Stream, deque[tuple[list[Any], Event]]] = {}


def record_stream(array: Any, stream: Stream) -> None:
    """Keep an array alive until a stream has done what it has in its queue now.

    An array's memory is free for others as soon as nobody refers to it, also where the GPU still
    uses it on another stream than the one that it was made on. Graphs call this by themselves where
    they drop such an array, and so do gradients. Arrays of the host are left alone.

    Args:
        array: an array.
        stream: the stream.

    Raises:
        ArgumentError: `array` is none, or `stream` is none.
    """
    ops.streams.keep(array, stream)


def keep_until_done(value: Any, stream: Stream) -> None:
    """As `record_stream`, for whatever a call returned, also a list of arrays."""
    arrays = [array for array in (value if isinstance(value, list) else [value]) if _on_gpu(array)]
    captured = _captured.get()
    if captured is not None:
        captured += arrays
    elif arrays:
        event = Event.like(stream)
        do_record(event, stream)
        with _kept_lock:
            _kept.setdefault(stream, deque()).append((arrays, event))
        _sweep()


@contextmanager
def capturing() -> Iterator[None]:
    """Keep arrays until the block is over, and not until streams are done.

    In it the streams' work is captured and not done. Memory that one captured stream gave back
    could be another's before the first one has used it, whenever the CUDA graph runs.
    """
    token = _captured.set([])
    try:
        yield
    finally:
        _captured.reset(token)


def _on_gpu(array: Any) -> bool:
    device = device_of(array)
    return device is not None and device.type != "cpu"


def _sweep() -> None:
    """Let go of the arrays whose streams are done with them."""
    done = []
    with _kept_lock:
        for stream, waiting in list(_kept.items()):
            while waiting and waiting[0][1].done:
                done.append(waiting.popleft())
            if not waiting:
                del _kept[stream]
    # Not within the lock: what goes with an array may want it.
    done.clear()


def kept_arrays() -> int:
    """How many arrays are kept alive because a stream still uses them.

    Looked at anew: those whose stream is done by now are let go first.
    """
    _sweep()
    with _kept_lock:
        return sum(len(arrays) for waiting in _kept.values() for arrays, _ in waiting)


# What is done with streams and events is an operator call: the operators come with the classes.
from gpuops.cuda import stream_operators as _stream_operators  # noqa: E402, F401
