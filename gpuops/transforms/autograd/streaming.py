"""The reverse pass of calls that were made on several streams of a GPU.

Each call's gradient is computed on the stream that the call was on. Where a gradient goes from one
stream to another, an event is recorded on the first and waited for on the second. The results are
for the stream that is the current one when the reverse pass begins.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from gpuops import ops
from gpuops.devices import array_kind
from gpuops.memory import owner
from gpuops.transforms.array_methods import xp
from gpuops.transforms.autograd.engine import fit, run_backward
from gpuops.transforms.autograd.nodes import Leaf, Node
from gpuops.transforms.levels import nested_types

if TYPE_CHECKING:
    from gpuops.cuda.streams import Event, Stream

__all__ = ["note_stream", "run_on_streams"]

_STREAMS = "gpuops.cuda.streams"


def note_stream(seen: set[Any], node: Node, array: Any) -> None:
    """Note with a call's node which stream the call was made on, if its output is on a GPU.

    Args:
        seen: the streams of all calls so far, None for the default one; this one is added.
        node: the call's.
        array: one of its outputs, a real array or a wrapper.
    """
    kind = array_kind(type(array))
    if (array.device.type if kind is None else kind.device_type) == "cpu":
        return
    native = kind is not None and kind.cls.__module__.partition(".")[0] == "cupy"
    streams = sys.modules.get(_STREAMS)
    if streams is None and native:
        # A program may use CuPy's streams without ever having heard of ours.
        streams = importlib.import_module(_STREAMS)
    node.stream = None if streams is None else streams.stream_in_use(native=native)
    seen.add(node.stream)


def run_on_streams(
    roots: Iterable[tuple[Node, int, Any]], *, retain: bool, streams: set[Any]
) -> dict[Node, Any]:
    """As `run_backward`, each call's gradient on the stream that the call was on.

    Args:
        roots: see `run_backward`; the gradients are of the current stream.
        retain: see `run_backward`.
        streams: what `note_stream` saw.
    """
    module = sys.modules.get(_STREAMS)
    caller = None if module is None else module.outer_stream()
    if module is None or streams <= {caller}:
        return run_backward(roots, retain=retain)
    some = next(stream for stream in (caller, *streams) if stream is not None)
    default = module.default_stream(some._timeline is not None)
    return _Pass(module, caller or default, default, retain).run(roots)


@dataclass(slots=True)
class _Row:
    """The gradients of a call's outputs, as far as they are known.

    Attributes:
        gradients: one per output.
        waits: what the call's stream has to wait for before it uses them.
        borrowed: those whose memory is another stream's.
    """

    gradients: list[Any]
    waits: list[Event] = field(default_factory=list)
    borrowed: list[Any] = field(default_factory=list)


class _Pass:
    """One reverse pass.

    Args:
        module: `gpuops.cuda.streams`, which only programs on a GPU load.
        outer: the stream that the pass begins on, and that the results are for.
        default: the default stream.
        retain: keep what the calls saved.
    """

    def __init__(self, module: Any, outer: Stream, default: Stream, retain: bool) -> None:
        self._module = module
        self._outer = self._here = outer
        self._default = default
        self._retain = retain
        self._rows: dict[Node, _Row] = {}
        # As in `run_backward`: the highest number is always due.
        self._heap: list[tuple[int, Node]] = []
        self._waited: set[tuple[Event, Stream]] = set()

    def run(self, roots: Iterable[tuple[Node, int, Any]]) -> dict[Node, Any]:
        """The gradient for each `Leaf` that a result depends on."""
        try:
            self._hand_on([(*root, False) for root in roots], self._outer)
            while self._heap:
                self._pull(heappop(self._heap)[1])
            self._go(self._outer)
            # Only leaves are left.
            for row in self._rows.values():
                self._await(row, self._outer)
        finally:
            self._go(self._outer)
        return {node: row.gradients[0] for node, row in self._rows.items()}

    def _pull(self, node: Node) -> None:
        """Compute the gradients of a call's inputs, on its stream."""
        row, stream = self._rows.pop(node), self._stream_of(node)
        self._go(stream)
        self._await(row, stream)
        assert node.operator is not None
        found = []
        for (slot, parent, index), gradient in zip(
            node.edges, node.pull(row.gradients), strict=True
        ):
            if gradient is not None:
                meta = parent.metas[index]
                assert meta is not None
                found.append((parent, index, fit(gradient, meta, node.operator, slot)))
        used = list(_real_arrays(row.borrowed))
        if not self._retain:
            # Whoever keeps an array lets go of it only when its stream is done, and so do we.
            used += _real_arrays(node.kept())
            node.free()
            node.edges = []
        self._module.keep_until_done(used, stream)
        # What is a view of an array of another stream is of that stream, too.
        memories = {id(owner(array)) for array in used}
        gradients = [
            (
                parent,
                index,
                gradient,
                any(id(owner(a)) in memories for a in _real_arrays([gradient])),
            )
            for parent, index, gradient in found
        ]
        self._hand_on(gradients, stream)

    def _hand_on(self, found: list[tuple[Node, int, Any, bool]], made: Stream) -> None:
        """Give gradients that were made on a stream to the calls that they are for."""
        event = None
        if any(self._stream_of(node) is not made for node, *_ in found):
            event = self._module.Event.like(made)
            ops.streams.made_event(event)
            ops.streams.record(event, made)
        for node, index, gradient, is_borrowed in found:
            row = self._rows.get(node)
            if row is None:
                row = self._rows[node] = _Row([None] * len(node.metas))
                if type(node) is not Leaf:
                    heappush(self._heap, (-node.serial, node))
            if event is not None and self._stream_of(node) is not made:
                row.waits.append(event)
                is_borrowed = True
            self._add(node, row, index, gradient, is_borrowed)

    def _add(self, node: Node, row: _Row, index: int, gradient: Any, is_borrowed: bool) -> None:
        """Add to the gradient of one of a call's outputs."""
        present = row.gradients[index]
        if present is None:
            row.gradients[index] = gradient
            row.borrowed += [gradient] * is_borrowed
            return
        stream = self._stream_of(node)
        self._go(stream)
        self._await(row, stream)
        row.gradients[index] = xp.add(present, gradient)
        done = [array for array in row.borrowed if array is present] + [gradient] * is_borrowed
        row.borrowed = [array for array in row.borrowed if array is not present]
        self._module.keep_until_done(list(_real_arrays(done)), stream)

    # -- streams -----------------------------------------------------------------------------------

    def _stream_of(self, node: Node) -> Stream:
        """The stream for a call's gradient; that of the pass for what is not on a GPU."""
        if type(node) is Leaf:
            return self._outer
        found: Stream | None = getattr(node, "stream", self._outer)
        return self._default if found is None else found

    def _go(self, stream: Stream) -> None:
        """Make a stream the current one."""
        if stream is self._here:
            return
        if self._here is not self._outer:
            ops.streams.exit(self._here)
            self._here = self._outer
        if stream is not self._outer:
            ops.streams.enter(stream)
            self._here = stream

    def _await(self, row: _Row, stream: Stream) -> None:
        """Let a stream wait for what it is given."""
        for event in row.waits:
            if (event, stream) not in self._waited:
                self._waited.add((event, stream))
                ops.streams.wait(event, stream)
        row.waits.clear()


def _real_arrays(values: Iterable[Any]) -> Iterator[Any]:
    """The real arrays that values are, or stand for; also in lists and tuples."""
    for value in values:
        for found in value if isinstance(value, (list, tuple)) else (value,):
            item = found
            while type(item) in nested_types:
                item = item.value
            if array_kind(type(item)) is not None:
                yield item
