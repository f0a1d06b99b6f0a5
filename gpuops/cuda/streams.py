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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from gpuops import ops
from gpuops.cuda import ordering, simulated
from gpuops.cuda.available import load_cupy, why_unavailable
from gpuops.cuda.ordering import OrderError, Timeline
from gpuops.devices import device_of, simulated_kind
from gpuops.effects import CONSTRUCTS
from gpuops.errors import GpuopsError
from gpuops.library import Library
from gpuops.opaque import MemberType, OpaqueBase, register_opaque_type
from gpuops.opaque_fakes import real_of
from gpuops.registry import registry

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


# -- the current stream ----------------------------------------------------------------------------

_entered: ContextVar[tuple[Stream, ...]] = ContextVar("gpuops_streams", default=())
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
    entered = entered_stream()
    if entered is not None and entered._native is None:
        return entered
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
    if simulated_kind.get() is None and "cupy" in sys.modules and why_unavailable() is None:
        return stream_in_use(native=True)
    return stream_in_use(native=False)


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
    entered = _entered.get()
    return entered[-1] if entered else None


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
        while len(_entered.get()) > before:
            _exit(_entered.get()[-1])


# -- what the operators do -------------------------------------------------------------------------


def _enter(stream: Stream) -> None:
    if stream._native is not None:
        stream._native.__enter__()
    _entered.set((*_entered.get(), stream))


def _exit(stream: Stream) -> None:
    _pop(stream)
    if stream._native is not None:
        stream._native.__exit__(None, None, None)


def _pop(stream: Stream) -> None:
    entered = _entered.get()
    if not entered or entered[-1] is not stream:
        raise StreamError(
            "streams must be left in the reverse order of entering them: this one is not the "
            "innermost"
        )
    _entered.set(entered[:-1])


def _record(event: Event, stream: Stream) -> None:
    if event._native is not None:
        event._native.record(stream._native)
    else:
        event._clock = _timeline(stream).step()


def _wait(event: Event, stream: Stream) -> None:
    if event._native is not None:
        stream._native.wait_event(event._native)
    elif event._clock is None:
        raise StreamError("an event is waited for that was never recorded: nothing would be waited")
    else:
        _timeline(stream).wait(event._clock)


def _wait_stream(stream: Stream, other: Stream) -> None:
    if stream._native is not None:
        stream._native.wait_event(other._native.record())
    else:
        _timeline(stream).wait(_timeline(other).step())


def _synchronize(stream: Stream) -> None:
    if stream._native is not None:
        stream._native.synchronize()
    else:
        ordering.synchronize(_timeline(stream).step())
    _sweep()


def _synchronize_event(event: Event) -> None:
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
    entered = _entered.get()
    stream = entered[-1] if entered else default_stream(True)
    ordering.note_accesses(_timeline(stream), f"kernel {kernel}", reads, writes)


# -- arrays that another stream still uses ---------------------------------------------------------

_kept_lock = threading.Lock()
# For each stream in the order of its work, so that the first that is not done ends the search.
_kept: dict[Stream, deque[tuple[list[Any], Event]]] = {}


def record_stream(array: Any, stream: Stream) -> None:
    """Keep an array alive until a stream has done what it has in its queue now.

    An array's memory is free for others as soon as nobody refers to it, also where the GPU still
    uses it on another stream than the one that it was made on. Graphs call this by themselves where
    they drop such an array, and so do gradients. Arrays of the host are left alone.
    """
    keep_until_done([array], stream)


def keep_until_done(value: Any, stream: Stream) -> None:
    """As `record_stream`, for whatever a call returned, also a list of arrays."""
    arrays = [array for array in (value if isinstance(value, list) else [value]) if _on_gpu(array)]
    if arrays:
        event = Event.like(stream)
        _record(event, stream)
        with _kept_lock:
            _kept.setdefault(stream, deque()).append((arrays, event))
        _sweep()


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


# -- operators -------------------------------------------------------------------------------------


def _enter_fake(stream: Any) -> None:
    # Which stream is the current one is no secret of the GPU's.
    _entered.set((*_entered.get(), real_of(stream)))


def _exit_fake(stream: Any) -> None:
    _pop(real_of(stream))


_INLINED = MemberType.INLINED
register_opaque_type(
    Stream,
    "Stream",
    typ="reference",
    members=dict.fromkeys(
        ["__enter__", "__exit__", "record", "wait", "wait_stream", "synchronize"], _INLINED
    ),
)
register_opaque_type(Event, "Event", typ="reference", members={"synchronize": _INLINED})

_library = Library("streams", "DEF")
for _schema, _kernel, _fake in (
    ("enter(Stream stream) -> ()", _enter, _enter_fake),
    ("exit(Stream stream) -> ()", _exit, _exit_fake),
):
    _operator, _ = _library.define_operator(_schema)
    _library.impl(_operator, _kernel)
    _library.register_fake(_operator, _fake)
# A traced function may make streams and events: its graph then makes new ones at each replay.
for _cls in (Stream, Event):
    _name = f"made_{_cls.__name__.lower()}"
    _operator, _ = _library.define_operator(f"{_name}({_cls.__name__} made) -> ()")
    _library.impl(_operator, lambda made: None)
    _library.register_fake(_operator, lambda made: None)
    registry.add_rule(_operator, CONSTRUCTS, _cls)
_waiting: tuple[tuple[str, Callable[..., None]], ...] = (
    ("record(Event event, Stream stream) -> ()", _record),
    ("wait(Event event, Stream stream) -> ()", _wait),
    ("wait_stream(Stream stream, Stream other) -> ()", _wait_stream),
    ("synchronize(Stream stream) -> ()", _synchronize),
    ("synchronize_event(Event event) -> ()", _synchronize_event),
)
for _schema, _kernel in _waiting:
    _operator, _ = _library.define_operator(_schema)
    _library.impl(_operator, _kernel)
    # Nothing is there to compute, or to wait for.
    _library.register_fake(_operator, lambda *args: None)
