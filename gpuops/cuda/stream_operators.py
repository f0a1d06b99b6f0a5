"""The operators of streams and events: on the objects, and on their indices in the table.

Those on objects are what the classes' methods call and what graphs have in them. Those on indices
of `gpuops.external_objects` have the names that torch's have, for code that was generated with
numbers in the place of objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuops.cuda import streams
from gpuops.cuda.streams import Event, Stream
from gpuops.effects import BY_INDEX, CONSTRUCTS
from gpuops.errors import ExternalObjectError, describe
from gpuops.external_objects import get_external_object_by_index, source_of
from gpuops.library import Library
from gpuops.opaque import MemberType, register_opaque_type
from gpuops.opaque_fakes import real_of
from gpuops.registry import registry

__all__: list[str] = []

_METHODS = ("__enter__", "__exit__", "record", "wait", "wait_stream", "synchronize")
register_opaque_type(
    Stream, "Stream", typ="reference", members=dict.fromkeys(_METHODS, MemberType.INLINED)
)
register_opaque_type(Event, "Event", typ="reference", members={"synchronize": MemberType.INLINED})

_library = Library("streams", "DEF")


def _nothing(*args: Any) -> None:
    """A fake: nothing is there to compute, or to wait for."""


def _define(schema: str, kernel: Callable[..., None], fake: Callable[..., None] = _nothing) -> Any:
    operator, _ = _library.define_operator(schema)
    _library.impl(operator, kernel)
    _library.register_fake(operator, fake)
    return operator


# -- on objects ------------------------------------------------------------------------------------

_define(
    "enter(Stream stream) -> ()",
    streams.do_enter,
    # Which stream is the current one is no secret of the GPU's.
    lambda stream: streams.push(real_of(stream), is_fake=True),
)
_define("exit(Stream stream) -> ()", streams.do_exit, lambda stream: streams.pop(real_of(stream)))
_define("record(Event event, Stream stream) -> ()", streams.do_record)
_define("wait(Event event, Stream stream) -> ()", streams.do_wait)
_define("wait_stream(Stream stream, Stream other) -> ()", streams.do_wait_stream)
_define("synchronize(Stream stream) -> ()", streams.do_synchronize)
_define("synchronize_event(Event event) -> ()", streams.do_synchronize_event)
_keep = _define("keep(Array x, Stream stream) -> ()", streams.keep_until_done)
# A traced function may make streams and events: its graph then makes new ones at each replay.
for _cls in (Stream, Event):
    _made = _define(f"made_{_cls.__name__.lower()}({_cls.__name__} made) -> ()", _nothing)
    registry.add_rule(_made, CONSTRUCTS, _cls)


# -- on indices ------------------------------------------------------------------------------------


def _stream(index: int) -> Stream:
    found: Stream = _find(index, Stream)
    return found


def _event(index: int) -> Event:
    found: Event = _find(index, Event)
    return found


def _find(index: int, cls: Any) -> Any:
    """The stream or event with an index.

    Raises:
        ExternalObjectError: there is none; the message says what there is.
    """
    found = get_external_object_by_index(index)
    if not isinstance(found, cls):
        source = source_of(index)
        what = f"external object {index}" + (f", {source}," if source else "")
        raise ExternalObjectError(f"{what} must be a {cls.__name__}, got {describe(found)}")
    return found


def _join(from_index: int, to_index: int) -> None:
    """Leave one stream for another; the way back from ``fork`` if these are the same two."""
    left, back = _stream(from_index), _stream(to_index)
    if streams.entered_stream() is left:
        streams.do_exit(left)
    here = streams.stream_in_use(native=back._native is not None)
    if (here or streams.default_stream(back._timeline is not None)) is not back:
        streams.do_enter(back)


def _sync_dealloc(event: int, stream: int, array: Any) -> None:
    """Let a stream wait until another is done with an array, whose memory is free after it."""
    streams.do_wait(_event(event), _stream(stream))


_on_indices = [
    _define(
        "fork(int from_index, int to_index) -> ()",
        lambda from_index, to_index: streams.do_enter(_stream(to_index)),
    ),
    _define("join(int from_index, int to_index) -> ()", _join),
    _define(
        "record_event(int event_index, int stream_index) -> ()",
        lambda event, stream: streams.do_record(_event(event), _stream(stream)),
    ),
    _define(
        "wait_event(int event_index, int stream_index) -> ()",
        lambda event, stream: streams.do_wait(_event(event), _stream(stream)),
    ),
    _define(
        "synchronize_stream(int stream_index) -> ()",
        lambda stream: streams.do_synchronize(_stream(stream)),
    ),
    _define(
        "record_stream(Array x, int stream_index) -> ()",
        lambda x, stream: streams.keep_until_done(x, _stream(stream)),
    ),
    _define("sync_dealloc(int event_index, int stream_index, Array x) -> ()", _sync_dealloc),
]
for _operator in _on_indices:
    registry.add_rule(_operator, BY_INDEX, True)


# -- batches ---------------------------------------------------------------------------------------


def _whole_batch(operator: Any) -> Callable[..., Any]:
    """A rule that calls an operator once, with the arrays of the whole batch."""

    def rule(info: Any, in_dims: Any, *args: Any) -> Any:
        operator.call(*args)
        return None, None

    return rule


for _operator in (_keep, *_on_indices):
    if _operator.schema.array_parameters:
        _library.register_vmap(_operator, _whole_batch(_operator))
