"""Tracing: what is recorded, what is refused, and what a graph does when it is run again."""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels as kernels
from gpuops import (
    ArgumentError,
    Array,
    Device,
    FakeArray,
    FakeMode,
    Graph,
    GraphError,
    Tag,
    TraceError,
    UnknownSizeError,
    custom_op,
    get_ctx,
    trace,
)
from gpuops.transforms.trace.objects import in_table

MODES = ["real", "fake", "symbolic"]


class Ops:
    """A few operators of one namespace."""

    def __init__(self, ns: str) -> None:
        self.runs = 0

        @custom_op(f"{ns}::mul", mutates_args=())
        def mul(x: Array, y: Array, s: float = 1.0) -> Array:
            self.runs += 1
            return x * y * s

        @mul.register_fake
        def _(x: Any, y: Any, s: float) -> Any:
            get_ctx().check_same_shape(x.shape, y.shape)
            return x.new_empty(x.shape)

        @custom_op(f"{ns}::add_", mutates_args={"x"}, tags=Tag.inplace)
        def add_(x: Array, y: Array) -> Array:
            self.runs += 1
            x += y
            return x

        @custom_op(f"{ns}::note", mutates_args=())
        def note(x: Array) -> None:
            self.noted.append(x.shape)

        @note.register_fake
        def _(x: Any) -> None:
            """Nothing to compute."""

        @custom_op(f"{ns}::halves", mutates_args=())
        def halves(x: Array) -> tuple[Array, list[Array]]:
            half = x.shape[0] // 2
            return x[:half].copy(), [x[half:].copy(), x.copy()]

        @halves.register_fake
        def _(x: Any) -> Any:
            half = x.shape[0] // 2
            rest = (x.shape[0] - half, *x.shape[1:])
            return x.new_empty((half, *x.shape[1:])), [x.new_empty(rest), x.new_empty(x.shape)]

        @custom_op(f"{ns}::make", mutates_args=())
        def make(shape: list[int], fill: float, dtype: gpuops.DType) -> Array:
            return np.full(shape, fill, dtype)

        @make.register_fake
        def _(shape: Any, fill: float, dtype: Any) -> Any:
            return FakeArray(tuple(shape), dtype)

        @custom_op(f"{ns}::count", mutates_args=())
        def count(x: Array) -> int:
            return int(x.sum())

        @count.register_fake
        def _(x: Any) -> Any:
            return get_ctx().new_dynamic_size()

        @custom_op(f"{ns}::mean", mutates_args=())
        def mean(x: Array) -> float:
            return float(x.mean())

        mean.register_fake(lambda x: 0.0)
        self.noted: list[Any] = []
        self.mul, self.add_, self.note, self.halves = mul, add_, note, halves
        self.make, self.count, self.mean = make, count, mean


@pytest.fixture
def ops(ns: str) -> Ops:
    return Ops(ns)


X = np.arange(6.0).reshape(3, 2)


def run_code(graph: Graph, *args: Any) -> Any:
    """The result of the graph's code, run on its own."""
    scope = dict(graph.objects)
    exec(graph.code, scope)
    return scope["forward"](*args)


def everywhere(graph: Graph, *args: Any) -> Iterator[Any]:
    """The results of the graph, of its code, and of the graph from its text."""
    yield graph(*args)
    yield run_code(graph, *args)
    again = Graph.from_text(graph.to_text())
    assert again.code == graph.code and again.to_text() == graph.to_text()
    yield again(*args)


@pytest.mark.parametrize("mode", MODES)
def test_a_graph_replays_what_was_traced(ops: Ops, mode: str) -> None:
    def f(x: Any, y: Any) -> Any:
        z = ops.mul(x, y, 2.0)
        return ops.mul(z, x)

    graph = trace(f, tracing_mode=mode)(X, X + 1)
    for result in everywhere(graph, X, X + 1):
        np.testing.assert_array_equal(result, f(X, X + 1))
    assert [node.target for node in graph.nodes] == [ops.mul.schema.name] * 2
    assert [node.name for node in graph.nodes] == ["mul", "mul_1"]
    first = graph.nodes[0]
    assert str(first.meta).startswith("float64[") and first.meta.device is Device("cpu")
    assert first.args[2] == 2.0 and repr(first.args[0]) == "x"
    assert first.location.file == __file__
    if mode != "symbolic":
        assert first.meta.shape == (3, 2) and first.meta.strides == (16, 8)


@pytest.mark.parametrize(("mode", "runs"), [("real", 2), ("fake", 0), ("symbolic", 0)])
def test_only_the_real_mode_runs_kernels(ops: Ops, mode: str, runs: int) -> None:
    trace(lambda x: ops.mul(ops.mul(x, x), x), mode)(X)
    assert ops.runs == runs


def test_the_code_is_python_with_nothing_else(ops: Ops, ns: str) -> None:
    graph = trace(lambda x, y: ops.mul(x, y, s=0.5), "fake")(X, X)
    assert graph.code == (
        f"from gpuops import ops\n\ndef forward(x, y):\n"
        f"    mul = ops.{ns}.mul(x, y, 0.5)\n    return mul\n"
    )


def test_print_readable_prints_metadata(ops: Ops, capsys: Any) -> None:
    graph = trace(lambda x: ops.halves(x), "symbolic")(X)
    text = graph.print_readable()
    assert capsys.readouterr().out == text
    assert "# float64[((s0) // (2)), s1] on cpu, [float64[" in text
    assert "test_trace.py:" in text
    assert graph.print_readable(print_output=False) == text and capsys.readouterr().out == ""
    exec(text, {})


def test_replay_is_source_that_debuggers_show(ops: Ops) -> None:
    graph = trace(lambda x: ops.mul(x, x))(X)
    graph(X)
    assert "def forward(x):" in inspect.getsource(graph._function)


# -- what is left out and what is kept -------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_dead_calls_go_and_effects_stay_in_order(ops: Ops, mode: str) -> None:
    def f(x: Any) -> Any:
        ops.mul(ops.mul(x, x), x)
        ops.note(ops.mul(x, x))
        y = ops.make([3, 2], 0.0, "float64")
        ops.add_(y, x)
        ops.note(y)
        kernels.nonzero(y)
        return ops.add_(y, x)

    graph = trace(f, mode)(X)
    names = [node.operator.name for node in graph.nodes]
    assert names == ["mul", "note", "make", "add_", "note", "add_"]
    ops.noted.clear()
    np.testing.assert_array_equal(graph(X), 2 * X)
    assert ops.noted == [(3, 2), (3, 2)]


@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_an_input_that_is_written_to_is_written_to_again(ops: Ops, mode: str) -> None:
    x = X.copy()
    graph = trace(lambda x: ops.add_(x, x), mode)(x)
    assert (x == X).all()
    out = graph(x)
    assert out is x and (x == 2 * X).all()


@pytest.mark.parametrize("mode", MODES)
def test_an_array_that_is_passed_twice_is_two_inputs(ops: Ops, mode: str) -> None:
    x = X.copy()
    graph = trace(lambda x, y: ops.mul(ops.add_(x, y), y), mode)(x, x)
    a, b = X.copy(), X + 1
    np.testing.assert_array_equal(graph(a, b), (X + X + 1) * (X + 1))
    np.testing.assert_array_equal(a, X + X + 1)


def test_fakes_are_traced_as_fakes_in_the_real_mode(ops: Ops) -> None:
    graph = trace(lambda x: ops.mul(x, x))(FakeArray((3, 2)))
    assert ops.runs == 0 and graph.tracing_mode == "fake"
    np.testing.assert_array_equal(graph(X), X * X)


def test_tracing_in_the_real_mode_writes_too(ops: Ops) -> None:
    x = X.copy()
    trace(lambda x: ops.add_(x, x))(x)
    assert (x == 2 * X).all()


@pytest.mark.parametrize("mode", MODES)
def test_a_constant_that_is_written_to(ops: Ops, mode: str) -> None:
    total = np.zeros((3, 2))

    def f(x: Any) -> Any:
        assert ops.add_(total, x) is total
        assert ops.add_(total, total) is total
        return ops.mul(x, total)

    graph = trace(f, mode)(X)
    total[:] = 0
    np.testing.assert_array_equal(graph(X), X * 2 * X)
    np.testing.assert_array_equal(total, 2 * X)


def test_calls_with_stateful_objects_stay(ns: str) -> None:
    @custom_op(f"{ns}::draw", mutates_args=())
    def draw(generator: np.random.Generator, n: int) -> Array:
        return generator.random(n)

    generator = np.random.default_rng(3)
    graph = trace(lambda: [draw(generator, 2), None][1])()
    assert [node.operator.name for node in graph.nodes] == ["draw"]
    state = generator.bit_generator.state
    graph()
    assert generator.bit_generator.state != state
    assert "generator = external_objects.get_external_object_by_index(0)" in graph.code
    with in_table(graph.externals):
        assert run_code(graph) is None
    with pytest.raises(GraphError, match=r"looks up L\['generator'\].* cannot be saved as text"):
        graph.to_text()


# -- arguments and results -------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("mode", MODES)
def test_nested_arguments_and_results(ops: Ops, mode: str) -> None:
    def f(x: Any, rest: Any, flag: bool, factor: float) -> Any:
        assert flag
        y = ops.mul(x, rest["a"][0], factor)
        first, (second, third) = ops.halves(y)
        return {"y": y, "parts": [first, (second,)], "n": 3, "none": None, "third": third}

    args = X + 1, {"a": (X + 1, 7), "b": []}, True, float("inf")
    graph = trace(f, mode)(*args)
    expected = f(*args)
    for result in everywhere(graph, *args):
        assert result.keys() == expected.keys()
        np.testing.assert_array_equal(result["y"], expected["y"])
        np.testing.assert_array_equal(result["parts"][0], expected["parts"][0])
        np.testing.assert_array_equal(result["parts"][1][0], expected["parts"][1][0])
        np.testing.assert_array_equal(result["third"], expected["third"])
        assert result["n"] == 3 and result["none"] is None
    with pytest.raises(GraphError, match="argument flag was True .* fixed in it; got False"):
        graph(X, args[1], False, float("inf"))
    with pytest.raises(GraphError, match=r"argument rest\['a'\]\[1\] was 7 .* got 8"):
        graph(X, {"a": (X, 8), "b": []}, True, float("inf"))
    with pytest.raises(GraphError, match="'rest' has another structure"):
        graph(X, {"a": (X,), "b": []}, True, float("inf"))
    with pytest.raises(GraphError, match=r"takes 4 arguments \(x, rest, flag, factor\), 1 were"):
        graph(X)


def test_named_tuples_are_returned_as_such(ops: Ops) -> None:
    graph = trace(lambda x: Pair(ops.mul(x, x), 3))(X)
    assert type(graph(X)) is Pair and type(run_code(graph, X)) is Pair


def test_all_kinds_of_numbers_and_objects_are_spelled(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(
        x: Array, c: complex, d: gpuops.DType, v: Device, s: str, n: list[int], b: bool, e: float
    ) -> Array:
        seen.append((c, d, v, s, n, b, str(e)))
        return x.copy()

    seen: list[Any] = []
    values = (1j - np.inf, np.dtype(">f4"), Device("cuda:1"), "a'b\"", [1, 2], True, np.nan)
    graph = trace(lambda x: f(x, *values))(X)
    list(everywhere(graph, X))
    assert len(seen) == 4 and all(item == seen[0] for item in seen)


@pytest.mark.parametrize("name", ["s0", "u1", "ops", "lambda_", "np", "forward"])
def test_names_that_mean_something_else_are_avoided(ops: Ops, name: str) -> None:
    scope: dict[str, Any] = {"mul": ops.mul}
    exec(f"def f({name}): return [mul({name}, {name}), {name}.shape[0]]", scope)
    graph = trace(scope["f"], "symbolic")(X)
    for result in everywhere(graph, X):
        np.testing.assert_array_equal(result[0], X * X)
        assert result[1] == 3


def test_functions_without_names_for_their_arguments(ops: Ops) -> None:
    graph = trace(lambda *arrays: ops.mul(*arrays))(X, X)
    assert graph.parameters == ["arrays_0", "arrays_1"]
    np.testing.assert_array_equal(graph(X, X), X * X)


@pytest.mark.parametrize("mode", MODES)
def test_arrays_from_outside_are_constants(ops: Ops, mode: str) -> None:
    weight = np.array([[1.0, np.nan], [np.inf, -0.0], [3.5, 1e-300]])
    graph = trace(lambda x: (ops.mul(x, weight), ops.mul(x, weight)), mode)(X)
    assert [constant.value is weight for constant in graph.constants] == [True]
    for result in everywhere(graph, X):
        np.testing.assert_array_equal(result[0], X * weight)


def test_factories_are_recorded(ops: Ops) -> None:
    graph = trace(lambda x: ops.mul(x, ops.make([3, 2], 2.0, "float64")), "fake")(X)
    assert [node.operator.name for node in graph.nodes] == ["make", "mul"]
    for result in everywhere(graph, X):
        np.testing.assert_array_equal(result, 2 * X)


# -- checks of what a graph is run with ------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_graph_checks_its_inputs(ops: Ops, mode: str) -> None:  # X12
    graph = trace(lambda x: ops.mul(x, x), mode)(X)
    with pytest.raises(GraphError, match=r"Array dtype mismatch! The graph's input 'x' is float64"):
        graph(X.astype("float32"))
    with pytest.raises(GraphError, match="Array rank mismatch!"):
        graph(X[0])
    with pytest.raises(GraphError, match="Array device mismatch! .* got float64"):
        graph(FakeArray((3, 2), device="cuda"))
    with pytest.raises(GraphError, match="'x' is float64.*, got list of length 2"):
        graph([1, 2])
    if mode != "symbolic":
        with pytest.raises(GraphError, match="shape mismatch! .* tracing_mode='symbolic'"):
            graph(X[:2])


def test_a_graph_of_fakes_has_fake_results(ops: Ops) -> None:
    graph = trace(lambda x: ops.mul(x, x), "symbolic")(X)
    out = graph(FakeArray((10**9, 10**6)))
    assert type(out) is FakeArray and out.shape == (10**9, 10**6)


def test_a_graph_can_be_traced(ops: Ops) -> None:
    inner = trace(lambda x: ops.mul(x, x), "symbolic")(X)
    outer = trace(lambda x: inner(inner(x)), "symbolic")(X)
    assert len(outer.nodes) == 2
    np.testing.assert_array_equal(outer(X[:1]), X[:1] ** 4)


def test_tracings_nest(ops: Ops) -> None:
    inner: list[Graph] = []

    def f(x: Any) -> Any:
        inner.append(trace(lambda y: ops.mul(y, x))(x))
        return inner[0](x)

    graph = trace(f)(X)
    np.testing.assert_array_equal(graph(X), X * X)
    # Both tracings ran the call: the inner one while it recorded, the outer one for its result.
    assert [node.operator.name for node in graph.nodes] == ["mul"]
    assert len(inner[0].nodes) == 1


# -- symbolic sizes --------------------------------------------------------------------------------


def test_a_symbolic_graph_holds_for_other_sizes(ops: Ops) -> None:
    def f(x: Any, y: Any) -> Any:
        z = ops.make([x.shape[0] * 2, x.shape[1] + 1], 1.5, "float64")
        return ops.mul(x, y), z, x.shape[0] // 2

    graph = trace(f, "symbolic")(X, X)
    for args in ((X, X), (np.ones((5, 4)), np.ones((5, 4))), (np.ones((0, 1)), np.ones((0, 1)))):
        for result in everywhere(graph, *args):
            expected = f(*args)
            np.testing.assert_array_equal(result[0], expected[0])
            np.testing.assert_array_equal(result[1], expected[1])
            assert result[2] == expected[2]
    with pytest.raises(GraphError) as caught:
        graph(X, np.ones((4, 2)))
    text = str(caught.value)
    assert "the graph holds where s0 == s2" in text and "shapes differ in axis 0" in text
    assert "s0 (axis 0 of the input 'x') is 3, s2 (axis 0 of the input 'y') is 4" in text
    with pytest.raises(GraphError, match="s0 == s2 does not hold: s0 is 3, s2 is 4"):
        run_code(graph, X, np.ones((4, 2)))
    with pytest.raises(GraphError, match="holds where s0 == s2"):
        Graph.from_text(graph.to_text())(X, np.ones((4, 2)))


def test_a_branch_on_a_size_becomes_a_condition(ops: Ops) -> None:
    def f(x: Any) -> Any:
        if x.shape[0] > 2:
            return ops.mul(x, x, 2.0)
        return x

    graph = trace(f, "symbolic")(X)
    assert [str(condition) for condition in graph.conditions] == ["2 < s0"]
    np.testing.assert_array_equal(graph(np.ones((4, 1))), np.full((4, 1), 2.0))
    with pytest.raises(GraphError, match=r"holds where 2 < s0.*`if x.shape\[0\] > 2:`; here s0 "):
        graph(np.ones((2, 1)))


def test_layouts_are_traced_in_terms_of_sizes(ops: Ops) -> None:
    graph = trace(lambda x, y: (x, y), "symbolic")(X.T, np.zeros((4, 6))[::2, ::3].T)
    assert [str(made.meta.strides) for made in graph.inputs] == ["(8, 8*s0)", "(24, 96)"]


@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_sizes_that_depend_on_data_are_traced(ops: Ops, mode: str) -> None:  # Q6
    def f(x: Any) -> Any:
        rows = kernels.nonzero(x)
        n = rows.shape[0]
        return ops.make([n, 2 * n + 1], 7.0, "float64"), n

    graph = trace(f, mode)(X)
    for result in everywhere(graph, X):
        assert result[0].shape == (5, 11) and result[1] == 5
    assert "u0 = nonzero.shape[0]" in graph.code


def test_a_size_out_of_its_bounds_is_found_at_replay(ns: str) -> None:
    @custom_op(f"{ns}::pick", mutates_args=())
    def pick(x: Array) -> Array:
        return x[x > 0]

    pick.register_fake(lambda x: x.new_empty((get_ctx().new_dynamic_size(min=1, max=2) * 2 + 1,)))
    graph = trace(pick, "fake")(np.ones(3))
    for result in everywhere(graph, np.array([1.0, 1, 1])):
        assert result.shape == (3,)
    assert "u0 = (pick.shape[0] - 1) // 2" in graph.code
    with pytest.raises(GraphError, match="pick has another size .* u0 >= 1, but u0 is 0"):
        graph(np.array([1.0, 0, 0]))


def test_a_branch_on_a_size_that_depends_on_data_is_an_error() -> None:  # Q4
    def f(x: Any) -> Any:
        rows = kernels.nonzero(x)
        return rows if rows.shape[0] > 3 else x

    with pytest.raises(UnknownSizeError, match=r"u0 .*nonzero.*`return rows if rows"):
        trace(f, "symbolic")(X)


@pytest.mark.parametrize("mode", MODES)
def test_an_int_that_an_operator_returns_is_traced(ops: Ops, mode: str) -> None:
    def f(x: Any) -> Any:
        n = ops.count(x)
        return ops.make([n, 2], 1.0, "float64"), n + 1

    graph = trace(f, mode)(X)
    for result in everywhere(graph, np.full((3, 2), 2.0)):
        assert result[0].shape == (12, 2) and result[1] == 13


def test_fakes_with_symbols_can_be_inputs(ops: Ops) -> None:
    mode = FakeMode()
    assert mode.shape_env is not None
    n = mode.shape_env.new_dynamic()
    with mode:
        x, y = FakeArray((n, 2)), FakeArray((n * 2, 2))
    graph = trace(lambda x, y: (ops.mul(x, x), y, n), "fake")(x, y)
    for result in everywhere(graph, np.ones((5, 2)), np.ones((10, 2))):
        assert result[2] == 5
    with pytest.raises(GraphError, match=r"y.shape\[0\] must be 2\*u0, but is 5"):
        graph(np.ones((5, 2)), np.ones((5, 2)))


def test_a_size_that_nothing_tells_is_an_error(ops: Ops) -> None:
    mode = FakeMode()
    assert mode.shape_env is not None
    n = mode.shape_env.new_dynamic()
    fake = mode.from_array(X)
    with pytest.raises(TraceError, match=r"with the size u0, which depends on u0 .*; no input"):
        trace(lambda x: ops.make([n], 1.0, "int8"), "fake")(fake)
    with pytest.raises(GraphError, match=r"the size u0 depends on u0 .* which no input"):
        trace(lambda x: n, "fake")(fake)


# -- what cannot be traced -------------------------------------------------------------------------

DATA = {
    "branch": (lambda x: 1 if x else 2, "branches on the data of an array"),
    "float": (float, "makes a float"),
    "int": (int, "makes an int"),
    "complex": (complex, "makes a complex"),
    "index": (lambda x: range(9)[x], "makes an index or a size"),
    "asarray": (np.asarray, "makes a NumPy array"),
    "item": (lambda x: x.item(), "makes a number"),
    "tolist": (lambda x: x.tolist(), "makes a number"),
    "in": (lambda x: 3 in x, "asks what is in the data of an array"),
    "dlpack": (lambda x: np.from_dlpack(x), "exports the data of an array"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("look", "what"), DATA.values(), ids=DATA)
def test_looking_at_data_is_an_error_with_the_line(mode: str, look: Any, what: str) -> None:
    def f(x: Any) -> Any:
        return look(x)

    with pytest.raises(
        TraceError, match=f"the traced function {what} at .*test_trace.py:"
    ) as caught:
        trace(f, mode)(np.array(1.0))
    assert "`" in str(caught.value) and "TracingArray(x: float64[" in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_a_number_that_would_be_fixed_is_an_error(ops: Ops, ns: str, mode: str) -> None:
    with pytest.raises(TraceError, match=f"{ns}::mean returned float .* fixed in the graph"):
        trace(lambda x: ops.mul(x, x, ops.mean(x)), mode)(X)


def test_arrays_do_not_outlive_their_tracing(ops: Ops) -> None:
    kept: list[Any] = []
    trace(kept.append)(X)
    with pytest.raises(TraceError, match="of a tracing that has ended"):
        ops.mul(kept[0], kept[0])


def test_fakes_that_are_no_inputs_are_refused(ops: Ops) -> None:
    fake = FakeArray((3, 2))
    with pytest.raises(TraceError, match="with a fake array that is no input"):
        trace(lambda x: ops.mul(x, fake), "fake")(X)
    with pytest.raises(TraceError, match="returned a fake array that it made"):
        trace(lambda x: fake, "fake")(X)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ArgumentError, match="must be .* 'symbolic' or 'draft', got 'pre'"):
        trace(lambda x: x, "pre")


def test_after_an_error_calls_run_as_before(ops: Ops) -> None:
    def f(x: Any) -> Any:
        ops.mul(x, x)
        raise KeyError("stop")

    with pytest.raises(KeyError):
        trace(f, "symbolic")(X)
    assert type(ops.mul(X, X)) is np.ndarray
    assert type(ops.make([1], 1.0, np.dtype("int8"))) is np.ndarray


# -- text ------------------------------------------------------------------------------------------


def test_a_graph_is_saved_and_loaded(ops: Ops, tmp_path: Any) -> None:
    graph = trace(lambda x: ops.mul(x, x), "symbolic")(X)
    graph.save(tmp_path / "graph.json")
    again = Graph.load(tmp_path / "graph.json")
    np.testing.assert_array_equal(again(X[:1]), X[:1] ** 2)
    assert again.print_readable(print_output=False) == graph.print_readable(print_output=False)
    assert repr(again) == "<Graph(x) of 1 call, traced in mode 'symbolic'>"
    assert repr(again.nodes[0]) == repr(graph.nodes[0])


def test_text_of_another_operator_is_refused(ops: Ops, ns: str) -> None:
    text = trace(lambda x: ops.mul(x, x))(X).to_text()
    ops.mul.undo()
    with pytest.raises(gpuops.OperatorNotFoundError, match=f"{ns}::mul does not exist"):
        Graph.from_text(text)

    @custom_op(f"{ns}::mul", mutates_args=())
    def mul(x: Array) -> Array:
        return x

    with pytest.raises(GraphError, match=rf"saved with {ns}::mul\(Array x, Array y, float s=1.0\)"):
        Graph.from_text(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "the text is no graph: JSONDecodeError"),
        (lambda t: "[]", "the text is no graph: TypeError"),
        (lambda t: t.replace('"gpuops graph"', '"onnx"'), "format is 'onnx', not 'gpuops graph'"),
        (lambda t: t.replace('"version": 1', '"version": 2'), "of version 2 .* reads 1"),
        (lambda t: t.replace('"nodes"', '"knots"'), "the text is no graph: KeyError: 'nodes'"),
        (lambda t: t.replace("s0", "__import__('os')", 1), "no expression|no graph"),
        (lambda t: t.replace('"kind": "=="', '"kind": "in"'), "'in' is no comparison"),
    ],
)
def test_text_that_is_no_graph_is_refused(ops: Ops, change: Any, message: str) -> None:
    text = trace(lambda x, y: ops.mul(x, y), "symbolic")(X, X).to_text()
    with pytest.raises(GraphError, match=message):
        Graph.from_text(change(text))


def test_arrays_without_text_are_not_saved(ops: Ops) -> None:
    constant = np.array([[2, 1]] * 3, object)
    graph = trace(lambda x: ops.mul(x, constant))(X.astype(object))
    with pytest.raises(GraphError, match="the constant 'constant' cannot be saved as text"):
        graph.to_text()


@pytest.mark.parametrize("mode", MODES)
def test_a_call_whose_arrays_are_all_from_elsewhere_is_recorded(
    ops: Ops, ns: str, mode: str
) -> None:
    constant = np.arange(3.0)
    graph = trace(lambda x: gpuops.xp.add(x, gpuops.xp.sum(constant)), mode)(np.ones(3))
    assert [node.target for node in graph.nodes] == ["xp::sum", "xp::add"]
    constant += 1
    np.testing.assert_array_equal(graph(np.ones(3)), np.full(3, 7.0))
