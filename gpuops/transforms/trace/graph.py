"""`Graph`: what a traced function did, to look at, to run again, and to save."""

from __future__ import annotations

import linecache
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from gpuops.effects import BY_INDEX
from gpuops.errors import GraphError, describe
from gpuops.registry import registry
from gpuops.symbols import Condition, ShapeEnv, is_symbolic
from gpuops.symbols.env import line_text
from gpuops.transforms.trace import text
from gpuops.transforms.trace.nodes import ArrayMeta, Constant, Input, Node, Ref, SizeSource, refs
from gpuops.transforms.trace.objects import (
    CURRENT_STREAM,
    ClosedValue,
    Created,
    External,
    Member,
    ObjectInput,
    in_table,
)
from gpuops.transforms.trace.reads import Read, place
from gpuops.transforms.trace.regions import enters_streams
from gpuops.transforms.trace.source import Writer
from gpuops.transforms.trace.structure import leaves, map_leaves
from gpuops.transforms.trace.writes import check_records, written_inputs

if TYPE_CHECKING:
    from gpuops.cuda.graphs import CapturedGraph

__all__ = ["Graph"]

_serial = count()


class Graph:
    """The operator calls that a traced function made; calling it makes them again.

    Calls without an effect whose results nothing uses are left out; all others are there, in order.

    Attributes:
        parameters: the names of the arguments.
        arguments: what was passed for them, with `Ref`s for arrays.
        inputs: the arrays among them.
        constants: the arrays that the function used and was not given.
        object_inputs: the opaque reference objects among the arguments.
        externals: the opaque reference objects that the function used and was not given; the graph
            looks each of them up again when it runs.
        created: the opaque reference objects that it made; the graph makes them anew.
        reads: what was read of opaque objects, as far as it is not compared when the graph begins.
        closed_values: the objects of opaque value types that it used and was not given; the graph
            refuses to run where they are others by then.
        nodes: the operator calls, in order.
        outputs: what the function returned, with `Ref`s for arrays.
        env: the symbols of sizes.
        sources: for each symbol, where its number is read.
        conditions: what has to hold of the sizes; checked when the graph runs.
        tracing_mode: ``"real"``, ``"fake"`` or ``"symbolic"``.
        objects: name -> value, of what `code` names and cannot spell out.
    """

    def __init__(
        self,
        *,
        parameters: list[str],
        arguments: list[Any],
        inputs: list[Input],
        constants: list[Constant],
        nodes: list[Node],
        outputs: Any,
        env: ShapeEnv,
        sources: dict[Any, SizeSource],
        conditions: list[Condition],
        tracing_mode: str,
        object_inputs: Sequence[ObjectInput] = (),
        externals: Sequence[External] = (),
        created: Sequence[Created] = (),
        closed_values: Sequence[ClosedValue] = (),
        reads: Sequence[Read] = (),
    ) -> None:
        self.parameters = parameters
        self.arguments = arguments
        self.inputs = inputs
        self.outputs = outputs
        self.env = env
        self.tracing_mode = tracing_mode
        self.objects: dict[str, Any] = {}
        self._has_fixed = not all(isinstance(argument, Ref) for argument in arguments)
        self.nodes = _alive(nodes, outputs, sources)
        kept = {id(owner) for ref in self._refs() for owner in _owners(ref)}
        self.constants = [constant for constant in constants if id(constant) in kept]
        self.object_inputs = list(object_inputs)
        self.externals = [external for external in externals if id(external) in kept]
        # The stream of whoever calls the graph has the index 0.
        self.externals.sort(key=lambda external: external.source.text != CURRENT_STREAM)
        for index, external in enumerate(self.externals):
            external.index = index
        self.created = [made for made in created if id(made) in kept]
        for index, made in enumerate(self.created, len(self.externals)):
            made.index = index
        self.closed_values = list(closed_values)
        self._check_indices()
        self.reads = self._place(reads, nodes, sources)
        self._enters_streams = enters_streams(self)
        self._has_surroundings = bool(
            self.externals or self.created or closed_values or self._enters_streams
        )
        here = {id(owner) for owner in (*inputs, *self.nodes)}
        self.sources = {s: source for s, source in sources.items() if id(source.ref.owner) in here}
        # What was required of the results of calls that are left out does not matter.
        self.conditions = [c for c in conditions if c.symbols <= self.sources.keys()]
        self.declared_bounds = {
            s: (env.symbols[s].declared_low, env.symbols[s].declared_high)
            for s in self.sources
            if env.symbols[s].hint is None
        }
        self._check_symbols()
        self._function: Callable[..., Any] | None = None

    def _refs(self) -> list[Ref]:
        values = [[node.args, node.kwargs] for node in self.nodes]
        return refs([self.outputs, values])

    def _check_indices(self) -> None:
        """Refuse indices in a table that is not there while the graph runs.

        Raises:
            GraphError: it names the call and the objects that take the table's place.
        """
        own: list[External | Created] = [*self.externals, *self.created]
        node = next((n for n in self.nodes if registry.rule(n.operator, BY_INDEX)), None)
        if own and node is not None:
            names = ", ".join(made.name for made in own)
            raise GraphError(
                f"{node.target}, called at {node.location}, takes indices of the table of external "
                f"objects, in whose place are the graph's own while it runs ({names}). Call the "
                "methods of the objects, or make all objects arguments of the traced function"
            )

    def _place(
        self, reads: Sequence[Read], nodes: list[Node], sources: dict[Any, SizeSource]
    ) -> list[Read]:
        """The reads that are compared on the way; the others go to what their object has to be."""
        later = []
        for read in place(
            reads,
            nodes,
            self.nodes,
            self.externals,
            sources,
            kernels_ran=self.tracing_mode == "real",
        ):
            known = read.owner.expected.reads
            if read.is_plain and read.path not in known:
                known[read.path] = read.value
            else:
                later.append(read)
        return later

    def _check_symbols(self) -> None:
        """Refuse symbols that nothing in the graph tells.

        Raises:
            GraphError: it names the symbol and its origin.
        """
        values = [self.outputs, *([node.args, node.kwargs] for node in self.nodes)]
        values += [[read.value, read.args, read.kwargs] for read in self.reads]
        for _, leaf in leaves(values):
            for symbol in leaf.expr.free_symbols if is_symbolic(leaf) else ():
                if symbol not in self.sources:
                    raise GraphError(
                        f"the size {leaf} depends on {self.env.symbols[symbol].describe()}, which "
                        "no input and no output of a call in the graph tells"
                    )

    # -- running -----------------------------------------------------------------------------------

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self.parameters):
            raise GraphError(
                f"the graph takes {len(self.parameters)} arguments "
                f"({', '.join(self.parameters)}), {len(args)} were given"
            )
        if self._has_fixed:
            self._check_arguments(args)
        function = self._function or self._build()
        if not self._has_surroundings:
            return function(*args)
        for closed in self.closed_values:
            closed.check()
        with self._own_table(), self._leaving_streams():
            return function(*args)

    def _own_table(self) -> AbstractContextManager[None]:
        """A context in which the graph's objects are the table, if it has any."""
        if self.externals or self.created:
            return in_table(self.externals, self.created)
        return nullcontext()

    def _leaving_streams(self) -> AbstractContextManager[None]:
        """A context in which streams that an error keeps from being left are left."""
        if not self._enters_streams:
            return nullcontext()
        from gpuops.cuda.streams import restoring_streams  # only graphs with streams need it

        return restoring_streams()

    def cuda_graph(self, *args: Any) -> CapturedGraph:
        """Capture a replay into a CUDA graph: one launch for all the kernels.

        Args:
            args: the graph's arguments. Arrays are copied into buffers, as at each launch, and
                back behind it where the graph writes to them; anything else is fixed.

        Returns:
            A function of the same arguments; see `gpuops.cuda.graphs.CapturedGraph`.

        Raises:
            DeviceError: there is no GPU here.
            ArgumentError: no argument is an array of the GPU.
            GraphError: the graph does not hold for the arguments; or an event that others can wait
                for is recorded after a write to an input, which they would not see.
        """
        from gpuops.cuda.graphs import capture  # a host without a GPU has no use for it

        check_records(self)
        return capture(self, args, written_inputs(self))

    def _check_arguments(self, args: tuple[Any, ...]) -> None:
        """Check the structure of arguments, and those that are fixed in the graph."""
        for name, expected, given in zip(self.parameters, self.arguments, args, strict=True):
            if isinstance(expected, Ref):
                continue
            wanted, found = dict(leaves(expected)), dict(leaves(given))
            if wanted.keys() != found.keys():
                raise GraphError(
                    f"argument {name!r} has another structure than when the graph was traced: "
                    f"{describe(given)}"
                )
            for path, leaf in wanted.items():
                value = found[path]
                if not isinstance(leaf, Ref) and not _same(leaf, value):
                    where = "".join(f"[{key!r}]" for key in path)
                    raise GraphError(
                        f"argument {name}{where} was {leaf!r} when the graph was traced, and is "
                        f"fixed in it; got {value!r}"
                    )

    def check_input(self, index: int, array: Any) -> None:
        """Refuse an array that an input cannot have: another number of axes, dtype, device or size.

        Raises:
            GraphError: it names the input, what was traced and what came.
        """
        made = self.inputs[index]
        if not hasattr(array, "shape") or not hasattr(array, "dtype"):
            raise GraphError(
                f"the graph's input {made.name!r} is {made.meta}, got {describe(array)}"
            )
        found = ArrayMeta.of(array)
        meta = made.meta
        problem = None
        if found.device is not meta.device and found.device.type != meta.device.type:
            problem = "Array device mismatch"
        elif found.dtype != meta.dtype:
            problem = "Array dtype mismatch"
        elif len(found.shape) != len(meta.shape):
            problem = "Array rank mismatch"
        else:
            for size, wanted in zip(found.shape, meta.shape, strict=True):
                if not is_symbolic(wanted) and size != wanted:
                    problem = "Array shape mismatch"
        if problem is not None:
            hint = "; tracing_mode='symbolic' makes a graph for other sizes" * ("shape" in problem)
            raise GraphError(
                f"{problem}! The graph's input {made.name!r} is {meta}, got {found}{hint}"
            )

    def check_object(self, index: int, value: Any) -> None:
        """Refuse an opaque object that an argument cannot be.

        Raises:
            GraphError: it is of another class, or the graph does not hold for it.
        """
        made = self.object_inputs[index]
        made.expected.check(f"the graph's input {made.name!r}", value)

    def check_read(self, index: int, value: Any, expected: Any, args: Any, kwargs: Any) -> None:
        """Refuse an opaque object of which something else is read than when it was traced.

        Raises:
            GraphError: it says what.
        """
        self.reads[index].check(value, expected, args, kwargs)

    def condition_error(self, index: int, **values: int) -> GraphError:
        """The error that a condition does not hold for these values of its symbols."""
        condition = self.conditions[index]
        symbols = sorted((self.env.symbols[s] for s in condition.symbols), key=lambda s: s.name)
        listed = ", ".join(f"{s.name} ({s.origin}) is {values[s.name]}" for s in symbols)
        said = f" ({condition.message})" if condition.message else ""
        return GraphError(
            f"the graph holds where {condition}{said}, as it was traced at {condition.location}"
            f"{line_text(condition.location)}; here {listed}"
        )

    def _build(self) -> Callable[..., Any]:
        writer = Writer(self, bound=True)
        source = writer.source()
        filename = f"<gpuops graph #{next(_serial)}>"
        scope = {**writer.globals, "GraphError": GraphError, "__name__": "gpuops.graph"}
        scope |= {constant.name: constant.value for constant in self.constants}
        exec(compile(source, filename, "exec"), scope)
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        weakref.finalize(self, linecache.cache.pop, filename, None)
        function: Callable[..., Any] = scope["forward"]
        self._function = function
        return function

    # -- looking -----------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """The graph as a Python module with a function ``forward``, which needs nothing else.

        What has no spelling in Python (an opaque object, a CuPy array) is a name in it, whose
        value is in `objects`: run it with ``exec(graph.code, dict(graph.objects))``.
        """
        return Writer(self).source()

    def print_readable(self, *, print_output: bool = True) -> str:
        """Print the code, with metadata and the traced lines as comments, and return it."""
        source = Writer(self, comments=True).source()
        if print_output:
            sys.stdout.write(source)
        return source

    def object_name(self, value: Any) -> str:
        """The name in the code of an object that cannot be spelled out."""
        for name, known in self.objects.items():
            if known is value:
                return name
        name = f"object_{len(self.objects)}"
        self.objects[name] = value
        return name

    def __repr__(self) -> str:
        calls = "1 call" if len(self.nodes) == 1 else f"{len(self.nodes)} calls"
        names = ", ".join(self.parameters)
        return f"<Graph({names}) of {calls}, traced in mode {self.tracing_mode!r}>"

    # -- saving ------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """The graph as text (JSON), which `from_text` reads.

        Raises:
            GraphError: it holds something that has no text: an opaque object, a CuPy array.
        """
        return text.dump(self)

    @classmethod
    def from_text(cls, source: str) -> Graph:
        """The graph that `to_text` wrote; nothing in the text is run as Python.

        Raises:
            GraphError: the text is none, or an operator has another schema now.
            OperatorNotFoundError: an operator does not exist.
        """
        return cls(**text.load(source))

    def save(self, path: str | FilePath) -> None:
        """Write `to_text` to a file."""
        FilePath(path).write_text(self.to_text(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | FilePath) -> Graph:
        """Read a file that `save` wrote; see `from_text`."""
        return cls.from_text(FilePath(path).read_text(encoding="utf-8"))


def _owners(ref: Ref) -> Iterator[Any]:
    """What a reference is of; of a member, also the objects around it."""
    owner: Any = ref.owner
    yield owner
    while isinstance(owner, Member):
        owner = owner.parent
        yield owner


def _same(expected: Any, given: Any) -> bool:
    if expected is given:
        return True
    if type(expected) is not type(given):
        return False
    # A nan is the same as another one here.
    return bool(expected == given) or (expected != expected and given != given)


def _alive(nodes: list[Node], outputs: Any, sources: dict[Any, SizeSource]) -> list[Node]:
    """The calls that have an effect, or whose results are used by such a call or returned."""
    used = {id(ref.owner) for ref in refs(outputs)}

    def use_sizes(symbols: set[Any]) -> None:
        for symbol in symbols:
            if symbol in sources:
                used.add(id(sources[symbol].ref.owner))

    def see(path: Any, leaf: Any) -> Any:
        if is_symbolic(leaf):
            use_sizes(leaf.expr.free_symbols)
        return leaf

    map_leaves(see, outputs)
    kept = []
    for node in reversed(nodes):
        if node.has_effect or id(node) in used:
            kept.append(node)
            used |= {id(ref.owner) for ref in refs([node.args, node.kwargs])}
            map_leaves(see, [list(node.args), node.kwargs])
    return kept[::-1]
