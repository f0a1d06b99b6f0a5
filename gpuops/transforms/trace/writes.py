"""Which inputs a graph writes to, and which events are recorded after that.

A graph does everything where the traced function did it, so that an event which is recorded after a
write comes after the write. In a CUDA graph the inputs are buffers, and what was written to one is
copied back to the caller's array behind the launch: whoever waits for an event within the launch
would read what was there before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gpuops.errors import GraphError
from gpuops.symbols.env import line_text
from gpuops.transforms.trace.nodes import Input, Node, Ref, refs
from gpuops.transforms.trace.objects import CURRENT_STREAM, External, ObjectInput
from gpuops.transforms.trace.regions import OUTER, stream_of

if TYPE_CHECKING:
    from gpuops.transforms.trace.graph import Graph

__all__ = ["check_records", "written_inputs"]

_RECORD = "streams::record"


def written_inputs(graph: Graph) -> list[int]:
    """The arguments, by position, that are arrays which the graph writes to, also through views."""
    found = {id(made) for node, made in _writes(graph)}
    return [
        position
        for position, argument in enumerate(graph.arguments)
        if isinstance(argument, Ref) and id(argument.owner) in found
    ]


def check_records(graph: Graph) -> None:
    """Refuse events that others can wait for and that are recorded after a write to an input.

    Raises:
        GraphError: one is, on the stream of the write; with the lines of both.
    """
    streams = stream_of(graph)
    writes = {id(node): (node, made) for node, made in _writes(graph)}
    last: dict[str, tuple[Node, Input]] = {}
    for node in graph.nodes:
        if id(node) in writes:
            last[streams[id(node)]] = writes[id(node)]
        if node.target == _RECORD:
            event, stream = node.args
            written = last.get(_name(stream))
            if written is not None and isinstance(event.owner, (External, ObjectInput)):
                _fail(graph, node, event, *written)


def _name(stream: Ref) -> str:
    """A stream's name as `stream_of` has it."""
    owner: Any = stream.owner
    is_outer = isinstance(owner, External) and owner.source.text == CURRENT_STREAM
    return OUTER if is_outer else stream.text


def _writes(graph: Graph) -> Iterator[tuple[Node, Input]]:
    """Each call that writes to an input, with the input."""
    inputs: dict[str, set[Any]] = {}

    def of(value: Any) -> set[Any]:
        found: set[Any] = set()
        for ref in refs(value):
            found |= {ref.owner} if isinstance(ref.owner, Input) else inputs.get(ref.text, set())
        return found

    for node in graph.nodes:
        schema = node.operator.schema
        positional = zip(schema.positional, node.args, strict=True)
        given = [*positional, *((p, node.kwargs[p.name]) for p in schema.keyword_only)]
        for parameter, value in given:
            if parameter.is_mutated:
                yield from ((node, made) for made in sorted(of(value), key=lambda made: made.name))
        for index, returned in enumerate(schema.returns):
            if returned.alias is not None:
                sets = set(returned.alias.sets)
                roots = set().union(
                    *(of(v) for p, v in given if p.alias and not sets.isdisjoint(p.alias.sets))
                )
                for ref in _outputs(node, index):
                    inputs[ref.text] = roots


def _outputs(node: Node, index: int) -> Iterator[Ref]:
    made = node.outputs[index] if index < len(node.outputs) else None
    count = len(made) if isinstance(made, list) else None
    yield from (
        [Ref(node, (index,))] if count is None else [Ref(node, (index, i)) for i in range(count)]
    )


def _fail(graph: Graph, node: Node, event: Ref, write: Node, made: Input) -> None:
    def place(where: Node) -> str:
        return f"{where.location}{line_text(where.location)}"

    raise GraphError(
        f"the event {event.text!r} is recorded at {place(node)}, on the stream on which "
        f"{write.target} wrote to the input {made.name!r} at {place(write)}. In a CUDA graph, "
        "inputs are buffers that are copied back when the launch is over: who waits for the event "
        "would read what the input held before. Record the event before the write, or outside of "
        "the graph"
    )
