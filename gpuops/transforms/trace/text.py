"""Graphs as text: JSON in which nothing is code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpuops.devices import Device
from gpuops.errors import GpuopsError, GraphError, Location, describe
from gpuops.registry import registry
from gpuops.symbols import Condition, ShapeEnv, Symbol, is_symbolic
from gpuops.symbols._sympy import sympy
from gpuops.symbols.algebra import parse
from gpuops.symbols.algebra import text as expr_text
from gpuops.transforms.trace.nodes import ArrayMeta, Constant, Input, Node, Ref, SizeSource
from gpuops.transforms.trace.objects import Expected, Member, ObjectInput
from gpuops.transforms.trace.reads import PLACED, Read
from gpuops.transforms.trace.values import from_fields, is_value, to_fields

if TYPE_CHECKING:
    from gpuops.transforms.trace.graph import Graph

__all__ = ["dump", "load"]

FORMAT = "gpuops graph"
VERSION = 1


# -- writing ---------------------------------------------------------------------------------------


def dump(graph: Graph) -> str:
    """A graph as text; see `Graph.to_text`."""
    for external in graph.externals:
        raise GraphError(
            f"the graph looks up {external.source.text}, a {external.meta}, when it runs, and so "
            "cannot be saved as text; make it an argument of the traced function"
        )
    for made in graph.created:
        raise GraphError(f"the graph makes {made.name}, a {made.meta}, and so has no text")
    symbols = [_symbol(graph.env.symbols[s]) for s in _used_symbols(graph)]
    data = {
        "format": FORMAT,
        "version": VERSION,
        "tracing_mode": graph.tracing_mode,
        "parameters": graph.parameters,
        "symbols": symbols,
        "inputs": [
            {"name": i.name, "meta": encode(i.meta), "path": encode(list(i.path))}
            for i in graph.inputs
        ],
        "objects": [_object_input(given) for given in graph.object_inputs],
        "constants": [{"name": c.name, "value": _array(c.value, c.name)} for c in graph.constants],
        "nodes": [_node(node) for node in graph.nodes],
        "arguments": encode(graph.arguments),
        "outputs": encode(graph.outputs),
        "sources": [_source(graph, s, source) for s, source in graph.sources.items()],
        "conditions": [_condition(condition) for condition in graph.conditions],
        "reads": [_read(read) for read in graph.reads],
    }
    return json.dumps(data, indent=1) + "\n"


def _object_input(given: ObjectInput) -> dict[str, Any]:
    expected = given.expected
    return {
        "name": given.name,
        "path": encode(list(given.path)),
        "type": expected.type,
        "guards": encode(list(expected.guards)),
        "reads": encode(expected.reads),
    }


def _read(read: Read) -> dict[str, Any]:
    return {
        "object": read.owner.name,
        "path": read.path,
        "value": encode(read.value),
        "args": None if read.args is None else encode(list(read.args)),
        "kwargs": encode(read.kwargs),
        "after": None if read.after is None else read.after.name,
    }


def _used_symbols(graph: Graph) -> list[Any]:
    found = set(graph.sources)
    for condition in graph.conditions:
        found |= condition.symbols
    for meta in [i.meta for i in graph.inputs] + [o for n in graph.nodes for o in n.outputs]:
        found |= _symbols_in(meta)
    return [symbol for symbol in graph.env.symbols if symbol in found]


def _symbols_in(value: Any) -> set[Any]:
    if isinstance(value, ArrayMeta):
        return _symbols_in([*value.shape, *value.strides])
    if isinstance(value, list):
        return set().union(*map(_symbols_in, value))
    return set(value.expr.free_symbols) if is_symbolic(value) else set()


def _symbol(symbol: Symbol) -> dict[str, Any]:
    bounds = (symbol.low, symbol.high, symbol.declared_low, symbol.declared_high)
    low, high, declared_low, declared_high = (None if math.isinf(b) else int(b) for b in bounds)
    return {
        "name": symbol.name,
        "origin": symbol.origin,
        "low": low,
        "high": high,
        "declared_low": declared_low,
        "declared_high": declared_high,
        "hint": symbol.hint,
        "location": _location(symbol.location),
    }


def _location(location: Location) -> list[Any]:
    return [location.file, location.line, location.module, location.function]


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "operator": node.operator.qualname,
        "schema": str(node.operator.schema),
        "args": encode(list(node.args)),
        "kwargs": encode(node.kwargs),
        "outputs": encode(list(node.outputs)),
        "location": _location(node.location),
    }


def _source(graph: Graph, symbol: Any, source: SizeSource) -> dict[str, Any]:
    return {
        "symbol": graph.env.symbols[symbol].name,
        "ref": encode(source.ref),
        "axis": source.axis,
        "factor": source.factor,
        "offset": source.offset,
    }


def _condition(condition: Condition) -> dict[str, Any]:
    kind, left, right = condition.comparison
    return {
        "kind": kind,
        "left": expr_text(left),
        "right": expr_text(right),
        "location": _location(condition.location),
        "message": condition.message,
    }


def _array(array: Any, name: str) -> dict[str, Any]:
    if type(array) is not np.ndarray or array.dtype.hasobject:
        raise GraphError(
            f"the constant {name!r} cannot be saved as text: {describe(array)}; make it an "
            "argument of the traced function"
        )
    data = np.ascontiguousarray(array).tobytes().hex()
    return {"dtype": encode(array.dtype)["dtype"], "shape": list(array.shape), "data": data}


def encode(value: Any) -> Any:
    """A value of a graph as JSON: what JSON lacks is a dictionary of one item that names it.

    Raises:
        GraphError: it has no text.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, list):
        return [encode(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if type(value) is complex:
        return {"complex": [encode(value.real), encode(value.imag)]}
    if is_symbolic(value):
        return {"size": str(value)}
    if isinstance(value, Ref):
        return {"ref": _ref(value)}
    if isinstance(value, ArrayMeta):
        return {
            "array": {
                "shape": encode(list(value.shape)),
                "dtype": encode(value.dtype)["dtype"],
                "device": str(value.device),
                "strides": encode(list(value.strides)),
            }
        }
    if isinstance(value, np.dtype) and value.kind != "V":
        return {"dtype": value.str}
    if isinstance(value, Device):
        return {"device": str(value)}
    if is_value(value):
        return to_fields(value, encode)
    raise GraphError(
        f"{describe(value)} in the graph cannot be saved as text; make it an array argument, or "
        "trace again where it is needed"
    )


def _ref(ref: Ref) -> list[Any]:
    owner: Any = ref.owner
    attributes: list[str] = []
    while isinstance(owner, Member):
        attributes.insert(0, owner.attribute)
        owner = owner.parent
    return [[owner.name, *attributes]] if attributes else [owner.name, *ref.path]


# -- reading ---------------------------------------------------------------------------------------


def load(source: str) -> dict[str, Any]:
    """The arguments of `Graph` that `dump` wrote.

    Raises:
        GraphError: the text is no graph; an operator has another schema now.
        OperatorNotFoundError: an operator does not exist.
    """
    try:
        data = json.loads(source)
        if data["format"] != FORMAT:
            raise GraphError(f"the text's format is {data['format']!r}, not {FORMAT!r}")
        if data["version"] != VERSION:
            raise GraphError(
                f"the graph is of version {data['version']!r} of the format; this gpuops reads "
                f"{VERSION}"
            )
        return _Reader(data).arguments()
    except GpuopsError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise GraphError(f"the text is no graph: {type(error).__name__}: {error}") from error


class _Reader:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.env = ShapeEnv()
        self.symbols: dict[str, Any] = {}
        self.owners: dict[str, Input | Constant | Node | ObjectInput] = {}

    def arguments(self) -> dict[str, Any]:
        data = self.data
        for symbol in data["symbols"]:
            self._symbol(symbol)
        inputs = [
            Input(i["name"], self.decode(i["meta"]), tuple(self.decode(i["path"])))
            for i in data["inputs"]
        ]
        objects = [
            ObjectInput(
                given["name"],
                tuple(self.decode(given["path"])),
                Expected(
                    given["type"],
                    tuple(self.decode(given["guards"])),
                    self.decode(given["reads"]),
                ),
            )
            for given in data["objects"]
        ]
        self.owners |= {given.name: given for given in objects}
        constants = [Constant(c["name"], _read_array(c["value"])) for c in data["constants"]]
        self.owners |= {made.name: made for made in inputs}
        self.owners |= {constant.name: constant for constant in constants}
        nodes = [self._node(node) for node in data["nodes"]]
        return {
            "parameters": data["parameters"],
            "arguments": self.decode(data["arguments"]),
            "inputs": inputs,
            "object_inputs": objects,
            "constants": constants,
            "nodes": nodes,
            "outputs": self.decode(data["outputs"]),
            "env": self.env,
            "sources": {
                self.symbols[s["symbol"]]: SizeSource(
                    self.decode(s["ref"]), s["axis"], s["factor"], s["offset"]
                )
                for s in data["sources"]
            },
            "conditions": [self._condition(condition) for condition in data["conditions"]],
            "tracing_mode": data["tracing_mode"],
            "reads": [self._read(read) for read in data["reads"]],
        }

    def _symbol(self, symbol: dict[str, Any]) -> None:
        declared = symbol["declared_low"]
        low = -math.inf if declared is None else declared
        assumption = {"positive": True} if low > 0 else {"nonnegative": True} if low == 0 else {}
        expr = sympy().Symbol(symbol["name"], integer=True, **assumption)

        def bound(name: str, infinite: float) -> Any:
            return infinite if symbol[name] is None else symbol[name]

        self.symbols[symbol["name"]] = expr
        self.env.symbols[expr] = Symbol(
            symbol["name"],
            expr,
            symbol["origin"],
            bound("low", -math.inf),
            bound("high", math.inf),
            symbol["hint"],
            Location(*symbol["location"]),
            low,
            bound("declared_high", math.inf),
        )

    def _node(self, node: dict[str, Any]) -> Node:
        operator = registry.find(node["operator"])
        if str(operator.schema) != node["schema"]:
            raise GraphError(
                f"the graph was saved with {node['schema']}; {operator.qualname} is now "
                f"{operator.declaration}"
            )
        made = Node(
            node["name"],
            operator,
            tuple(self.decode(node["args"])),
            self.decode(node["kwargs"]),
            tuple(self.decode(node["outputs"])),
            Location(*node["location"]),
        )
        self.owners[made.name] = made
        return made

    def _read(self, read: dict[str, Any]) -> Read:
        owner, after = self.owners[read["object"]], read["after"]
        if not isinstance(owner, ObjectInput):
            raise GraphError(f"{read['object']!r} is no opaque object of the graph")
        args = None if read["args"] is None else tuple(self.decode(read["args"]))
        made = Read(owner, read["path"], self.decode(read["value"]), args)
        made.kwargs, made.position = self.decode(read["kwargs"]), PLACED
        made.after = None if after is None else cast(Node, self.owners[after])
        return made

    def _condition(self, condition: dict[str, Any]) -> Condition:
        if condition["kind"] not in ("==", "!=", "<", "<="):
            raise GraphError(f"{condition['kind']!r} is no comparison")
        sides = (parse(condition[side], self.symbols) for side in ("left", "right"))
        comparison = (condition["kind"], *sides)
        return Condition(comparison, Location(*condition["location"]), condition["message"])

    def decode(self, value: Any) -> Any:
        """What `encode` wrote."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        decoders: dict[str, Callable[[Any], Any]] = {
            "tuple": lambda items: tuple(map(self.decode, items)),
            "dict": lambda items: {self.decode(k): self.decode(v) for k, v in items},
            "float": float,
            "complex": lambda parts: complex(*map(self.decode, parts)),
            "size": lambda text: self.env.wrap(parse(text, self.symbols)),
            "ref": self._ref,
            "dtype": np.dtype,
            "device": Device,
            "array": self._meta,
            "member": lambda content: from_fields("member", content, self.decode),
            "fields": lambda content: from_fields("fields", content, self.decode),
        }
        return decoders[kind](content)

    def _ref(self, parts: list[Any]) -> Ref:
        name, *path = parts
        if isinstance(name, str):
            return Ref(self.owners[name], tuple(path))
        first, *attributes = name
        owner: Any = self.owners[first]
        for attribute in attributes:
            owner = Member(owner, attribute)
        return Ref(owner)

    def _meta(self, meta: dict[str, Any]) -> ArrayMeta:
        return ArrayMeta(
            tuple(self.decode(meta["shape"])),
            np.dtype(meta["dtype"]),
            Device(meta["device"]),
            tuple(self.decode(meta["strides"])),
        )


def _read_array(value: dict[str, Any]) -> np.ndarray[Any, Any]:
    flat = np.frombuffer(bytes.fromhex(value["data"]), np.dtype(value["dtype"]))
    return flat.reshape(value["shape"]).copy()
