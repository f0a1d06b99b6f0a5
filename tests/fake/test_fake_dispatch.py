"""Operators on fakes: which fake kernel runs, and what it may return."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import (
    AliasError,
    Array,
    Device,
    DeviceError,
    FakeArray,
    FakeContextError,
    FakeMixError,
    FakeMode,
    Library,
    NoFakeError,
    OperatorNotFoundError,
    ReturnError,
    Tag,
    UsageError,
    custom_op,
    get_ctx,
)
from gpuops.transforms.fake import of_metadata

X = FakeArray((2, 3), "float32")


def never(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a real kernel ran on fakes")


def declare(ns: str, schema: str, **kwargs: Any) -> Any:
    """An operator whose only kernel must not run."""
    parsed = gpuops.parse_schema(schema)

    def kernel(*args: Any, **keywords: Any) -> Any:
        never()

    names = [p.name for p in parsed.positional]
    only = [p.name for p in parsed.keyword_only]
    source = f"def kernel({', '.join([*names, *(['*'] if only else []), *only])}): never()"
    scope: dict[str, Any] = {"never": never}
    exec(source, scope)
    return custom_op(
        f"{ns}::f", scope["kernel"], mutates_args=parsed.mutated, schema=schema, **kwargs
    )


def test_a_missing_fake_says_what_to_write(ns: str) -> None:  # P1, P6
    op = declare(ns, "(Array x, *, float s=2.0) -> Array")
    with pytest.raises(NoFakeError) as caught:
        op(X)
    text = str(caught.value)
    assert isinstance(caught.value, RuntimeError)
    assert f"There was no fake impl registered for <CustomOp({ns}::f)>" in text
    assert "Please use `f.register_fake`" in text
    assert "@f.register_fake\n    def _(x, *, s):\n        return x.new_empty(shape)" in text
    assert "test_fake_dispatch.py:" in text


def test_a_missing_fake_of_a_library_operator_names_it(ns: str) -> None:  # P1
    with Library(ns, "DEF") as lib:
        lib.define("g(Array x) -> Array")
        with pytest.raises(NoFakeError, match=rf'Please use `gpuops.register_fake\("{ns}::g"\)`'):
            getattr(gpuops.ops, ns).g(X)


def test_the_text_of_the_error_works(ns: str) -> None:  # P1
    op = declare(ns, "(Array x, *, float s=2.0) -> Array")
    with pytest.raises(NoFakeError) as caught:
        op(X)
    lines = str(caught.value).split("\n\n")[1].splitlines()
    code = "\n".join(line.removeprefix("    ") for line in lines)
    exec(code.replace("(shape)", "(x.shape)"), {"f": op})
    assert op(X).shape == (2, 3)


@pytest.mark.parametrize("how", ["method", "name", "overload", "library", "call"])
def test_a_fake_can_be_registered_in_every_way(ns: str, how: str) -> None:  # P2
    op = declare(ns, "(Array x) -> Array")

    def fake(x: Any) -> Any:
        return x.new_empty((7,))

    if how == "method":
        assert op.register_fake(fake) is fake
    elif how == "name":
        assert gpuops.register_fake(f"{ns}::f")(fake) is fake
    elif how == "overload":
        assert gpuops.register_fake(op.default, fake).active
    elif how == "call":
        assert gpuops.register_fake(op, fake).location.file == __file__
    else:
        lib = Library(ns, "IMPL")
        lib.register_fake("f", fake)
    assert op(X).shape == (7,)
    assert op.default(X).shape == (7,)
    if how == "library":
        lib.destroy()
        with pytest.raises(NoFakeError):
            op(X)


def test_a_fake_checks_what_the_kernel_checks(ns: str) -> None:  # P3
    op = declare(ns, "(Array x) -> Array")

    @op.register_fake
    def _(x: Any) -> Any:
        if x.ndim != 1 or x.device.type != "cuda":
            raise ValueError(f"one axis on cuda, got {x.ndim} on {x.device}")
        return x.new_empty((0,))

    with pytest.raises(ValueError, match="one axis on cuda, got 2 on cpu"):
        op(X)
    assert op(FakeArray((3,), device="cuda:5")).device == "cuda:5"


def test_shape_and_strides_are_as_the_fake_returned_them(ns: str) -> None:  # P3
    with Library(ns, "DEF") as lib:
        lib.define("g(Array x) -> Array")
        lib.impl("g", never, "cpu")
        lib.register_fake("g", lambda x: x.new_empty((4, 5), strides=(1, 4), dtype="int8"))
        out = getattr(gpuops.ops, ns).g(X)
    assert (out.shape, out.strides, out.dtype) == ((4, 5), (1, 4), np.int8)


def test_a_default_kernel_is_a_library_operators_fake(ns: str) -> None:  # P4
    with Library(ns, "DEF") as lib:
        lib.define("g(Array x) -> Array")
        lib.impl("g", lambda x: x.new_empty((1,)))
        lib.impl("g", never, "cpu")
        assert getattr(gpuops.ops, ns).g(X).shape == (1,)
        with lib.register_fake("g", lambda x: x.new_empty((2,))):
            assert getattr(gpuops.ops, ns).g(X).shape == (2,)
        assert getattr(gpuops.ops, ns).g(X).shape == (1,)


# torch's composite operators are made of other operators and refuse a fake of their own. gpuops has
# no such kind: what is made of operators is a function, a default kernel is what P4 says.
def test_what_is_made_of_operators_takes_no_fake(ns: str) -> None:  # P5
    @custom_op(f"{ns}::double", mutates_args=(), schema="(Array x) -> Array")
    def double(x: Any) -> Any:
        return 2 * x

    double.register_fake(lambda x: x.new_empty(x.shape))

    def quadruple(x: Any) -> Any:
        return double(double(x))

    assert quadruple(X).shape == X.shape
    for composite in (quadruple, gpuops.xp.hstack):
        with pytest.raises(UsageError, match="expected an operator .* got an object of type func"):
            gpuops.register_fake(composite, lambda x: x)
    with pytest.raises(OperatorNotFoundError, match="operator xp::hstack does not exist"):
        gpuops.register_fake("xp::hstack", lambda arrays: arrays[0])
    with Library(ns, "FRAGMENT") as lib:
        lib.define("g(Array x) -> Array")
        with pytest.raises(DeviceError, match="Expected one of cpu, cuda .*CompositeImplicit"):
            lib.impl("g", quadruple, "CompositeImplicitAutograd")
        with pytest.raises(NoFakeError, match=f"{ns}::g"):
            getattr(gpuops.ops, ns).g(X)


def test_a_custom_ops_own_function_is_no_fake(ns: str) -> None:  # P1
    op = custom_op(
        f"{ns}::f", lambda x: x.new_empty(()), mutates_args=(), schema="(Array x) -> Array"
    )
    with pytest.raises(NoFakeError):
        op(X)


def test_mutating_operators_need_no_fake(ns: str) -> None:  # P6
    op = declare(ns, "(Array(a!) x, Array y) -> ()")
    assert op(X, X) is None


def test_in_place_operators_need_no_fake(ns: str) -> None:  # J1
    op = declare(ns, "(Array(a!) x, float s) -> Array(a!)", tags=Tag.inplace)
    assert op(X, 2.0) is X


def test_out_operators_need_no_fake(ns: str) -> None:  # J7
    schema = "(Array x, *, Array(a!) out, Array(b!) rest) -> (Array(a!), Array(b!))"
    op = declare(ns, schema, tags=Tag.out)
    a, b = FakeArray((1,)), FakeArray((2,))
    first, second = op(X, out=a, rest=b)
    assert first is a and second is b
    with pytest.warns(UserWarning, match=r"Tag\.out"):  # J5
        op.register_fake(lambda x, *, out, rest: (out, rest))
    assert op(X, out=a, rest=b)[1] is b


# -- what a fake may return ------------------------------------------------------------------------


def returns(value: Any) -> Any:
    return lambda x, y=None: value(x) if callable(value) else value


@pytest.mark.parametrize(
    ("schema", "value", "error", "message"),
    [
        ("(Array x) -> Array", None, ReturnError, "its output is declared as Array, but its fake"),
        ("(Array x) -> Array", None, ReturnError, "returned None"),
        ("(Array x) -> Array", lambda x: x, AliasError, "its output is the argument 'x' itself"),
        (
            "(Array x) -> Array",
            np.zeros(3),
            ReturnError,
            r"returned a real array, numpy.ndarray float64\[3\]; .* x.new_empty\(shape\)",
        ),
        (
            "(Array x) -> Array",
            lambda x: (x.new_empty(1),),
            ReturnError,
            "returned tuple of length 1",
        ),
        ("(Array x) -> Array", 3, ReturnError, "returned int 3"),
        ("(Array x) -> (Array, Array)", None, ReturnError, "a tuple of 2 but .* returned None"),
        (
            "(Array x) -> (Array, Array)",
            lambda x: (x.new_empty(1),),
            ReturnError,
            "return 2 values but .* returned 1",
        ),
        (
            "(Array x) -> (Array, Array)",
            lambda x: (x.new_empty(1), None),
            ReturnError,
            "output 1 is declared as Array",
        ),
        (
            "(Array x) -> (Array, Array)",
            lambda x: (x.new_empty(1), x),
            AliasError,
            "output 1 is the",
        ),
        ("(Array x) -> ()", lambda x: x, NoFakeError, "no fake impl"),
        ("(Array[] x) -> Array", lambda x: x[0], AliasError, r"the argument 'x\[0\]' itself"),
        ("(Array x) -> Array[]", lambda x: [x], AliasError, "the argument 'x' itself"),
        ("(Array x) -> Array[]", lambda x: x.new_empty(1), ReturnError, "declared as Array\\[\\]"),
        ("(Array x) -> SymInt", "7", ReturnError, "returned something else: got str '7'"),
    ],
)
def test_a_wrong_output_is_refused(  # P8
    ns: str, schema: str, value: Any, error: type, message: str
) -> None:
    op = declare(ns, schema)
    if error is not NoFakeError:
        op.register_fake(returns(value))
        message = f"(?s){message}.*test_fake_dispatch.py:\\d+|{message}"
    argument = [X] if "[] x" in schema else X
    with pytest.raises(error, match=message) as caught:
        op(argument)
    assert f"{ns}::f" in str(caught.value)
    if error is not NoFakeError:
        assert str(caught.value).count("test_fake_dispatch.py:") == 2  # the fake, the operator


def test_a_view_of_an_argument_stands_for_a_new_array(ns: str) -> None:  # P8
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(lambda x: x.new_view((3, 2), (4, 12)))
    out = op(X)
    assert (out.shape, out.strides, out.base, out.flags.owndata) == ((3, 2), (4, 12), None, True)


def test_a_declared_alias_may_be_returned(ns: str) -> None:  # P8
    op = declare(ns, "(Array(a) x) -> Array(a)")
    op.register_fake(lambda x: x.new_view((3, 2), (4, 12)))
    assert op(X).base is X
    op.register_fake(lambda x: x)
    assert op(X) is X


def test_numbers_lists_and_none_may_be_returned(ns: str) -> None:
    op = declare(ns, "(Array x) -> (Array[], SymInt, float, bool, Array?)")
    op.register_fake(lambda x: [(x.new_empty(1), x.new_empty(2)), 3, 4, True, None])
    arrays, number, real, truth, nothing = op(X)
    assert [a.shape for a in arrays] == [(1,), (2,)]
    assert (number, real, truth, nothing) == (3, 4.0, True, None)
    assert type(real) is float


# -- arguments -------------------------------------------------------------------------------------


def test_real_and_fake_arrays_do_not_mix(ns: str) -> None:  # P9
    op = declare(ns, "(Array x, Array[] rest, *, Array? z=None) -> Array")
    op.register_fake(lambda x, rest, *, z: x.new_empty(1))
    assert op(X, [X], z=X).shape == (1,)
    with pytest.raises(FakeMixError, match="please convert all arrays to fakes first") as caught:
        op(X, [X, np.zeros(3)])
    assert r"'rest[1]' (numpy.ndarray float64[3]) real, but 'x', 'rest[0]' fake" in str(
        caught.value
    )
    assert "from_array" in str(caught.value)
    with pytest.raises(FakeMixError, match="'z' .* real"):
        op(X, [], z=np.zeros(3))


def test_numpys_numbers_go_with_fakes(ns: str) -> None:  # P9
    op = declare(ns, "(Array x, Array[] rest) -> Array")
    op.register_fake(lambda x, rest: x.new_empty((), np.result_type(x, *rest)))
    x = FakeArray((2,), "float32", "cuda:1")
    assert op(x, [np.asarray(2.0), np.asarray(np.int8(3))]).dtype == np.float64
    assert op(np.asarray(2), [x]).device == "cuda:1"
    with pytest.raises(FakeMixError, match="'rest.1.' .* real"):
        op(x, [np.asarray(2), np.ones(1)])
    with FakeMode(), pytest.raises(FakeMixError, match="made in a FakeMode"):
        op(np.asarray(2), [])


def test_fakes_of_two_modes_do_not_mix(ns: str) -> None:
    op = declare(ns, "(Array x, Array y) -> Array")
    op.register_fake(lambda x, y: x.new_empty(1))
    one, other = (FakeMode().from_array(np.zeros(2)) for _ in range(2))
    with pytest.raises(FakeMixError, match="'x', 'y' come from different FakeModes"):
        op(one, other)
    assert op(one, X).fake_mode is one.fake_mode


def test_fakes_on_two_devices_do_not_mix(ns: str) -> None:  # P3
    op = declare(ns, "(Array x, Array y) -> Array")
    op.register_fake(lambda x, y: x.new_empty(1))
    with pytest.raises(DeviceError, match="'x' is on cpu and 'y' is on cuda:1"):
        op(X, FakeArray((1,), device="cuda:1"))


def test_arguments_are_converted_for_a_fake_as_for_a_kernel(ns: str) -> None:
    op = declare(ns, "(Array x, float s, SymInt[2] n, dtype t, device d) -> Array")
    seen = []
    op.register_fake(lambda *args: seen.append(args[1:]) or args[0].new_empty(1))
    op(X, 3, 4, "int8", "cuda:1")
    op(X, 3.0, [4, 4], np.dtype("int8"), Device("cuda:1"))
    assert seen[0] == seen[1] == (3.0, [4, 4], np.dtype("int8"), Device("cuda:1"))
    with pytest.raises(gpuops.ArgumentError, match="'s'"):
        op(X, "three", 4, "int8", "cpu")


def test_a_removed_operator_is_stale_for_fakes_too(ns: str) -> None:
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(lambda x: x.new_empty(1))
    assert op(X).shape == (1,)
    op.undo()
    with pytest.raises(gpuops.StaleOperatorError):
        op(X)


# -- FakeMode --------------------------------------------------------------------------------------


def test_in_a_mode_no_kernel_runs(ns: str) -> None:  # P3, P9
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(lambda x: x.new_empty(1))
    mode = FakeMode()
    with mode:
        with pytest.raises(FakeMixError, match="'x' .* real, but the call is made in a FakeMode"):
            op(np.zeros(3))
        assert op(mode.from_array(np.zeros(3))).fake_mode is mode
        assert op(X).shape == (1,)
    with pytest.raises(AssertionError, match="a real kernel ran"):
        op(np.zeros(3))


def test_factories_give_fakes_in_a_mode(ns: str) -> None:
    @custom_op(f"{ns}::make", mutates_args=(), device_types="cpu")
    def make(n: int, device: Device) -> Array:
        return np.zeros(n)

    @custom_op(f"{ns}::make_default", mutates_args=())
    def make_default(n: int) -> Array:
        return np.zeros(n)

    make.register_fake(lambda n, device: FakeArray((n,), device=device))
    make_default.register_fake(lambda n: FakeArray((n,)))
    cpu = Device("cpu")
    assert type(make(3, cpu)) is np.ndarray and type(make_default(3)) is np.ndarray
    with FakeMode() as mode, mode:
        for out in (make(3, cpu), make(3, "cuda:2"), make_default(3)):
            assert out.shape == (3,) and out.fake_mode is mode
        assert make(3, "cuda:2").device == "cuda:2"
    assert type(make(3, cpu)) is np.ndarray and type(make_default(3)) is np.ndarray


def test_factories_give_fakes_in_a_fake_kernel(ns: str) -> None:
    @custom_op(f"{ns}::make", mutates_args=())
    def make(n: int) -> Array:
        return np.zeros(n)

    make.register_fake(lambda n: FakeArray((n,)))
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(lambda x: make(x.shape[0]))
    assert op(X).shape == (2,)
    assert type(make(3)) is np.ndarray
    mode = FakeMode()
    assert op(mode.from_array(np.zeros((2, 3)))).fake_mode is mode


def test_a_mode_is_of_its_thread_only(ns: str) -> None:
    op = custom_op(f"{ns}::f", lambda x: x + 1, mutates_args=(), schema="(Array x) -> Array")
    results: list[Any] = []
    with FakeMode():
        thread = threading.Thread(target=lambda: results.append(op(np.zeros(2))))
        thread.start()
        thread.join()
    assert results[0].tolist() == [1, 1]


def test_several_threads_may_use_one_mode(ns: str) -> None:
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(lambda x: x.new_empty((get_ctx().new_dynamic_size(),)))
    mode, x = FakeMode(), np.zeros(3)
    together = threading.Barrier(4)
    found: list[str] = []

    def work() -> None:
        for _ in range(20):
            together.wait()
            with mode:
                out = op(mode.from_array(x))
                together.wait()
                with mode:
                    found.append(str(out.shape[0]))
                assert FakeArray(()).fake_mode is mode
            assert FakeArray(()).fake_mode is None

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 80


def test_from_array_takes_arrays_only() -> None:
    mode = FakeMode()
    for wrong in ([1, 2], 3.0, np.float32(3), np.ma.zeros(3), FakeMode().from_array(np.zeros(2))):
        with pytest.raises(gpuops.ArgumentError, match=r"from_array takes a NumPy or CuPy array"):
            mode.from_array(wrong)
    fake = mode.from_array(np.zeros(2))
    assert mode.from_array(fake) is fake


def test_from_array_remembers_arrays_while_they_live() -> None:
    mode = FakeMode()
    array = np.zeros(2)
    assert mode.from_array(array) is mode.from_array(array)
    assert len(mode._fakes) == 1
    del array
    assert len(mode._fakes) == 0


# -- get_ctx ---------------------------------------------------------------------------------------


def test_there_is_no_context_outside_a_fake(ns: str) -> None:  # Q8
    with pytest.raises(FakeContextError, match="only be called while a fake kernel runs"):
        get_ctx()
    with FakeMode(), pytest.raises(RuntimeError):
        get_ctx()
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(lambda x: x.new_empty(int(get_ctx().operator is op.operator)))
    assert op(X).shape == (1,)
    with pytest.raises(FakeContextError):
        get_ctx()


def test_the_context_of_one_thread_is_not_that_of_another(ns: str) -> None:  # Q8
    op = declare(ns, "(Array x) -> Array")
    found: list[Any] = []

    def look() -> None:
        try:
            found.append(get_ctx())
        except FakeContextError as error:
            found.append(error)

    @op.register_fake
    def _(x: Any) -> Any:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return x.new_empty(1)

    op(X)
    assert isinstance(found[0], FakeContextError)


def test_the_context_goes_when_a_fake_fails(ns: str) -> None:  # Q8
    op = declare(ns, "(Array x) -> Array")

    @op.register_fake
    def _(x: Any) -> Any:
        raise KeyError("fails")

    with pytest.raises(KeyError):
        op(X)
    with pytest.raises(FakeContextError):
        get_ctx()


def test_one_fake_may_call_another_operator(ns: str) -> None:
    inner = custom_op(
        f"{ns}::inner", lambda x: never(), mutates_args=(), schema="(Array x) -> Array"
    )
    inner.register_fake(lambda x: x.new_empty((len(get_ctx().operator.name),)))
    op = declare(ns, "(Array x) -> Array")

    @op.register_fake
    def _(x: Any) -> Any:
        out = inner(x)
        assert get_ctx().operator is op.operator
        return out

    assert op(X).shape == (5,)


# -- fakes that are remembered ---------------------------------------------------------------------


def test_a_fake_of_metadata_runs_once_for_the_same_metadata(ns: str) -> None:
    op = declare(ns, "(Array x, Scalar s, SymInt[] n) -> Array")
    runs = []

    @op.register_fake
    @of_metadata
    def _(x: Any, s: Any, n: Any) -> Any:
        runs.append(s)
        return x.new_empty(x.shape, np.result_type(x.dtype, s))

    assert op(X, 1, [2]).dtype == op(X, 1, [2]).dtype and len(runs) == 1
    assert op(X, 1, [3]).dtype == op(X, 1, (3,)).dtype and len(runs) == 2
    plain = declare(ns, "(Array x, Scalar s) -> Array")
    runs.clear()

    @plain.register_fake
    @of_metadata
    def _(x: Any, s: Any) -> Any:
        runs.append(s)
        return x.new_empty(x.shape, np.result_type(x.dtype, s), order="F")

    whole = FakeArray((2, 3), "int8", "cuda:1")
    for _ in range(2):
        outs = [plain(whole, s) for s in (1, 1.0, True, 1j)]
        assert [out.dtype.name for out in outs] == ["int8", "float64", "int8", "complex128"]
        assert {out.strides for out in outs} == {(1, 2), (8, 16), (16, 32)}
        assert all(out.device == "cuda:1" and out.base is None for out in outs)
        mode = FakeMode()
        assert plain(mode.from_array(np.zeros((2, 3), np.int8)), 1).fake_mode is mode
    assert len(runs) == 4
    assert plain(FakeArray((2, 3), "int8", strides=(1, 2)), 1).shape == (2, 3) and len(runs) == 5


def test_views_are_remembered_as_views(ns: str) -> None:
    op = declare(ns, "(Array(a) x, int how) -> Array(a)")
    runs = []

    @op.register_fake
    @of_metadata
    def _(x: Any, how: int) -> Any:
        runs.append(how)
        return [
            lambda: x.new_view((3,), (8,)),
            lambda: x.new_view((3,), (0,), writeable=False),
            lambda: x,
            lambda: x.new_empty((1,)),
        ][how]()

    for x in (FakeArray((2, 3)), FakeArray((4, 3)).new_view((2, 3), (24, 8))):
        runs.clear()
        owner = x if x.base is None else x.base
        for _ in range(2):
            view, read_only, same, new = (op(x, how) for how in range(4))
            assert view.base is owner and view.strides == (8,) and view.flags.writeable
            assert read_only.base is owner and not read_only.flags.writeable
            assert same is x and new.base is None and new.shape == (1,)
        # Whether the array is C-contiguous is known in the first case and looked at in the second.
        assert runs == [0, 1, 2, 3, 2]
    frozen = FakeArray((2, 3), writeable=False)
    assert not op(frozen, 0).flags.writeable and op(frozen, 3).flags.writeable


def test_sizes_that_depend_on_data_are_not_remembered(ns: str) -> None:
    op = declare(ns, "(Array x) -> Array")
    op.register_fake(of_metadata(lambda x: x.new_empty((get_ctx().new_dynamic_size(),))))
    x = FakeMode().from_array(np.zeros(3))
    assert str(op(x).shape) == "(u0,)" and str(op(x).shape) == "(u1,)"
    assert str(op(op(x)).shape) == "(u3,)"


# -- wrappers of somebody else ---------------------------------------------------------------------


def test_a_higher_wrapper_gets_the_call(ns: str) -> None:
    class Box:
        pass

    op = declare(ns, "(Array x, Array y) -> Array")
    op.register_fake(lambda x, y: x.new_empty(1))
    assert op(X, X).shape == (1,)
    with gpuops.register_wrapper(Box, lambda operator, args, kwargs: "boxed", level=5):
        assert op(X, Box()) == "boxed"
    with pytest.raises(gpuops.ArgumentError):
        op(X, Box())
    with gpuops.register_wrapper(Box, lambda operator, args, kwargs: "again", level=5):
        assert op(X, Box()) == "again"


def test_calls_with_lists_and_keywords_reach_the_wrapper_as_converted_ones_do(ns: str) -> None:
    class Box:
        pass

    schema = "(Array[] xs, SymInt[2] n, *, Array? y=None, float[] s, str how='a') -> Array"
    op = declare(ns, schema.replace("'a'", '"a"'))
    seen: list[Any] = []

    def interpreter(operator: Any, args: Any, kwargs: Any) -> Any:
        seen.append((list(args), dict(kwargs)))
        args[0].append(None)
        return "boxed"

    box, array = Box(), np.zeros(2)
    with gpuops.register_wrapper(Box, interpreter, level=5):
        given = [box, array]
        for _ in range(2):
            assert op(given, [1, 2], s=[1.0]) == "boxed"
            assert op((box, array), (1, 2), s=(1,)) == "boxed"
            assert op([box] * 20, [1, 2], s=[1.0] * 20, y=array) == "boxed"
        assert given == [box, array]  # what an interpreter does to its list is not the caller's
        first, converted = seen[0], seen[1]
        assert first[0][1:] == converted[0][1:] and first[1] == converted[1]
        assert len(first[0][0]) == len(converted[0][0]) == 3
        assert first[1] == {"y": None, "s": [1.0], "how": "a"}
        for wrong in ([1], [1, 2, 3], [1, "2"], "12"):
            with pytest.raises(gpuops.ArgumentError, match="'n'"):
                op(given, wrong, s=[1.0])
    with pytest.raises(gpuops.ArgumentError, match="'xs'"):
        op(given, [1, 2], s=[1.0])
