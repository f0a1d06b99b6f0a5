"""Section O of the behaviours: overloads, looking operators up, pickling and introspection."""

from __future__ import annotations

import copy
import doctest
import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, custom_op, ops

X = np.ones(2)


@pytest.fixture
def overloaded(ns: str) -> Iterator[Any]:
    """An operator with a default overload and one that takes a dimension."""
    with Library(ns, "DEF") as lib:
        lib.define("f(Array x) -> Array")
        lib.define("f.dim(Array x, int dim, *, bool keep=False) -> Array")
        lib.impl("f", lambda x: x + 1)
        lib.impl("f.dim", lambda x, dim, *, keep: x + 10 * dim)
        yield getattr(ops, ns).f


# O1, A2
def test_overloads_of_custom_ops_share_a_packet(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x + 1

    assert getattr(ops, ns).f is f

    @custom_op(f"{ns}::f.two", mutates_args=())
    def f_two(x: Array, y: Array) -> Array:
        return x + y

    packet = getattr(ops, ns).f
    assert packet(X).tolist() == [2, 2] and packet(X, X).tolist() == [2, 2]
    assert packet.overloads() == f.overloads() == ["default", "two"]
    assert packet.default is f.operator and packet.two is f_two.operator
    assert f(X).tolist() == [2, 2] and f_two(X, X).tolist() == [2, 2]
    f_two.undo()
    assert getattr(ops, ns).f is f


# O2
def test_resolution_by_arguments(overloaded: Any) -> None:
    assert overloaded(X).tolist() == [2, 2]
    assert overloaded(X, 1).tolist() == [11, 11]
    assert overloaded(X, dim=2, keep=True).tolist() == [21, 21]
    assert overloaded(x=X).tolist() == [2, 2]


# O2
def test_when_no_overload_fits_each_says_why(ns: str, overloaded: Any) -> None:
    for args, kwargs, first, second in (
        ((X, "a"), {}, "takes 1 positional arguments, 2 given", "'dim'"),
        ((X,), {"keep": True}, "unknown argument 'keep'", "missing the argument 'dim'"),
        ((), {}, "missing the argument 'x'", "missing the argument 'x'"),
        (("a",), {}, "must be an array", "missing the argument 'dim'"),
        ((X,), {"x": X}, "several values for argument 'x'", "several values for argument 'x'"),
    ):
        with pytest.raises(gpuops.OverloadError, match="failed to match any schema") as caught:
            overloaded(*args, **kwargs)
        head, one, two = str(caught.value).split("\n")
        assert f"{ns}::f(" in head
        assert one.startswith(f"  {ns}::f(Array x) -> Array: ") and first in one
        assert two.startswith(f"  {ns}::f.dim(Array x, int dim") and second in two
    assert isinstance(caught.value, (TypeError, RuntimeError))


# O3
def test_unknown_names(ns: str, overloaded: Any) -> None:
    namespace = getattr(ops, ns)
    with pytest.raises(AttributeError) as caught:
        _ = namespace.g
    assert ns in str(caught.value) and "'g'" in str(caught.value)
    with pytest.raises(AttributeError, match=f"{ns}::f has no overload 'dmi'; it has default, dim"):
        _ = overloaded.dmi
    unknown = getattr(ops, f"{ns}_unknown")
    with pytest.raises(AttributeError, match=f"{ns}_unknown has no operator 'f'"):
        _ = unknown.f
    assert repr(unknown) == f"<gpuops.ops.{ns}_unknown: empty>"
    assert not hasattr(namespace, "g") and not hasattr(namespace, "__wrapped__")
    with pytest.raises((AttributeError, ValueError)):
        getattr(ops, "not a namespace")


# O3
def test_a_namespace_looked_up_early_sees_what_is_defined_later(ns: str) -> None:
    namespace = getattr(ops, ns)
    assert dir(namespace) == []
    with gpuops.define(f"{ns}::f", "(Array x) -> Array"):
        assert dir(namespace) == ["f"] and callable(namespace.f)
    assert dir(namespace) == []


# O4
def test_introspection(ns: str, overloaded: Any) -> None:
    namespace = getattr(ops, ns)
    assert overloaded.overloads() == ["default", "dim"]
    assert {"default", "dim"} <= set(dir(overloaded))
    assert str(overloaded) == f"{ns}.f"
    assert str(overloaded.default) == f"{ns}.f.default" and str(overloaded.dim) == f"{ns}.f.dim"
    assert repr(overloaded.dim) == f"<Operator({ns}::f.dim)>"
    assert f"{ns}::f" in repr(overloaded)
    assert overloaded.dim._schema is overloaded.dim.schema
    assert str(overloaded.default._schema) == f"{ns}::f(Array x) -> Array"
    assert overloaded.default._defined_in_python
    assert dir(namespace) == ["f"] and repr(namespace) == f"<gpuops.ops.{ns}: f>"
    assert ns in dir(ops)
    assert [op.qualname for op in gpuops.operators(ns)] == [f"{ns}::f", f"{ns}::f.dim"]


# O4
@pytest.mark.parametrize("declared", ["custom_op", "define"])
def test_a_single_operator_has_the_same_attributes(ns: str, declared: str) -> None:
    if declared == "custom_op":
        custom_op(f"{ns}::f", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
        handle = None
    else:
        handle = gpuops.define(f"{ns}::f", "(Array x) -> Array")
    f = getattr(ops, ns).f
    assert f.overloads() == ["default"] and str(f.default) == f"{ns}.f.default"
    assert f.default is f.operator and f._schema is f.schema is f.operator.schema
    assert f.tags == f.operator.tags
    if handle is not None:
        handle.undo()


def test_a_custom_op_looks_like_its_function(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def scaled(x: Array, s: float = 2.0) -> Array:
        """Scale."""
        return x * s

    assert scaled.__name__ == "scaled" and scaled.__doc__ == "Scale."
    assert str(inspect.signature(scaled)) == "(x: 'Array', s: 'float' = 2.0) -> 'Array'"
    assert inspect.isfunction(scaled)


# O4
def test_operators_of_what_is_no_namespace() -> None:
    assert gpuops.operators("nothing_is_here") == []
    for wrong in (3, b"ns", ops):
        with pytest.raises(gpuops.UsageError, match="a namespace must be a string, got"):
            gpuops.operators(wrong)  # type: ignore[arg-type]


# N2, O1
def test_overloads_that_were_all_removed(ns: str) -> None:
    with Library(ns, "FRAGMENT") as lib:
        lib.define("f(Array x) -> Array")
        lib.define("f.two(Array x, Array y) -> Array")
        packet = getattr(ops, ns).f
    assert packet.overloads() == []
    for use in (
        lambda: packet(X),
        lambda: packet.operator,
        lambda: gpuops.register_fake(packet, lambda x: x),
        lambda: gpuops.get_kernel(packet),
    ):
        with pytest.raises(gpuops.StaleOperatorError, match=f"stale: {ns}::f was removed"):
            use()


# O4
def test_doctest_finds_a_call_that_its_module_names(ns: str) -> None:
    @custom_op(f"{ns}::doubled", mutates_args=())
    def doubled(x: Array) -> Array:
        """Double an array.

        >>> doubled(np.ones(1))
        array([2.])
        """
        return 2 * x

    module = types.ModuleType("of_an_operator")
    module.__dict__.update(np=np, doubled=doubled, __test__={"doubled": doubled})
    results = doctest.testmod(module)
    assert (results.failed, results.attempted) == (0, 1)


# O5
def test_load_library_of_a_missing_file() -> None:
    with pytest.raises(OSError, match=r"Could not load this library: .*libnoexist\.so"):
        gpuops.load_library("somewhere/libnoexist.so")
    with pytest.raises(OSError, match=r"Could not load this library: .*libnoexist\.so"):
        gpuops.load_library(Path("somewhere") / "libnoexist.so")
    for wrong in (None, 3, b"libm.so"):
        with pytest.raises(TypeError, match="load_library takes the path of a library, got"):
            gpuops.load_library(wrong)  # type: ignore[arg-type]
    # The C library would take it for the program itself.
    with pytest.raises(OSError, match="Could not load this library: '': it names no file"):
        gpuops.load_library("")


def test_load_library(tmp_path: Path) -> None:
    import ctypes.util

    name = ctypes.util.find_library("m")
    if name is None:
        pytest.skip("this system has no C mathematics library to load")
    library = gpuops.load_library(name)
    library.cos.restype, library.cos.argtypes = ctypes.c_double, [ctypes.c_double]
    assert library.cos(0.0) == 1.0


# O6
# The protocols of Python 2 take ASCII names only, which a call's descriptive name is not.
@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_operators_pickle_by_name(ns: str, overloaded: Any, protocol: int) -> None:
    @custom_op(f"{ns}::g", mutates_args=())
    def g(x: Array, s: float = 2.5) -> Array:
        return x * s

    for value in (g, g.operator, overloaded, overloaded.dim):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert again is value or (again(X) == value(X)).all()
    for value in (g, g.operator, overloaded.dim, overloaded.dim.call):
        assert pickle.loads(pickle.dumps(value, protocol)) is value


# O6
def test_operators_copy_to_themselves(ns: str, overloaded: Any) -> None:
    g = custom_op(f"{ns}::g", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    for value in (g, g.operator, overloaded.dim, overloaded):
        assert copy.deepcopy(value) is value
        assert copy.deepcopy([value])[0] is value
    for value in (g, g.operator, overloaded.dim):
        assert copy.copy(value) is value
    assert getattr(ops, ns).g is g


# O6
def test_namespaces_and_markers_copy_to_themselves(ns: str) -> None:
    custom_op(f"{ns}::g", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    for value in (getattr(ops, ns), gpuops.fallthrough_kernel):
        assert copy.copy(value) is value
        assert copy.deepcopy(value) is value
        assert pickle.loads(pickle.dumps(value)) is value


# O6
def test_unpickling_in_a_process_that_lacks_the_operator(ns: str) -> None:
    g = custom_op(f"{ns}::g", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    for value in (g, g.operator):
        text = pickle.dumps(value).hex()
        code = f"import pickle; pickle.loads(bytes.fromhex('{text}'))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"{ns}::g does not exist" in done.stderr


# O6
def test_operators_travel_to_processes(ns: str) -> None:
    """A spawned process imports the module that declares the operator, as pickle needs it to."""
    code = (
        "import multiprocessing, gpuops_kernels, numpy as np\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    with ProcessPoolExecutor(1, mp_context=context) as pool:\n"
        "        op = gpuops_kernels.rms_norm\n"
        "        out = pool.submit(op, np.ones((2, 4)), np.ones(4)).result()\n"
        "        print(np.allclose(out, 1, atol=1e-4))\n"
    )
    # Not a `Pool`: one whose process cannot unpickle its task waits for ever.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_doctests_of_ops() -> None:
    """pytest cannot collect them: it takes every attribute it asks for as a namespace."""
    assert doctest.testmod(ops).failed == 0


# O3
@pytest.mark.parametrize(
    "name", ["re", "Any", "annotations", "registry", "look_up", "listed", "Namespace", "ops", "np"]
)
def test_no_name_is_taken_by_gpuops_itself(name: str) -> None:
    f = custom_op(f"{name}::f", lambda x: x + 1, mutates_args=(), schema="(Array x) -> Array")
    try:
        assert getattr(ops, name).f is f
        assert pickle.loads(pickle.dumps(f)) is f
    finally:
        f.undo()
    # pytest adds names like "@py_builtins" to modules that it rewrites.
    own = [known for known in vars(ops) if known.isidentifier() and not known.startswith("__")]
    assert own == []


# O3
@pytest.mark.parametrize("name", ["prim", "_", "__path__", "not a name", "1a", ""])
def test_what_can_be_no_namespace_is_no_attribute(name: str) -> None:
    assert not hasattr(ops, name)
    with pytest.raises(AttributeError):
        getattr(ops, name)


# O1
def test_overloads_are_attributes_of_the_default_ones_call(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x + 1

    early = getattr(ops, ns).f
    with Library(ns, "FRAGMENT") as lib:
        lib.define("f.two(Array x, Array y) -> Array")
        lib.impl("f.two", lambda x, y: x + y)
        lib.define("f.schema(Array x, Array y, Array z) -> Array")
        for value in (f, early, getattr(ops, ns).f):
            assert value.two is getattr(ops, ns).f.two and value.two(X, X).tolist() == [2, 2]
        # What the call has anyway stays.
        assert f.schema is f.operator.schema
        lib.define("g.two(Array x, Array y) -> Array")
        lib.define("g(Array x) -> Array")
        assert getattr(ops, ns).g.default.call.two is getattr(ops, ns).g.two
    assert not hasattr(f, "two")


# A2, O1
@pytest.mark.parametrize("name", ["overloads", "operator", "__call__", "__x__"])
def test_overload_names_that_would_hide_what_a_packet_has(ns: str, name: str) -> None:
    for refuse in (
        lambda: custom_op(f"{ns}::f.{name}", lambda x: x, mutates_args=(), schema="(Array x)->()"),
        lambda: Library(ns, "FRAGMENT").define(f"f.{name}(Array x) -> Array"),
    ):
        with pytest.raises(gpuops.SchemaError, match=f"'{name}' is a reserved overload name"):
            refuse()


# O2, F5
def test_an_iterator_is_looked_at_once_by_all_overloads(ns: str) -> None:
    with Library(ns, "DEF") as lib:
        lib.define("f(Array x, bool[] a) -> int")
        lib.define("f.ints(Array x, int[] a, int[] b=[]) -> int")
        lib.impl("f", lambda x, a: -len(a))
        lib.impl("f.ints", lambda x, a, b: len(a) + 10 * len(b))
        f = getattr(ops, ns).f
        assert f(X, (n for n in (1, 2, 3))) == 3
        assert f(X, iter([True])) == -1
        assert f(X, a=iter([4]), b=map(int, "12")) == 21


def test_an_operator_may_have_a_name_like_pythons_own(ns: str) -> None:
    for name in ("__call__", "__wrapped__", "__debug__", "_Namespace__name"):
        f = custom_op(f"{ns}::{name}", lambda x: x + 1, mutates_args=(), schema="(Array x)->Array")
        assert f(X).tolist() == [2, 2] and gpuops.get_kernel(f"{ns}::{name}")(X)[0] == 2
    assert repr(getattr(ops, ns)).startswith(f"<gpuops.ops.{ns}: ")
