"""Recording: runs a function on tracing arrays and notes the operator calls."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from gpuops.conventions import returned_arguments
from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.effects import CONSTRUCTS
from gpuops.errors import ArgumentError, TraceError, caller_location, describe
from gpuops.interception import ambient, entered
from gpuops.opaque import is_opaque_type
from gpuops.opaque_fakes import real_of
from gpuops.registry import Operator, registry
from gpuops.symbols import (
    ShapeEnv,
    SymInt,
    SymNumber,
    is_sym_number,
    is_symbolic,
    known_equal,
    product,
)
from gpuops.symbols._sympy import sympy
from gpuops.symbols.algebra import evaluate
from gpuops.symbols.env import line_text
from gpuops.transforms.fake import FakeArray, FakeMode
from gpuops.transforms.levels import LEVEL, begin, nested_types, register_nested
from gpuops.transforms.trace.array import TracingArray
from gpuops.transforms.trace.graph import Graph
from gpuops.transforms.trace.nodes import ArrayMeta, Constant, Input, Node, Ref, SizeSource
from gpuops.transforms.trace.objects import Objects, is_reference
from gpuops.transforms.trace.reads import Read
from gpuops.transforms.trace.source import is_reserved
from gpuops.transforms.trace.structure import Path, leaves, map_leaves

__all__ = ["MODES", "Tracer", "trace"]

MODES = ("real", "fake", "symbolic")

# Modes of packages above this one, which it may not import: the function that a mode's `trace` is.
_ELSEWHERE = {"draft": ("gpuops.profiles.draft", "trace_draft")}


def trace(fn: Callable[..., Any], tracing_mode: str = "real") -> Callable[..., Any]:
    """Record the operator calls that a function makes.

    Args:
        fn: a function of arrays, and of tuples, lists and dictionaries of arrays. Arguments that
            are no arrays are fixed in the graph.
        tracing_mode: ``"real"`` runs the kernels, also those that write to an argument;
            ``"fake"`` runs fakes of the arguments, and no kernel; ``"symbolic"`` does so with
            symbols for the sizes, so that the graph holds for other sizes too. What the function
            asks of the sizes becomes a condition that the graph checks; ``"draft"`` runs the
            kernels, and the function returns the graph together with a report of what keeps it
            from being traced symbolically (`gpuops.profiles.draft.DraftReport`).

    Returns:
        A function of the same arguments that returns the `Graph`.

    Raises:
        ArgumentError: an unknown mode.
        TraceError (the returned function): `fn` looks at an array's data, or an operator returns a
            number that would be fixed in the graph.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_trace::double", mutates_args=())
    ... def double(x: gpuops.Array) -> gpuops.Array:
    ...     return x + x
    >>> graph = trace(lambda x: double(double(x)))(np.ones(2))
    >>> print(graph.code)
    from gpuops import ops
    <BLANKLINE>
    def forward(x):
        double = ops.demo_trace.double(x)
        double_1 = ops.demo_trace.double(double)
        return double_1
    <BLANKLINE>
    >>> graph(np.arange(2.0))
    array([0., 4.])
    >>> double.undo()
    """
    if not callable(fn):
        raise ArgumentError(f"trace takes a function, got {describe(fn)}")
    if tracing_mode in _ELSEWHERE:
        module, name = _ELSEWHERE[tracing_mode]
        made: Callable[..., Any] = getattr(importlib.import_module(module), name)(fn)
        return made
    if tracing_mode not in MODES:
        raise ArgumentError(
            "trace: tracing_mode must be 'real', 'fake', 'symbolic' or 'draft', "
            f"got {tracing_mode!r}"
        )

    def traced(*args: Any) -> Graph:
        return Tracer(fn, tracing_mode, args).run()

    return traced


class Tracer:
    """One tracing: the graph so far. It takes the calls made while the function runs.

    Attributes:
        mode: the `FakeMode` that fakes belong to; None in the mode ``"real"``.
    """

    level = LEVEL
    only_factories = False

    def __init__(self, fn: Callable[..., Any], tracing_mode: str, args: tuple[Any, ...]) -> None:
        self.depth = begin()
        self.fn = fn
        self.tracing_mode = tracing_mode
        self.args = args
        self.active = True
        self.outer = ambient.get()
        self.mode: FakeMode | None = None
        fakes = [leaf for _, leaf in leaves(args) if type(leaf) is FakeArray]
        if fakes and tracing_mode == "real":
            self.tracing_mode = tracing_mode = "fake"  # there is nothing real to run
        if tracing_mode != "real":
            modes = [fake.fake_mode for fake in fakes if fake.fake_mode is not None]
            self.mode = modes[0] if modes else self.make_mode()
        env = None if self.mode is None else self.mode.shape_env
        self.env = ShapeEnv() if env is None else env
        self._conditions_before = len(self.env.conditions)
        self.inputs: list[Input] = []
        self.constants: dict[int, Constant] = {}
        self.nodes: list[Node] = []
        self.sources: dict[Any, SizeSource] = {}
        # In the mode "real", what numbers that operators returned are while it runs.
        self._numbers: dict[Any, int] = {}
        # Numbers that are no ints, and the calls that returned them.
        self._returned: dict[int, tuple[SymNumber, Ref]] = {}
        self._names: set[str] = set()
        self.objects = Objects(fn, self._name, lambda: len(self.nodes))

    def make_mode(self) -> FakeMode:
        """The mode that fakes belong to; a draft has symbols of its own kind in it."""
        return FakeMode()

    # -- the whole ---------------------------------------------------------------------------------

    def run(self) -> Graph:
        """Run the function; the graph of what it did."""
        parameters = parameter_names(self.fn, len(self.args))
        wrapped = [
            map_leaves(lambda path, leaf: self._input(parameters, path, leaf), arg, (index,))
            for index, arg in enumerate(self.args)
        ]
        try:
            with entered(self), self.objects.reading():
                out = self.fn(*wrapped)
            outputs = map_leaves(lambda path, leaf: self._output(leaf), out)
        finally:
            self.active = False
            self.objects.leave_streams()
        return Graph(
            parameters=parameters,
            arguments=[map_leaves(lambda path, leaf: self._argument(leaf), arg) for arg in wrapped],
            inputs=self.inputs,
            constants=list(self.constants.values()),
            nodes=self.nodes,
            outputs=outputs,
            env=self.env,
            sources=self.sources,
            conditions=self.env.conditions[self._conditions_before :],
            tracing_mode=self.tracing_mode,
            object_inputs=self.objects.inputs,
            externals=self.objects.externals,
            created=self.objects.created,
            closed_values=self.objects.values,
            reads=[self._read(*read) for read in self.objects.reads],
        )

    def _read(
        self, owner: Any, path: str, value: Any, args: Any, kwargs: Any, position: int
    ) -> Read:
        def held(given: Any) -> Any:
            return map_leaves(lambda path, leaf: self._object(leaf), given)

        if args is None:
            return Read(owner, path, value, position=position)
        return Read(owner, path, value, held(args), held(kwargs), position)

    def _input(self, parameters: list[str], path: Path, leaf: Any) -> Any:
        name = "_".join([parameters[path[0]], *map(str, path[1:])])
        if is_reference(leaf):
            return self.objects.add_input(name, path, leaf)
        if type(leaf) not in wrapper_types and array_kind(type(leaf)) is None:
            return leaf
        made = Input(self._name(name), ArrayMeta.of(leaf), path)
        value = leaf
        if self.mode is not None:
            value = self._fake_of(leaf)
        if self.tracing_mode == "symbolic":
            value = self._with_symbols(value, made)
            made.meta = ArrayMeta.of(value)
        for axis, size in enumerate(made.meta.shape):
            self._find_source(size, Ref(made), axis)
        self.inputs.append(made)
        return TracingArray(value, Ref(made), self)

    def _with_symbols(self, fake: FakeArray, made: Input) -> FakeArray:
        """The fake with a symbol for each size, and its strides in terms of them."""
        sizes = tuple(
            size
            if is_symbolic(size)
            else self.env.new_input(size, origin=f"axis {axis} of the input {made.name!r}")
            for axis, size in enumerate(fake.shape)
        )
        strides = _symbolic_strides(fake, sizes)
        return FakeArray.raw(sizes, fake.dtype, fake.device, strides, self.mode, fake._bits)

    def _argument(self, leaf: Any) -> Any:
        if is_reference(leaf):
            return Ref(self.objects.owner(leaf))
        return leaf.ref if isinstance(leaf, TracingArray) else leaf

    def _output(self, leaf: Any) -> Any:
        if isinstance(leaf, TracingArray) and leaf.tracer is self:
            return leaf.ref
        if type(leaf) is not FakeArray and _is_array(leaf):
            return self._constant(leaf)
        if type(leaf) is FakeArray:
            raise TraceError(f"the traced function returned a fake array that it made: {leaf!r}")
        if is_sym_number(leaf):
            return self._number(leaf)
        return self._object(leaf)

    # -- one call ----------------------------------------------------------------------------------

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator and record the call; see `gpuops.interception.Ambient`."""
        if not self.active:
            raise TraceError(
                f"{operator.qualname} was called with an array of a tracing that has ended; "
                "a traced function must not keep its arrays"
            )
        constructs = registry.rule(operator, CONSTRUCTS)
        if constructs is not None:
            self.objects.add_created(args[0], constructs.value)
        known: dict[int, TracingArray] = {}

        def value(path: Path, leaf: Any) -> Any:
            return self._value(operator, leaf, known)

        values = map_leaves(value, list(args))
        keywords = map_leaves(value, kwargs)
        node = Node(
            self._name(operator.name, len(operator.schema.returns)),
            operator,
            tuple(map_leaves(lambda path, leaf: self._recorded(leaf), list(args))),
            map_leaves(lambda path, leaf: self._recorded(leaf), kwargs),
            location=caller_location(),
        )
        token = ambient.set(self.outer if self.mode is None else self.mode)
        try:
            out = self.run_call(operator, values, keywords)
        finally:
            ambient.reset(token)
        self.nodes.append(node)
        returned = returned_arguments(operator.schema, operator.tags)
        if returned:
            # In-place and out operators: the very arrays that were passed.
            names = [parameter.name for parameter in operator.schema.parameters]
            given = dict(zip(names, (*args, *kwargs.values()), strict=True))
            arrays = [given[parameter.name] for parameter in returned]
            node.outputs = tuple(map(ArrayMeta.of, arrays))
            return tuple(arrays) if operator.schema.returns_tuple else arrays[0]
        return self._wrap(node, out, known)

    def run_call(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator on what it is traced with; a draft looks at what comes back."""
        return operator.call(*args, **kwargs)

    def reveal(self, array: TracingArray, what: str) -> Any:
        """The array for somebody who wants its data: refused, except in a draft.

        Raises:
            TraceError: it says where.
        """
        location = caller_location()
        raise TraceError(
            f"the traced function {what} at {location}{line_text(location)}. The graph would hold "
            f"for these data only; the array is {array!r}"
        )

    def _value(self, operator: Operator, leaf: Any, known: dict[int, TracingArray]) -> Any:
        """An argument as the operator gets it; `known` remembers which arrays are being traced."""
        if isinstance(leaf, TracingArray) and leaf.tracer is self:
            known[id(leaf.value)] = leaf
            return leaf.value
        if type(leaf) is FakeArray:
            raise TraceError(
                f"{operator.qualname} was called while tracing with a fake array that is no input "
                f"of the traced function: {leaf!r}"
            )
        if is_symbolic(leaf):
            self._check_told(operator, leaf)
            # A kernel needs the number that the call before it returned.
            return leaf if self.mode is not None else evaluate(leaf.expr, self._numbers)
        if self.mode is not None and (
            type(leaf) in nested_types or array_kind(type(leaf)) is not None
        ):
            return self._fake_of(leaf)
        return real_of(leaf)

    def _fake_of(self, leaf: Any) -> FakeArray:
        """The fake of an array; of one of a transformation around this, of what it looks like."""
        assert self.mode is not None
        if type(leaf) not in nested_types:
            return self.mode.from_array(leaf)
        shape, strides = tuple(leaf.shape), tuple(leaf.strides)
        return FakeArray.raw(shape, leaf.dtype, leaf.device, strides, self.mode)

    def _check_told(self, operator: Operator, size: SymInt) -> None:
        """Refuse a size that could not be known when the graph runs.

        Raises:
            TraceError: it names the symbol and its origin.
        """
        for symbol in size.env.simplify(size.expr).free_symbols:
            if symbol not in self.sources:
                raise TraceError(
                    f"{operator.qualname} was called with the size {size}, which depends on "
                    f"{size.env.symbols[symbol].describe()}; no input of the traced function and "
                    "no output of a call before tells it"
                )

    def _recorded(self, leaf: Any) -> Any:
        """An argument as the graph holds it."""
        if isinstance(leaf, TracingArray) and leaf.tracer is self:
            return leaf.ref
        if _is_array(leaf):
            return self._constant(leaf)
        if is_sym_number(leaf):
            return self._number(leaf)
        return self._object(leaf)

    def _number(self, number: SymNumber) -> Ref:
        """A number that a call returned as the graph holds it.

        Raises:
            TraceError: no call of this tracing returned it.
        """
        known = self._returned.get(id(number))
        if known is None:
            raise TraceError(
                f"the traced function uses {number.describe()}, which no call in the graph returned"
            )
        return known[1]

    def _object(self, leaf: Any) -> Any:
        """An opaque object as the graph holds it; anything else as it is."""
        if is_reference(leaf):
            return Ref(self.objects.owner(leaf))
        if is_opaque_type(type(leaf)):
            self.objects.note_value(leaf)
        return leaf

    def _constant(self, array: Any) -> Ref:
        found = self.constants.get(id(array))
        if found is None:
            found = Constant(self._name("constant"), array)
            self.constants[id(array)] = found
        return Ref(found)

    def _wrap(self, node: Node, out: Any, known: dict[int, TracingArray]) -> Any:
        schema = node.operator.schema
        values = out if schema.returns_tuple else (out,) if schema.returns else ()
        wrapped, metas = [], []
        for index, value in enumerate(values):
            # An argument comes back only where the schema says so.
            arguments = known if schema.returns[index].alias is not None else {}
            meta, result = self._wrap_one(node, (index,), value, arguments)
            wrapped.append(result)
            metas.append(meta)
        node.outputs = tuple(metas)
        if schema.returns_tuple:
            return tuple(wrapped)
        return wrapped[0] if schema.returns else None

    def _wrap_one(
        self, node: Node, path: tuple[int, ...], value: Any, known: dict[int, TracingArray]
    ) -> tuple[Any, Any]:
        """An output's metadata, and what the traced function gets for it."""
        if isinstance(value, list):
            pairs = [self._wrap_one(node, (*path, i), x, known) for i, x in enumerate(value)]
            return [meta for meta, _ in pairs], [result for _, result in pairs]
        if type(value) is FakeArray or array_kind(type(value)) is not None:
            meta = ArrayMeta.of(value)
            if id(value) in known:
                return meta, known[id(value)]
            ref = Ref(node, path)
            for axis, size in enumerate(meta.shape):
                self._find_source(size, ref, axis)
            return meta, TracingArray(value, ref, self)
        if type(value) in wrapper_types:
            # Of a transformation around this one: a constant for this one.
            return ArrayMeta.of(value), TracingArray(value, Ref(node, path), self)
        return self._wrap_number(node, path, value)

    def _wrap_number(self, node: Node, path: tuple[int, ...], value: Any) -> tuple[Any, Any]:
        if value is None:
            return None, None
        if type(value) is int and self.mode is None:
            origin = f"a number that {node.target} returned"
            number, value = value, self.env.new_number(origin=origin)
            self._numbers[value.expr] = number
        if is_symbolic(value):
            self._find_source(value, Ref(node, path), None)
            return value, value
        if is_sym_number(value):
            self._returned[id(value)] = value, Ref(node, path)
            return value.kind, value
        if type(value) is int or (type(value) is str and self.mode is not None):
            # A fake computed it from metadata.
            return value, value
        raise TraceError(
            f"{node.target} returned {describe(value)} while tracing, at {node.location}: "
            "it would be fixed in the graph. Return a 0-d array instead"
        )

    def _find_source(self, size: Any, ref: Ref, axis: int | None) -> None:
        """Note where the symbol in a size can be read when the graph runs."""
        if not is_symbolic(size):
            return
        expr = size.env.simplify(size.expr)
        unknown = [symbol for symbol in expr.free_symbols if symbol not in self.sources]
        if len(unknown) != 1 or len(expr.free_symbols) != 1:
            return
        (symbol,) = unknown
        factor = expr.coeff(symbol, 1)
        offset = sympy().expand(expr - factor * symbol)
        if factor.is_Integer and offset.is_Integer and factor > 0:
            self.sources[symbol] = SizeSource(ref, axis, int(factor), int(offset))

    def _name(self, wanted: str, outputs: int = 0) -> str:
        """A name that nothing in the graph has yet, nor with the number of an output behind it."""
        base = wanted if wanted.isidentifier() else "value"
        for number in count():
            name = f"{base}_{number}" if number else base
            names = {name, *(f"{name}_{index}" for index in range(outputs))}
            if names.isdisjoint(self._names) and not any(map(is_reserved, names)):
                self._names |= names
                return name
        raise AssertionError("there are always more names")


def _symbolic_strides(fake: FakeArray, sizes: tuple[SymInt, ...]) -> tuple[Any, ...] | None:
    """The strides in terms of symbols: where the array is dense in some order of its axes, theirs.

    Any other layout keeps its numbers; they are part of what the graph was traced with.
    """
    if fake.is_c_contiguous:
        return None
    order = sorted(range(fake.ndim), key=lambda axis: (-abs(fake.strides[axis]), axis))
    expected = fake.itemsize
    for axis in reversed(order):
        if not known_equal(fake.strides[axis], expected):
            return fake.strides
        expected *= fake.shape[axis]
    strides: list[Any] = [None] * fake.ndim
    for position, axis in enumerate(order):
        strides[axis] = product(sizes[other] for other in order[position + 1 :]) * fake.itemsize
    return tuple(strides)


def parameter_names(fn: Callable[..., Any], number: int) -> list[str]:
    """A name per positional argument: the function's, where it tells them."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "arg")
    names += [f"{rest}_{i}" for i in range(number - len(names))]
    return [f"{name}_" if is_reserved(name) else name for name in names[:number]]


def _is_array(value: Any) -> bool:
    return type(value) in wrapper_types or array_kind(type(value)) is not None


register_nested(TracingArray)
