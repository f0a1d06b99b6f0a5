"""Which streams a graph's arrays are used on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuops.transforms.trace.nodes import Node, Ref, refs

if TYPE_CHECKING:
    from gpuops.transforms.trace.graph import Graph

__all__ = ["OUTER", "enters_streams", "foreign_streams", "stream_of"]

OUTER = "outer_stream"
"""The name, in the code, of the stream that is the current one when a graph is called."""

_ENTER, _EXIT = "streams::enter", "streams::exit"


def enters_streams(graph: Graph) -> bool:
    """Whether a graph makes other streams than its caller's the current one."""
    return any(node.target in (_ENTER, "streams::fork", "streams::join") for node in graph.nodes)


def stream_of(graph: Graph) -> dict[int, str]:
    """For each call, by its `id`: the name of the stream that is the current one then."""
    entered: list[str] = []
    found: dict[int, str] = {}
    for node in graph.nodes:
        first = node.args[0] if node.args else None
        if node.target == _ENTER and isinstance(first, Ref):
            entered.append(first.text)
        elif node.target == _EXIT and entered:
            entered.pop()
        else:
            found[id(node)] = entered[-1] if entered else OUTER
    return found


def foreign_streams(graph: Graph) -> dict[str, list[str]]:
    """For each array that a call returns: the other streams, by name, that it is used on.

    Its memory is that of the stream it was made on, and is free for this stream's next array as
    soon as nothing refers to it, whatever another stream still does with it.
    """
    streams = stream_of(graph)
    made: dict[str, str] = {}
    used: dict[str, list[str]] = {}
    for node in graph.nodes:
        here = streams.get(id(node))
        if here is None:
            continue
        for ref in refs([node.args, node.kwargs]):
            if isinstance(ref.owner, Node):
                used.setdefault(ref.text.partition("[")[0], []).append(here)
        returns = range(len(node.operator.schema.returns))
        names = [f"{node.name}_{index}" for index in returns]
        made |= dict.fromkeys(names if node.operator.schema.returns_tuple else [node.name], here)
    found = {
        name: [s for s in dict.fromkeys(used.get(name, ())) if s != made[name]] for name in made
    }
    return {name: others for name, others in found.items() if others}
