"""A graph as Python source.

The same lines serve three ends: `Graph.code` for people and for running elsewhere, the readable
form with metadata in comments, and the function that replays a graph, in which the operators' calls
and the constants are globals, so that replaying costs what calling the operators by hand costs.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuops import external_objects
from gpuops.devices import Device
from gpuops.effects import CONSTRUCTS
from gpuops.registry import registry
from gpuops.symbols import Condition, is_symbolic
from gpuops.transforms.trace.nodes import Constant, Input, Node, Ref, SizeSource, refs
from gpuops.transforms.trace.objects import Created
from gpuops.transforms.trace.regions import OUTER, foreign_streams, stream_of
from gpuops.transforms.trace.structure import leaves
from gpuops.transforms.trace.values import expression, import_line, is_value

if TYPE_CHECKING:
    from gpuops.transforms.trace.graph import Graph

__all__ = ["Writer", "is_reserved"]

_RESERVED = frozenset(
    {"Device", "GraphError", "check_input", "complex", "condition_error", "float", "forward"}
    | {"check_object", "check_read", "construct_external_object", "external_objects"}
    | {"current_stream", "get_external_object_by_index", "keep_until_done", "outer_stream"}
    | {"len", "max", "min", "ndarray", "np", "ops", "type"}
)
_SYMBOL = re.compile(r"[su]\d+\Z")


def is_reserved(name: str) -> bool:
    """Whether a name in a graph's code means something else, or may come to."""
    taken = name in _RESERVED or keyword.iskeyword(name) or _SYMBOL.match(name)
    return bool(taken) or name.startswith("__")


class Writer:
    """Writes a graph as a function ``forward``.

    Args:
        graph: the graph.
        bound: for replaying: operators and constants are globals, inputs are checked, and arrays
            are dropped after their last use.
        comments: metadata as comments.

    Attributes:
        globals: what the source needs, by name, if `bound`.
    """

    def __init__(self, graph: Graph, *, bound: bool = False, comments: bool = False) -> None:
        self.graph = graph
        self.bound = bound
        self.comments = comments
        self.globals: dict[str, Any] = {}
        self._imports: set[str] = set()
        self._import_from: dict[str, str] = {}
        self._names = _names(graph)
        self._stream_of = stream_of(graph) if comments else {}
        self._waiting = list(graph.conditions)
        self._symbols = _needed_symbols(graph)
        self._ready: set[Any] = set()

    # -- the whole ---------------------------------------------------------------------------------

    def source(self) -> str:
        """The module's source."""
        body = list(self._body())
        names = ", ".join(self.graph.parameters)
        lines = [f"def forward({names}):", *(f"    {line}" for line in body)]
        constants = [] if self.bound else [self._constant(c) for c in self.graph.constants]
        imports = self._import_lines()
        head = [*imports, ""] if imports else []
        if constants:
            head += [*constants, ""]
        return "\n".join([*head, *lines]) + "\n"

    def _import_lines(self) -> list[str]:
        if self.bound:
            return []
        ours = sorted(self._imports - {"np"}, key=str.lower)
        lines = ["import numpy as np"] if "np" in self._imports else []
        lines += [f"from gpuops import {', '.join(ours)}"] if ours else []
        return lines + sorted(self._import_from.values())

    def _body(self) -> Iterator[str]:
        graph = self.graph
        if self.bound:
            yield from self._checks()
        for made in graph.inputs:
            if len(made.path) > 1:
                keys = "".join(f"[{key!r}]" for key in made.path[1:])
                yield f"{made.name} = {graph.parameters[made.path[0]]}{keys}"
        yield from self._objects()
        yield from self._sizes({id(made) for made in graph.inputs})
        yield from self._repeated_sizes()
        if self.bound:
            yield from self._reads(None)
        last = _last_uses(graph) if self.bound else {}
        foreign = foreign_streams(graph) if self.bound else {}
        if any(OUTER in streams for streams in foreign.values()):
            self.globals["current_stream"] = self._streams().current_stream
            yield f"{OUTER} = current_stream()"
        for node in graph.nodes:
            yield self._call(node)
            yield from self._sizes({id(node)})
            if self.bound:
                yield from self._reads(node)
            dropped = last.get(id(node))
            if dropped:
                yield from self._keep(dropped, foreign)
                yield f"del {', '.join(dropped)}"
        yield f"return {self.value(graph.outputs)}"

    def _objects(self) -> Iterator[str]:
        """Give the opaque objects their names, and check those that are arguments."""
        for index, given in enumerate(self.graph.object_inputs):
            keys = "".join(f"[{key!r}]" for key in given.path[1:])
            text = f"{self.graph.parameters[given.path[0]]}{keys}"
            if given.name != text:
                yield f"{given.name} = {text}"
            if self.bound:
                self.globals["check_object"] = self.graph.check_object
                yield f"check_object({index}, {given.name})"
        for external in self.graph.externals:
            call = self._table_call("get_external_object_by_index", external.index)
            comment = f"  # {external.source.text}" * self.comments
            yield f"{external.name} = {call}{comment}"

    def _reads(self, after: Node | None) -> Iterator[str]:
        """Compare what was read of opaque objects after a call, or at the beginning."""
        for index, read in enumerate(self.graph.reads):
            if read.after is after:
                self.globals["check_read"] = self.graph.check_read
                given = (read.value, read.args or (), read.kwargs)
                values = ", ".join(map(self.value, given))
                yield f"check_read({index}, {read.owner.name}, {values})"

    def _keep(self, dropped: list[str], foreign: dict[str, list[str]]) -> Iterator[str]:
        """Keep arrays that are dropped until the other streams that use them are done."""
        for name in dropped:
            for stream in foreign.get(name, ()):
                self.globals["keep_until_done"] = self._streams().keep_until_done
                yield f"keep_until_done({name}, {stream})"

    def _streams(self) -> Any:
        from gpuops.cuda import streams  # a graph without streams has no use for it

        return streams

    def _table_call(self, function: str, index: int) -> str:
        """A call of a function of `gpuops.external_objects`."""
        if self.bound:
            self.globals[function] = getattr(external_objects, function)
            return f"{function}({index})"
        self._imports.add("external_objects")
        return f"external_objects.{function}({index})"

    def _call(self, node: Node) -> str:
        made = node.args[0].owner if node.args and isinstance(node.args[0], Ref) else None
        if isinstance(made, Created) and registry.rule(node.operator, CONSTRUCTS) is not None:
            # The object's class calls the operator, as it did while tracing.
            call = self._table_call("construct_external_object", made.index)
            return f"{made.name} = {call}{self._comment(node)}"
        schema = node.operator.schema
        arguments = [self.value(value) for value in node.args]
        arguments += [f"{name}={self.value(value)}" for name, value in node.kwargs.items()]
        call = f"{self._operator(node)}({', '.join(arguments)})"
        if schema.returns_tuple:
            names = [f"{node.name}_{index}" for index in range(len(schema.returns))]
            call = f"{', '.join(names)}{',' * (len(names) == 1)} = {call}"
        elif schema.returns:
            call = f"{node.name} = {call}"
        return call + self._comment(node)

    def _comment(self, node: Node) -> str:
        if not self.comments:
            return ""
        outputs = [f"[{', '.join(map(str, o))}]" if isinstance(o, list) else str(o)
                   for o in node.outputs]  # fmt: skip
        stream = self._stream_of.get(id(node), OUTER)
        where = "" if stream == OUTER else f"; on {stream}"
        return f"  # {', '.join(outputs) or 'nothing'}; {node.location}{where}"

    def _operator(self, node: Node) -> str:
        operator = node.operator
        if self.bound:
            name = f"call_{operator.namespace}__{operator.name}__{operator.overload}"
            self.globals[name] = operator.call
            return name
        self._imports.add("ops")
        several = len(registry.overloads(operator.namespace, operator.name)) > 1
        overload = f".{operator.overload or 'default'}" if several or operator.overload else ""
        text = f"ops.{operator.namespace}.{operator.name}{overload}"
        # An operator's name may be a keyword ("lambda"), which no attribute can be.
        if keyword.iskeyword(operator.name):
            return f"getattr(ops.{operator.namespace}, {operator.name!r}){overload}"
        return text

    # -- sizes and conditions ----------------------------------------------------------------------

    def _sizes(self, owners: set[int]) -> Iterator[str]:
        """Read the symbols that some arrays' sizes tell, and check what can be checked then."""
        graph = self.graph
        for symbol, source in graph.sources.items():
            if id(source.ref.owner) in owners and symbol in self._symbols:
                name = graph.env.symbols[symbol].name
                yield f"{name} = {source.text}"
                self._ready.add(symbol)
                yield from self._bounds(symbol, source)
        waiting, self._waiting = self._waiting, []
        for condition in waiting:
            if condition.symbols <= self._ready:
                yield f"if not ({condition}):"
                yield f"    raise {self._failure(condition)}"
            else:
                self._waiting.append(condition)

    def _repeated_sizes(self) -> Iterator[str]:
        """Check sizes of inputs that are expressions of sizes read elsewhere."""
        for made, axis, size in _repeated(self.graph):
            self._imports.add("GraphError")
            text = f"{made.name}.shape[{axis}]"
            yield f"if {text} != {size}:"
            yield f'    raise GraphError(f"{text} must be {size}, but is {{{text}}}")'

    def _bounds(self, symbol: Any, source: SizeSource) -> Iterator[str]:
        """Check the bounds that the author of a fake kernel gave a size."""
        if symbol not in self.graph.declared_bounds:
            return
        low, high = self.graph.declared_bounds[symbol]
        name = self.graph.env.symbols[symbol].name
        limits = [(f"{name} >= {low}", low > 0), (f"{name} <= {high}", high != math.inf)]
        for text, limited in limits:
            if limited:
                self._imports.add("GraphError")
                where = f"{source.ref.text} has another size than its fake allows: {text}"
                yield f"if not ({text}):"
                yield f"    raise GraphError({where!r} + f', but {name} is {{{name}}}')"

    def _failure(self, condition: Condition) -> str:
        self._imports.add("GraphError")
        names = sorted(self.graph.env.symbols[symbol].name for symbol in condition.symbols)
        if self.bound:
            index = self.graph.conditions.index(condition)
            self.globals["condition_error"] = self.graph.condition_error
            return f"condition_error({index}, {', '.join(f'{name}={name}' for name in names)})"
        values = ", ".join(f"{name} is {{{name}}}" for name in names)
        return f'GraphError(f"{condition} does not hold: {values}")'

    # -- inputs ------------------------------------------------------------------------------------

    def _checks(self) -> Iterator[str]:
        """Check that inputs are what the graph was traced with, and if so quickly."""
        self.globals["ndarray"] = np.ndarray
        self.globals["check_input"] = self.graph.check_input
        for index, made in enumerate(self.graph.inputs):
            name = self.graph.parameters[made.path[0]]
            text = name + "".join(f"[{key!r}]" for key in made.path[1:])
            if made.meta.device.type != "cpu":
                yield f"check_input({index}, {text})"
                continue
            dtype = f"dtype_{index}"
            self.globals[dtype] = made.meta.dtype
            sizes = made.meta.shape
            if any(map(is_symbolic, sizes)):
                shape = f"len({text}.shape) == {len(sizes)}"
            else:
                shape = f"{text}.shape == {sizes!r}"
            test = f"type({text}) is ndarray and {text}.dtype is {dtype} and {shape}"
            yield f"if not ({test}):"
            yield f"    check_input({index}, {text})"

    # -- values ------------------------------------------------------------------------------------

    def value(self, value: Any) -> str:
        """An argument or output as an expression."""
        if isinstance(value, Ref):
            return value.text
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {self.value(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return f"[{', '.join(map(self.value, value))}]"
        if isinstance(value, tuple):
            items = ", ".join(map(self.value, value)) + "," * (len(value) == 1)
            if hasattr(value, "_fields"):
                return f"{self._object(type(value))}({items})"
            return f"({items})"
        if is_symbolic(value):
            return str(value)
        if type(value) is float and value - value != 0.0:  # infinite, or not a number
            return f"float({str(value)!r})"
        if type(value) is complex:
            return f"complex({self.value(value.real)}, {self.value(value.imag)})"
        if value is None or type(value) in (bool, int, float, str):
            return repr(value)
        if isinstance(value, np.dtype) and value.fields is None and value.kind != "V":
            self._imports.add("np")
            self.globals["np"] = np
            return f"np.dtype({value.str!r})"
        if isinstance(value, Device):
            self._imports.add("Device")
            self.globals["Device"] = Device
            return repr(value)
        if not self.bound and is_value(value):
            return self._value(value)
        return self._object(value)

    def _value(self, value: Any) -> str:
        """An object of an opaque value type, as its class spells it."""
        text, names = expression(value)
        lines = {name: import_line(name, meaning) for name, meaning in names.items()}
        for name, line in lines.items():
            known = self._import_from.get(name, self.graph.objects.get(name))
            taken = known is not None and known is not names[name] and known != line
            if taken or name in self._names or is_reserved(name):
                return self._object(value)
        for name, line in lines.items():
            if line is None:
                self.graph.objects[name] = names[name]
            else:
                self._import_from[name] = line
        return text

    def _object(self, value: Any) -> str:
        """An object that has no expression: a name, which the graph's `objects` explains."""
        name = self.graph.object_name(value)
        self.globals[name] = value
        return name

    def _constant(self, constant: Constant) -> str:
        """The statement that makes a constant array."""
        array = constant.value
        if type(array) is not np.ndarray or array.dtype.hasobject:
            self.graph.objects.setdefault(constant.name, array)
            return f"# {constant.name}: {constant.meta}, from the graph's `objects`"
        self._imports.add("np")
        data = np.ascontiguousarray(array).tobytes().hex()
        dtype = self.value(array.dtype)
        return (
            f"{constant.name} = np.frombuffer(bytes.fromhex({data!r}), {dtype})"
            f".reshape({tuple(array.shape)!r}).copy()"
        )


def _names(graph: Graph) -> set[str]:
    """The names of variables in a graph's code."""
    named: list[Any] = [*graph.inputs, *graph.constants]
    named += [*graph.object_inputs, *graph.externals, *graph.created]
    found = {*graph.parameters, *(owner.name for owner in named)}
    for node in graph.nodes:
        returns = range(len(node.operator.schema.returns))
        found |= {node.name, *(f"{node.name}_{index}" for index in returns)}
    return found


def _repeated(graph: Graph) -> Iterator[tuple[Input, int, Any]]:
    """The sizes of inputs that tell no symbol, as (input, axis, size)."""
    told = {(id(source.ref.owner), source.axis) for source in graph.sources.values()}
    for made in graph.inputs:
        for axis, size in enumerate(made.meta.shape):
            if is_symbolic(size) and (id(made), axis) not in told:
                yield made, axis, size


def _needed_symbols(graph: Graph) -> set[Any]:
    """The symbols that appear in arguments, outputs and conditions."""
    found: set[Any] = set()
    for condition in graph.conditions:
        found |= condition.symbols
    values: list[Any] = [graph.outputs, [size for _, _, size in _repeated(graph)]]
    for node in graph.nodes:
        values += [node.args, node.kwargs]
    values += [[read.value, read.args, read.kwargs] for read in graph.reads]
    for _, leaf in leaves(values):
        if is_symbolic(leaf):
            found |= leaf.expr.free_symbols
    found |= {s for s in graph.declared_bounds if graph.declared_bounds[s] != (0, math.inf)}
    return found


def _last_uses(graph: Graph) -> dict[int, list[str]]:
    """For each call, the names of arrays that nothing after it uses."""
    last: dict[str, int] = {}
    made: set[str] = set()

    def use(value: Any, node: Node) -> None:
        for ref in refs(value):
            last[ref.text.partition("[")[0]] = id(node)

    for node in graph.nodes:
        use([node.args, node.kwargs], node)
        returns = len(node.operator.schema.returns)
        if node.operator.schema.returns_tuple:
            made |= {f"{node.name}_{index}" for index in range(returns)}
        elif returns:
            made.add(node.name)
        for name in made - last.keys():
            last.setdefault(name, id(node))
    for ref in [*refs(graph.outputs), *(s.ref for s in graph.sources.values())]:
        last.pop(ref.text.partition("[")[0], None)
    found: dict[int, list[str]] = {}
    for name, where in last.items():
        if name in made:
            found.setdefault(where, []).append(name)
    return found
