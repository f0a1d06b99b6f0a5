"""Recording profiles, fakes made from them, and checks against them."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
import warnings
from contextlib import suppress

import numpy as np
import pytest

import gpuops
from gpuops import FakeArray, FakeMode
from gpuops.observers import observers
from gpuops.profiles import (
    ArrayMetadata,
    ListProfile,
    MissingOpProfile,
    OpProfile,
    ProfileError,
    ProfileWarning,
    ScalarProfile,
    check_against,
    record_op_profiles,
    unsafe_generate_fake_kernels,
)
from gpuops.selection import quick_kernel

F32 = ArrayMetadata(1, "float32", "cpu")


@pytest.fixture
def ops():
    with gpuops.Library("profiled", "FRAGMENT") as library:
        library.define("scale(Array x, float? by=None, Array? bias=None) -> Array")
        library.define("pair(Array[] xs) -> (Array, int)")
        library.define("parts(Array x) -> Array[]")
        library.define("fill_(Array(a!) x) -> Array(a!)")

        def scale(x, by=None, bias=None):
            return x * (2 if by is None else by)

        def parts(x):
            return [x.copy(), np.zeros((2, 2))]

        def fill_(x):
            x[...] = 1
            return x

        library.impl("scale", scale, "cpu")
        library.impl("pair", lambda xs: (xs[0] + xs[1], len(xs)), "cpu")
        library.impl("parts", parts, "cpu")
        library.impl("fill_", fill_, "cpu")
        yield gpuops.ops.profiled


def test_recorded_profiles_keep_the_place_of_every_argument(ops):  # X6, X8
    with record_op_profiles() as profiles:
        ops.scale(np.ones(3, np.float32), None, np.ones(3, np.float32))
        ops.scale(np.ones(5, np.float32))
        ops.pair([np.ones(2, np.float32), np.ones(2, np.float32)])
        ops.parts(np.ones(3, np.float32))
    out = ArrayMetadata(2, "float64", "cpu")
    assert profiles == {
        "profiled::scale": {OpProfile((F32, None, F32), F32), OpProfile((F32, None, None), F32)},
        "profiled::pair": {OpProfile((ListProfile((F32, F32)),), (F32, ScalarProfile("int")))},
        "profiled::parts": {OpProfile((F32,), ListProfile((F32, out)))},
    }


@pytest.mark.parametrize(
    ("x", "order"),
    [
        (np.ones((2, 3)), "C"),
        (np.ones((2, 3)).T, "F"),
        (np.ones((4, 6))[::2, ::2], "strided"),
        (np.ones((1, 3)).T, "C"),
        (np.ones((0, 3))[:, ::2], "C"),
    ],
)
def test_orders(x, order):
    from gpuops.profiles.model import metadata_of

    assert metadata_of(x) == ArrayMetadata(2, "float64", "cpu", order)


def test_fakes_and_traced_calls_are_recorded_too(ops):
    fakes = {"profiled::scale": {OpProfile((F32, None, None), F32)}}
    with record_op_profiles() as traced:
        gpuops.trace(lambda x: ops.scale(x))(np.ones(3, np.float32))
    with unsafe_generate_fake_kernels(fakes), record_op_profiles() as faked, FakeMode():
        ops.scale(FakeArray((3,), "float32"))
    assert traced == faked == fakes


def test_calls_of_other_threads_are_recorded(ops):
    with record_op_profiles() as profiles:
        thread = threading.Thread(target=ops.scale, args=(np.ones(3, np.float32),))
        thread.start()
        thread.join()
    assert profiles == {"profiled::scale": {OpProfile((F32, None, None), F32)}}


def test_recorders_nest_and_calls_are_quick_again_afterwards(ops):
    with record_op_profiles() as outer:
        with record_op_profiles() as inner:
            ops.scale(np.ones(3, np.float32))
        ops.parts(np.ones(3, np.float32))
    with pytest.raises(ZeroDivisionError), record_op_profiles():
        raise ZeroDivisionError
    ops.pair([np.ones(2), np.ones(2)])
    assert set(outer) == {"profiled::scale", "profiled::parts"}
    assert set(inner) == {"profiled::scale"}
    assert observers.active == ()


def test_calls_go_straight_to_the_kernel_unless_somebody_records(ops):
    def kernel_of_calls():
        operator = gpuops.registry.as_operator("profiled::scale")
        return quick_kernel(operator, "cpu")

    before = kernel_of_calls()
    with record_op_profiles():
        assert kernel_of_calls() is None
    assert before is kernel_of_calls() is not None


def test_what_is_made_under_generated_fakes_is_not_remembered():
    profiles = {"xp::sin": {OpProfile((F32,), ArrayMetadata(3, "int8", "cpu"))}}
    mode = FakeMode()
    x = FakeArray((3,), "float32")
    with mode:
        before = gpuops.xp.sin(x).shape
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ProfileWarning)
            with unsafe_generate_fake_kernels(profiles):
                assert gpuops.xp.sin(x).ndim == 3
        assert gpuops.xp.sin(x).shape == before == (3,)


def test_neither_profiles_nor_yaml_is_loaded_before_it_is_asked_for():
    code = (
        "import sys, gpuops; assert 'gpuops.profiles' not in sys.modules; "
        "gpuops.profiles; assert 'yaml' not in sys.modules; "
        "gpuops.profiles.generate_yaml_from_profiles({}); assert 'yaml' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_call_that_fails_is_not_recorded(ops):
    with record_op_profiles() as profiles, pytest.raises(IndexError):
        ops.pair([np.ones(2)])
    assert profiles == {}


# -- generated fakes -------------------------------------------------------------------------------


def _scale(entry=F32, out=F32):
    return {"profiled::scale": {OpProfile((entry, None, None), out)}}


def test_generated_fakes_exist_inside_only(ops):  # X1
    out = ArrayMetadata(3, "int16", "cpu")
    mode = FakeMode()
    with mode, unsafe_generate_fake_kernels(_scale(out=out)):
        y = ops.scale(FakeArray((3,), "float32"))
        assert (y.ndim, y.dtype, y.device.type) == (3, np.dtype("int16"), "cpu")
        assert all(isinstance(size, gpuops.SymInt) for size in y.shape)
        assert y.flags.c_contiguous
        with pytest.raises(MissingOpProfile, match="profiled::scale"):
            ops.scale(FakeArray((3, 3), "float32"))
    with mode, pytest.raises(gpuops.NoFakeError):
        ops.scale(FakeArray((3,), "float32"))


@pytest.mark.parametrize("order", ["C", "F", "strided", "any"])
def test_generated_strides(ops, order):  # X9
    out = ArrayMetadata(2, "float32", "cpu", order)
    with FakeMode(), unsafe_generate_fake_kernels(_scale(out=out)):
        y = ops.scale(FakeArray((3,), "float32"))
    assert y.flags.f_contiguous == (order == "F")
    assert y.flags.c_contiguous == (order != "F")


def test_every_difference_is_marked(ops):  # X1, X12
    recorded = {
        "profiled::scale": {
            OpProfile((ArrayMetadata(2, "float64", "cuda", "F"), None, None), F32),
            OpProfile((ArrayMetadata(1, "float64", "cpu"), None, F32), F32),
        }
    }
    with FakeMode(), unsafe_generate_fake_kernels(recorded):
        with pytest.raises(MissingOpProfile) as caught:
            ops.scale(FakeArray((3, 2), "float32"))
    message = str(caught.value)
    assert "x: float32 rank 2 order C on cpu, by: no array, bias: no array" in message
    assert "The nearest of 2" in message
    for difference in ("dtype mismatch: recorded float64, got float32", "bias: recorded"):
        assert difference in message


def test_other_counts_of_arguments_do_not_match(ops):  # X7
    for args in ((F32,), (F32, None, None, None), ()):
        short = {"profiled::scale": {OpProfile(args, F32)}}
        with FakeMode(), unsafe_generate_fake_kernels(short):
            with pytest.raises(MissingOpProfile, match=f"{len(args)} arguments were recorded, 3"):
                ops.scale(FakeArray((3,), "float32"))


def test_an_existing_fake_is_overridden_and_restored(ops):  # X2
    made = gpuops.custom_op(
        "profiled::own", lambda x: x + 1, mutates_args=(), schema="(Array x) -> Array"
    )
    made.register_fake(lambda x: x.new_empty(x.shape))
    gpuops.register_fake("profiled::scale", lambda x, by=None, bias=None: x.new_empty(x.shape))
    profiles = {**_scale(), "profiled::own": {OpProfile((F32,), ArrayMetadata(0, "bool", "cpu"))}}
    mode = FakeMode()
    with mode:
        x = FakeArray((3,), "float32")
        for _ in range(2):
            assert made(x).shape == ops.scale(x).shape == (3,)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with suppress(ZeroDivisionError), unsafe_generate_fake_kernels(profiles):
                assert made(x).shape == ()
                assert isinstance(ops.scale(x).shape[0], gpuops.SymInt)
                raise ZeroDivisionError
        assert [warning.category for warning in told] == [ProfileWarning] * 2
        assert made(x).shape == ops.scale(x).shape == (3,)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with unsafe_generate_fake_kernels(profiles):  # it was said once
                assert made(x).shape == ()
    made.undo()


def test_a_generated_fake_of_a_custom_op_vanishes(ops):  # X3
    made = gpuops.custom_op(
        "profiled::bare", lambda x: x + 1, mutates_args=(), schema="(Array x) -> Array"
    )
    with FakeMode():
        x = FakeArray((3,), "float32")
        profiles = {"profiled::bare": {OpProfile((F32,), F32)}}
        with suppress(ZeroDivisionError), unsafe_generate_fake_kernels(profiles):
            assert isinstance(made(x).shape[0], gpuops.SymInt)
            raise ZeroDivisionError
        with pytest.raises(gpuops.NoFakeError):
            made(x)
    made.undo()


def test_blocks_nest_and_other_threads_keep_their_own(ops):
    caught = []

    def other():
        with FakeMode():
            try:
                ops.scale(FakeArray((3,), "float32"))
            except gpuops.NoFakeError as error:
                caught.append(error)

    with FakeMode():
        x = FakeArray((3,), "float32")
        with unsafe_generate_fake_kernels(_scale()):
            with unsafe_generate_fake_kernels(_scale(out=ArrayMetadata(2, "int8", "cpu"))):
                assert ops.scale(x).ndim == 2
                thread = threading.Thread(target=other)
                thread.start()
                thread.join()
            assert ops.scale(x).ndim == 1
    assert len(caught) == 1


def test_profiles_are_made_of_lists_and_none_too():  # X6, X8
    made = OpProfile([F32, None, [F32, None]], [F32])
    assert made == OpProfile((F32, None, ListProfile((F32, None))), ListProfile([F32]))
    assert len({made, OpProfile((F32, None, [F32, None]), [F32])}) == 1
    assert OpProfile((F32,), None) == OpProfile((F32,), ScalarProfile("none"))


@pytest.mark.parametrize(
    ("args", "out", "text"),
    [
        ((F32,), (F32, (F32,)), "out_profile: expected array metadata, got tuple"),
        ((F32, [[F32]]), F32, r"args_profile\[1\]: expected array metadata"),
        ("ab", F32, "args_profile: expected a tuple, got str 'ab'"),
        ((3,), F32, r"args_profile\[0\]: expected array metadata, got int 3"),
        ((F32, (F32,)), F32, r"args_profile\[1\]: expected array metadata, got tuple"),
        ((ScalarProfile("int"),), F32, r"args_profile\[0\]: expected array metadata"),
        ((F32,), [(F32,)], "out_profile: expected array metadata, got tuple"),
        ((F32,), 3, "out_profile: expected array metadata, got int 3"),
    ],
)
def test_malformed_profiles(args, out, text):
    with pytest.raises(ProfileError, match=text):
        OpProfile(args, out)
    with pytest.raises(ProfileError, match="items: expected a tuple, got int 3"):
        ListProfile(3)


def test_blocks_may_end_in_any_order_and_in_another_context(ops):
    x = ArrayMetadata(1, "float64", "cpu")

    def profiles(dtype):
        return {"profiled::scale": {OpProfile((x, None, None), ArrayMetadata(1, dtype, "cpu"))}}

    def block(dtype):
        with unsafe_generate_fake_kernels(profiles(dtype)):
            yield

    def dtype():
        return ops.scale(FakeMode().from_array(np.ones(3))).dtype

    def outer():
        first, second = block("int8"), block("int16")
        next(first)
        next(second)
        assert dtype() == "int16"
        first.close()
        assert dtype() == "int16"
        contextvars.copy_context().run(second.close)
        assert dtype() == "int16"  # this context's block was not left

    contextvars.copy_context().run(outer)
    with pytest.raises(gpuops.NoFakeError):
        dtype()


def test_a_generated_fake_says_that_it_is_one(ops):
    x = ArrayMetadata(1, "float64", "cpu")
    with unsafe_generate_fake_kernels({"profiled::scale": {OpProfile((x, None, None), x)}}):
        out = ops.scale(FakeMode().from_array(np.ones(3)))
        with pytest.raises(gpuops.errors.UnknownSizeError, match=r"made from recorded profiles\)"):
            int(out.shape[0])
    with unsafe_generate_fake_kernels({"profiled::scale": {OpProfile((x, None, None), (x, x))}}):
        with pytest.raises(
            gpuops.ReturnError, match=r"GeneratedFake \(made from recorded profiles"
        ):
            ops.scale(FakeMode().from_array(np.ones(3)))


def test_tuples_lists_and_in_place_results(ops):  # X8
    with record_op_profiles() as profiles:
        ops.pair([np.ones(2), np.ones(2)])
        ops.parts(np.ones(2))
        ops.fill_(np.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProfileWarning)
        with FakeMode(), unsafe_generate_fake_kernels(profiles):
            x = FakeArray((3,))
            total, count = ops.pair([x, x])
            assert total.ndim == 1 and isinstance(count, gpuops.SymInt)
            assert [y.ndim for y in ops.parts(x)] == [1, 2]
            assert ops.fill_(x) is x


def test_ambiguous_profiles_resolve_in_a_fixed_order(ops):  # X8
    exact = OpProfile((F32, None, None), ArrayMetadata(0, "float32", "cpu"))
    either = [
        OpProfile(
            (ArrayMetadata(1, "float32", "cpu", "any"), None, None), ArrayMetadata(r, "f4", "cpu")
        )
        for r in (1, 2)
    ]
    for profiles, ndim in (([exact, *either], 0), (either, 1), (either[::-1], 1)):
        with FakeMode(), unsafe_generate_fake_kernels({"profiled::scale": profiles}):
            assert ops.scale(FakeArray((3,), "float32")).ndim == ndim


@pytest.mark.parametrize(
    ("profiles", "text"),
    [
        ({"profiled::nowhere": set()}, "profiled::nowhere"),
        ({"nonsense": set()}, "nonsense"),
        ({"profiled::scale": {1}}, "profiled::scale: expected an OpProfile"),
        ({"profiled::scale": 1}, "profiled::scale: expected a set"),
        ({1: set()}, "expected names of operators"),
        ([], "expected a dict"),
    ],
)
def test_malformed_profiles_are_named_first(ops, profiles, text):  # X9
    if isinstance(profiles, dict):
        profiles = {**_scale(), **profiles}
    with pytest.raises(ProfileError, match=text), unsafe_generate_fake_kernels(profiles):
        raise AssertionError("entered")
    with FakeMode(), pytest.raises(gpuops.NoFakeError):
        ops.scale(FakeArray((3,), "float32"))


# -- profiles as a contract ------------------------------------------------------------------------


def test_check_against_accepts_what_was_recorded_and_nothing_else(ops):
    x = np.ones(3, np.float32)
    with record_op_profiles() as profiles:
        ops.scale(x)
    with check_against(profiles):
        ops.scale(np.ones(7, np.float32))
        ops.parts(x)  # of which nothing was recorded
        with pytest.raises(MissingOpProfile, match="dtype mismatch: recorded float32, got float64"):
            ops.scale(np.ones(3))
    with check_against(_scale(out=ArrayMetadata(1, "float64", "cpu"))):
        with pytest.raises(MissingOpProfile, match="returned float32 .* expected float64"):
            ops.scale(x)
    with check_against(_scale(out=ArrayMetadata(1, "float32", "cpu", "any"))):
        ops.scale(x)
