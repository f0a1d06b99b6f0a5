"""The generated function of a call: what it looks like, and what stands between it and a kernel."""

from __future__ import annotations

import dis
import gc
import inspect
import linecache
import sys
import traceback
from types import FrameType
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Device, Scalar, custom_op, ops
from tests import standin_cupy

X = np.ones(2)
COUNTS = [np.full(1, count) for count in range(40)]


def two_arrays_and_a_float(x: Array, y: Array, s: float = 2.0) -> Array:
    return x + y * s


def test_the_source_can_be_read(ns: str) -> None:
    f = custom_op(f"{ns}::axpy", two_arrays_and_a_float, mutates_args=())
    assert inspect.getsource(f) == (
        "def axpy(x, y, s=2.0):\n"
        "    if type(x) is ndarray and type(y) is ndarray and type(s) is float:\n"
        "        out = cpu(x, y, s)\n"
        "        if type(out) is ndarray:\n"
        "            return out\n"
        "        return check(out, 'cpu', x, y, s)\n"
        "    if (\n"
        "        type(x) is cuda_array\n"
        "        and type(y) is cuda_array\n"
        "        and type(s) is float\n"
        "        and (one_gpu or current_gpu(x, y))\n"
        "    ):\n"
        "        out = cuda(x, y, s)\n"
        "        if type(out) is cuda_array:\n"
        "            return out\n"
        "        return check(out, 'cuda', x, y, s)\n"
        "    return slow(x, y, s)\n"
    )


def test_tracebacks_show_the_source(ns: str) -> None:
    def kernel(x: Array) -> Array:
        raise ValueError("in the kernel")

    f = custom_op(f"{ns}::f", kernel, mutates_args=())
    with pytest.raises(ValueError, match="in the kernel") as caught:
        f(X)
    text = "".join(traceback.format_exception(caught.value))
    assert f"<gpuops {ns}::f #" in text and "out = cpu(x)" in text


def test_the_source_is_forgotten_with_the_function(ns: str) -> None:
    f = custom_op(f"{ns}::f", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    name = f.__code__.co_filename  # type: ignore[attr-defined]
    assert name in linecache.cache
    linecache.checkcache()
    assert "def f(x):" in inspect.getsource(f)
    f.undo()
    del f
    gc.collect()
    assert name not in linecache.cache


# -- the price of a call, by what noise cannot move ------------------------------------------------


def frames_to_the_kernel(call: Any, *args: Any, **kwargs: Any) -> list[str]:
    """The Python frames between this function and the kernel, the kernel's not included."""
    seen: list[str] = []

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            seen.append(frame.f_code.co_filename)

    sys.setprofile(watch)
    try:
        call(*args, **kwargs)
    finally:
        sys.setprofile(None)
    return seen


def kernel_for_frames(*args: Any, **kwargs: Any) -> Any:
    return X


SCHEMAS = [
    ("(Array x) -> Array", (X,), {}),
    ("(Array x, Array y, float s=2.0) -> Array", (X, X), {}),
    ("(Array x, Array y, float s=2.0) -> Array", (X, X, 3.0), {}),
    ("(Array x, Array y, *, float s=2.0, int n=1, bool b=False) -> Array", (X, X), {"s": 3.0}),
    ('(Array x, Array? y=None, str mode="a") -> Array', (X,), {"mode": "b"}),
    ("(Array x, Array? y=None) -> Array", (X, X), {}),
    ("(Array[] xs, int[] sizes) -> Array", ([X, X], [1, 2]), {}),
    ("(Array?[] xs, Array x) -> Array", ([X, None], X), {}),
    ("(Array x, Scalar s) -> Array", (X, 3), {}),
    ("(Array x, dtype d) -> Array", (X, np.dtype("float32")), {}),
    ("(Array x, device d) -> Array", (X, Device("cpu")), {}),
    ("(int n, *, device device) -> Array", (3,), {"device": Device("cpu")}),
]


@pytest.mark.parametrize(("schema", "args", "kwargs"), SCHEMAS)
def test_exactly_one_frame_between_a_call_and_its_kernel(
    ns: str, schema: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with gpuops.define(f"{ns}::f", schema):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, "cpu", kernel_for_frames)
        f(*args, **kwargs)
        frames = frames_to_the_kernel(f, *args, **kwargs)
        assert frames == [f.__code__.co_filename, __file__], schema


def test_exactly_one_frame_for_cuda_arrays(ns: str) -> None:
    with standin_cupy.loaded() as cupy:
        x = cupy.ones(2)
        f = custom_op(
            f"{ns}::f", lambda x, s: x, mutates_args=(), schema="(Array x, float s) -> Array"
        )
        f(x, 1.0)
        assert len(frames_to_the_kernel(f, x, 1.0)) == 2


def instructions(call: Any, *args: Any) -> list[str]:
    """The bytecodes of `call`'s own frame that run in one call of it."""
    ran: list[int] = []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is not call.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            ran.append(frame.f_lasti)
        return trace

    before = sys.gettrace()
    # Python 3.12 and 3.13 report single instructions from the second time on that a function is
    # traced: the first only tells them that somebody wants to know.
    for _ in range(2):
        ran.clear()
        sys.settrace(trace)
        try:
            call(*args)
        finally:
            sys.settrace(before)
    names = {step.offset: step.opname for step in dis.get_instructions(call)}
    return [names[offset] for offset in ran]


def forward(x: Any, y: Any, s: float) -> Any:
    return kernel_for_frames(x, y, s)


# What CPython compiles the source to differs from version to version: the bound is what the
# generated call may run beyond a function that only forwards its arguments, for two arrays and a
# float: per test of a type at most 9 instructions, four tests, and 8 for the result.
_PER_TEST = 9
_BEYOND_TESTS = 8


def test_the_number_of_bytecodes(ns: str) -> None:
    f = custom_op(f"{ns}::f", two_arrays_and_a_float, mutates_args=())
    f.register_kernel("cpu", kernel_for_frames)
    f(X, X, 2.0)
    forwarding = len(instructions(forward, X, X, 2.0))
    ran = instructions(f, X, X, 2.0)
    assert forwarding >= 5 and len(ran) > forwarding
    assert len(ran) - forwarding <= 4 * _PER_TEST + _BEYOND_TESTS, ran
    # No call but those of type() and of the kernel.
    assert sum(name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW") for name in ran) == 5


@pytest.mark.parametrize("arrays", [1, 2, 10])
def test_the_bytecodes_grow_with_the_arguments_only(ns: str, arrays: int) -> None:
    names = ", ".join(f"Array x{i}" for i in range(arrays))
    with gpuops.define(f"{ns}::f", f"({names}) -> Array"):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, "cpu", kernel_for_frames)
        args = [X] * arrays
        f(*args)
        # One load per argument for the kernel, one test each, the result's test and the rest.
        ran = len(instructions(f, *args))
        assert 3 * arrays < ran <= arrays * (_PER_TEST + 1) + _PER_TEST + 12


# -- names -----------------------------------------------------------------------------------------


def test_any_parameter_name_works(ns: str) -> None:
    """Whatever the generated source uses itself may be a parameter's name too."""
    names = [
        "type", "ndarray", "float", "cpu", "cuda", "cuda_array", "out", "check", "slow", "one_gpu",
        "current_gpu", "int", "list", "map", "len", "tracked", "bump", "default_s", "self", "f",
        "only_ndarray", "only_SymInt", "Device", "isinstance", "scalars", "args", "kwargs", "cls",
    ]  # fmt: skip
    kinds = ["Array", "float", "int[]", "Scalar", "Array[]", "device", "dtype", "int"]
    values = [X, 1.0, [1], 2, [X], Device("cpu"), np.dtype("int8"), 1]
    for shift in range(len(kinds)):
        order = [(i + shift) % len(kinds) for i in range(len(names))]
        parameters = ", ".join(f"{kinds[k]} {n}" for k, n in zip(order, names, strict=True))
        with gpuops.define(f"{ns}::f", f"({parameters}) -> Array"):
            f = getattr(ops, ns).f
            gpuops.register_kernel(f, None, lambda *args: COUNTS[len(args)])
            given = [values[k] for k in order]
            assert f(*given) == len(names)
            assert f(**dict(zip(names, given, strict=True))) == len(names)
            assert len(frames_to_the_kernel(f, *given)) == 2


def test_an_operator_may_be_named_like_a_keyword_or_a_builtin(ns: str) -> None:
    for name in ("print", "type", "ndarray", "cpu", "out"):
        f = custom_op(f"{ns}::{name}", lambda x: x + 1, mutates_args=(), schema="(Array x)->Array")
        assert f(X).tolist() == [2, 2]
    with gpuops.define(f"{ns}::lambda", "(Array x) -> Array"):
        gpuops.register_kernel(f"{ns}::lambda", "cpu", lambda x: x + 1)
        assert getattr(getattr(ops, ns), "lambda")(X).tolist() == [2, 2]


def test_values_that_have_no_literal_are_passed_as_they_are(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(
        x: Array,
        a: float = float("inf"),
        b: float = float("-inf"),
        c: float = float("nan"),
        d: str = "quotes \" ' \\ \n",
        e: Scalar = 1 + 2j,
        g: float = -0.0,
    ) -> tuple[bool, bool, bool, bool, bool, bool]:
        return (
            a == np.inf,
            b == -np.inf,
            c != c,
            d == "quotes \" ' \\ \n",
            e == 1 + 2j,
            np.signbit(g),
        )

    assert f(X) == (True,) * 6


# F6, Y15
def test_lists_of_one_type_with_and_without_none_are_told_apart(ns: str) -> None:
    for base, good, kernel in (("int", 1, "default"), ("float", 1.0, "cpu"), ("Array", X, "cpu")):
        for first, second in ((f"{base}?[]", f"{base}[]"), (f"{base}[]", f"{base}?[]")):
            with gpuops.define(f"{ns}::f", f"(Array x, {first} a, {second} b) -> Array"):
                f = getattr(ops, ns).f
                gpuops.register_kernel(f, kernel, lambda x, a, b: x + len(a) + len(b))
                for a, b in (([good], [good]), ([], [good, good])):
                    f(X, a, b)
                    assert len(frames_to_the_kernel(f, X, a, b)) == 2
                with_none, without = ("a", "b") if "?" in first else ("b", "a")
                assert f(X, **{with_none: [None, good], without: [good]}).tolist() == [4, 4]
                with pytest.raises(gpuops.ArgumentError, match=f"'{without}' .* its item 0 must"):
                    f(X, **{with_none: [None], without: [None]})


# Y15
@pytest.mark.parametrize(
    "names",
    [("{ns}_t.a", "{ns}.t_a"), ("{ns}_t_a", "{ns}.t.a"), ("{ns}._t", "{ns}_.t")],
)
def test_opaque_types_with_similar_names_are_told_apart(ns: str, names: tuple[str, str]) -> None:
    class One(gpuops.OpaqueBase):
        pass

    class Two(gpuops.OpaqueBase):
        pass

    one, two = (pattern.format(ns=ns) for pattern in names)
    gpuops.register_opaque_type(One, one, typ="reference")
    gpuops.register_opaque_type(Two, two, typ="reference")
    schema = f"({one} x, {two} y, {one}[] xs, {two}[] ys) -> int"
    with gpuops.define(f"{ns}::f", schema):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, None, lambda *args: len(args))
        assert f(One(), Two(), [One()], [Two()]) == 4
        for args in (
            (Two(), Two(), [], []),
            (One(), One(), [], []),
            (One(), Two(), [Two()], []),
            (One(), Two(), [], [One()]),
        ):
            with pytest.raises(gpuops.ArgumentError, match="got an object of type"):
                f(*args)
