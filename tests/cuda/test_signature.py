"""Arguments against the compiled signature: accepted, converted, refused, and in what words.

Every check runs twice: the careful way and the generated one have to answer the same.
"""

from __future__ import annotations

import inspect
import math
import traceback
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops import cuda
from gpuops.cuda.checker import make_checker
from gpuops.cuda.cubin import ParameterSlot
from gpuops.cuda.mangling import CType
from gpuops.cuda.parameter_names import parameter_names
from gpuops.cuda.signature import KernelSignature, signature_of
from gpuops.errors import ArgumentError

SOURCE = r"""
#include <cuda_fp16.h>
#include <cuda_bf16.h>
struct Pair { float a; int b; };
enum class Mode : int { A };

extern "C" __global__ void scale(const float* x, float* out, float s, long long n) {}
extern "C" __global__ void numbers(bool a, signed char b, unsigned char c, short d,
                                   unsigned short e, int f, unsigned int g, long long h,
                                   unsigned long long i, float j, double k, __half l, char m) {}
extern "C" __global__ void pointers(const void* any, const __half* half, const int* i,
                                    const float4* quads, const float2* pairs, float** nested,
                                    const Pair* structs, const __nv_bfloat16* brain,
                                    const unsigned char* bytes, const char* text) {}
extern "C" __global__ void values(Pair pair, Mode mode, float4 quad, __nv_bfloat16 brain) {}
extern "C" __global__ void nothing() {}
template <typename T, int N> __global__ void templated(const T* x, T s) {}
"""
SIGNATURES = {
    name: cuda.Kernel(SOURCE, name)
    for name in ("scale", "numbers", "pointers", "values", "nothing", "templated<double, 3>")
}


def signature(name: str) -> KernelSignature:
    return SIGNATURES[name].signature


@cache
def quick_check(name: str) -> Any:
    return make_checker(signature(name), np.ndarray)


def check(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The checked arguments, the same in both ways; or the error, the same in both ways."""
    found = signature(name)
    quick = quick_check(name)
    try:
        careful = found.check_arguments(args, np.ndarray)
    except ArgumentError as error:
        message = str(error)
        with pytest.raises(ArgumentError) as caught:
            quick(args)
        if str(caught.value) != message:
            raise AssertionError(f"{caught.value} != {message}") from error
        raise
    generated = quick(args)
    assert len(generated) == len(careful)
    for left, right in zip(generated, careful, strict=True):
        assert type(left) is type(right)
        assert left is right or _bytes(left) == _bytes(right)
    return careful


def _bytes(value: Any) -> bytes:
    return np.asarray(value).tobytes()


X = np.zeros(4, np.float32)


def refused(name: str, *args: Any) -> str:
    with pytest.raises(ArgumentError) as caught:
        check(name, args)
    return str(caught.value)


# -- what the compiler says ------------------------------------------------------------------------


def test_the_signature_is_the_sources() -> None:
    assert str(signature("scale")) == "scale(const float* x, float* out, float s, long long n)"
    assert str(signature("templated<double, 3>")) == (
        "templated<double, 3>(const double* x, double s)"
    )
    assert str(signature("nothing")) == "nothing()"
    (pair, mode, quad, brain) = signature("values").parameters
    assert [p.size for p in (pair, mode, quad, brain)] == [8, 4, 16, 2]
    assert [p.offset for p in (pair, mode, quad, brain)] == [0, 8, 16, 32]
    assert {p.kind for p in (pair, mode, quad, brain)} == {"value"}


def test_it_is_the_same_for_every_architecture() -> None:
    """The signature may be read from any: sizes and offsets do not differ."""
    from gpuops.cuda.binaries import compile_binary

    for name, kernel in SIGNATURES.items():
        slots = [(p.offset, p.size) for p in signature(name).parameters]
        for arch in ("sm_90", "sm_120"):
            assert list(compile_binary(kernel, arch).resources.parameters) == slots


# -- numbers ---------------------------------------------------------------------------------------

GOOD: tuple[Any, ...] = (True, -5, 200, -300, 60000, -7, 4_000_000_000, -(2**40), 2**64 - 1, 1.5,
                         2.5, 0.5, 65)  # fmt: skip
TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
         "float32", "float64", "float16", "int8")  # fmt: skip


def test_python_numbers_become_the_parameters_type() -> None:
    found = check("numbers", GOOD)
    assert [value.dtype.name for value in found] == list(TYPES)
    assert [value.item() for value in found] == list(GOOD)


def test_numpy_scalars_of_the_type_are_passed_on() -> None:
    given_ = tuple(np.dtype(name).type(value) for name, value in zip(TYPES, GOOD, strict=True))
    found = check("numbers", given_)
    assert all(left is right for left, right in zip(found, given_, strict=True))
    # `char` has a sign on some machines and none on others: both are fine.
    assert check("numbers", (*given_[:-1], np.uint8(200)))[-1] == 200


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 1, "argument 0 (bool a) must be a bool or a numpy.bool; got int 1"),
        (0, np.uint8(1), "not a NumPy scalar of another type; got numpy.uint8 1"),
        (1, 128, ("argument 1 (signed char b) must be an int from -128 to 127 or a numpy.int8; "
                 "got int 128")),
        (2, -1, "must be an int from 0 to 255 or a numpy.uint8; got int -1"),
        (5, 2**31, ("argument 5 (int f) must be an int from -2147483648 to 2147483647 or a "
                   "numpy.int32; got int 2147483648")),
        (5, 3.0, "got float 3.0"),
        (5, np.int64(3), "not a NumPy scalar of another type; got numpy.int64 3"),
        (5, np.uint32(3), "got numpy.uint32 3"),
        (5, np.float32(3), "got numpy.float32 3.0"),
        (6, -1, "must be an int from 0 to 4294967295"),
        (7, 2**63, "must be an int from -9223372036854775808 to 9223372036854775807"),
        (8, -1, "must be an int from 0 to 18446744073709551615"),
        (8, 2**64, "got int 18446744073709551616"),
        (9, 1e39, ("argument 9 (float j) must be a float in the range of float32 or a "
                  "numpy.float32; got float 1e+39")),
        (9, np.float64(1.5), "not a NumPy scalar of another type; got numpy.float64 1.5"),
        (9, True, "got bool True"),
        (9, "1", "got str '1'"),
        (9, 1j, "got complex 1j"),
        (10, 10**400, "must be a float in the range of float64"),
        (10, np.float32(1.5), "got numpy.float32 1.5"),
        (11, 65520.0, "must be a float in the range of float16 or a numpy.float16"),
        (5, None, "got None"),
        (5, X, "got numpy.ndarray float32[4]"),
        (5, np.zeros((), np.int32), "got numpy.ndarray int32[]"),
        (7, cuda.pointer(X), "argument 7 (long long h) must be an int from"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit(position: int, value: Any, message: str) -> None:
    args = (*GOOD[:position], value, *GOOD[position + 1 :])
    text = refused("numbers", *args)
    assert text.startswith(f"Kernel 'numbers': argument {position} (")
    assert message in text
    assert f"The kernel was made at {__file__}:" in text


def test_an_int_is_a_float_and_a_bool_is_an_int() -> None:
    found = check("numbers", (*GOOD[:5], True, *GOOD[6:9], 3, -4, 5, *GOOD[12:]))
    assert (found[5].dtype.name, found[5].item()) == ("int32", 1)
    assert [(v.dtype.name, v.item()) for v in found[9:12]] == [
        ("float32", 3.0), ("float64", -4.0), ("float16", 5.0),
    ]  # fmt: skip


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinity_and_nan_are_passed_on(value: float) -> None:
    found = check("numbers", (*GOOD[:9], value, value, value, 65))
    for got in found[9:12]:
        assert got == value or (math.isnan(got) and math.isnan(value))


@given(value=st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans()))
@pytest.mark.parametrize("position", range(13))
def test_a_number_arrives_as_it_is_or_is_refused(position: int, value: Any) -> None:
    args = (*GOOD[:position], value, *GOOD[position + 1 :])
    try:
        got = check("numbers", args)[position]
    except ArgumentError:
        return
    assert got.dtype.name == TYPES[position]
    if got.dtype.kind in "biu":
        assert got.item() == value
    elif not math.isnan(value):
        with np.errstate(over="ignore"):
            assert got == np.dtype(TYPES[position]).type(float(value))
        assert math.isinf(got) == math.isinf(value)


# -- pointers --------------------------------------------------------------------------------------


def test_arrays_are_passed_on_as_they_are() -> None:
    out = np.zeros((2, 2), np.float32)
    found = check("scale", (X, out, 2.0, 4))
    assert found[0] is X and found[1] is out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((X.astype(np.float64), X, 2.0, 4), ("argument 0 (const float* x) must be an array of "
         "float32, or pass cuda.pointer(array) to reinterpret its bytes on purpose; got "
         "numpy.ndarray float64[4]")),
        ((X.astype(np.int32), X, 2.0, 4), "got numpy.ndarray int32[4]"),
        ((X.astype(">f4"), X, 2.0, 4), "got numpy.ndarray >f4[4]"),
        ((X.view(np.complex64), X, 2.0, 4), "got numpy.ndarray complex64[2]"),
        ((X[::2], X, 2.0, 4), ("argument 0 (const float* x) must be a C-contiguous array, as a "
         "pointer carries no strides; pass a contiguous copy, or cuda.pointer(array) if the kernel "
         "knows the strides; got numpy.ndarray float32[2], with strides (8,)")),
        ((np.zeros((2, 3), np.float32).T, X, 2.0, 4), ("got numpy.ndarray float32[3, 2], with "
         "strides (4, 12)")),
        ((np.broadcast_to(X, (3, 4)), X, 2.0, 4), "with strides (0, 4)"),
        ((X, 7, 2.0, 4), "argument 1 (float* out) must be a numpy.ndarray of float32; got int 7"),
        ((X, np.uint64(7), 2.0, 4), "got numpy.uint64 7"),
        ((X, [1.0], 2.0, 4), "got list of length 1"),
        ((X, X, X, 4), "argument 2 (float s) must be a float"),
        ((cuda.pointer(7), X, 2.0, 4), "must be a numpy.ndarray of float32; got int 7"),
    ],
)  # fmt: skip
def test_arrays_that_are_refused(args: tuple[Any, ...], message: str) -> None:
    text = refused("scale", *args)
    assert text.startswith("Kernel 'scale': argument ")
    assert message in text


@pytest.mark.parametrize("count", [0, 3, 5])
def test_the_number_of_arguments(count: int) -> None:
    text = refused("scale", *([X] * count))
    assert text.startswith(
        f"Kernel 'scale' takes 4 arguments, got {count}: "
        "scale(const float* x, float* out, float s, long long n)"
    )


def test_no_arguments() -> None:
    assert check("nothing", ()) == ()
    assert "takes 0 arguments, got 1" in refused("nothing", 1)


def test_a_list_of_arguments_is_fine() -> None:
    found = signature("scale")
    quick = make_checker(found, np.ndarray)([X, X, 2.0, 4])
    assert quick[0] is X and type(quick) is tuple


@pytest.mark.parametrize("args", [np.zeros((4, 2), np.float32), "abcd", {1, 2, 3, 4}, None])
def test_arguments_that_are_no_sequence(args: Any) -> None:
    """An array of four rows would unpack into four arrays."""
    with pytest.raises(ArgumentError, match="Kernel 'scale': args must be a tuple or a list, got"):
        check("scale", args)


def test_null_and_unchecked_pointers() -> None:
    strided = X[::2]
    found = check("scale", (None, cuda.pointer(strided), 2.0, 4))
    assert found[0] is None and found[1] is strided
    assert check("scale", (cuda.pointer(X.astype(np.int8)), X, 2.0, 4))[0].dtype == np.int8


@pytest.mark.parametrize("shape", [(0,), (), (1,), (3, 0), (1, 1, 1)])
def test_empty_and_0d_arrays(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    assert check("scale", (x, x, 1.0, 0))[0] is x


PAIRS = np.zeros(2, np.dtype([("a", "f4"), ("b", "i4")]))
RIGHT = (
    X, np.zeros(1, np.float16), np.zeros(1, np.int32), X, X.view(np.complex64),
    np.zeros(1, np.uint64), PAIRS, np.zeros(1, np.uint16), np.zeros(1, np.uint8),
    np.zeros(1, np.int8),
)  # fmt: skip


def test_what_a_pointer_of_each_type_takes() -> None:
    check("pointers", RIGHT)
    # void and a struct: anything; pairs of floats: floats too; pointers: their numbers; char: both.
    for position, array in ((0, PAIRS), (4, X), (5, np.zeros(1, np.int64)), (6, X), (9, RIGHT[8])):
        check("pointers", (*RIGHT[:position], array, *RIGHT[position + 1 :]))


@pytest.mark.parametrize(
    ("position", "dtype", "expected"),
    [
        (1, "f4", "float16"), (2, "u4", "int32"), (2, "i8", "int32"), (3, "f8", "float32"),
        (4, "c16", "float32 or complex64"), (5, "f8", "uint64 or int64"),
        (7, "f2", "bfloat16 or uint16"), (8, "?", "uint8"), (8, "i1", "uint8"),
        (9, "?", "int8 or uint8"),
    ],
)  # fmt: skip
def test_what_a_pointer_of_each_type_refuses(position: int, dtype: str, expected: str) -> None:
    array = np.zeros(2, dtype)
    text = refused("pointers", *RIGHT[:position], array, *RIGHT[position + 1 :])
    assert f"must be an array of {expected}, or pass cuda.pointer" in text


class Subclass(np.ndarray):
    """An array of a subclass, as the simulator's are."""


def test_subclasses_are_accepted() -> None:
    x = X.view(Subclass)
    assert check("scale", (x, x, 2.0, 4))[0] is x


def test_arrays_of_another_library_are_named() -> None:
    quick = make_checker(signature("scale"), Subclass)
    with pytest.raises(ArgumentError, match=r"must be a \w+.Subclass of float32; got numpy.ndarr"):
        quick((X, X, 2.0, 4))


def test_without_a_type_any_library_will_do() -> None:
    found = signature("scale").check_arguments((X, X.view(Subclass), 2.0, 4))
    assert found[1].dtype == np.float32
    with pytest.raises(ArgumentError, match="must be an array of float32; got float 1.0"):
        signature("scale").check_arguments((1.0, X, 2.0, 4))


# -- structs ---------------------------------------------------------------------------------------


def test_values_are_passed_as_arrays_of_one_element() -> None:
    quad = np.zeros(1, np.dtype([(axis, "f4") for axis in "xyzw"]))
    found = check("values", (PAIRS[0], np.int32(3), quad, np.uint16(1)))
    assert [value.nbytes for value in found] == [8, 4, 16, 2]
    assert all(type(value) is np.ndarray and value.size == 1 for value in found)


@pytest.mark.parametrize("value", [PAIRS, np.float32(1), 3, None, b"12345678", X])
def test_values_of_another_size_are_refused(value: Any) -> None:
    text = refused("values", value, np.int32(3), np.complex128(0), np.uint16(0))
    assert "argument 0 (Pair pair) must be a NumPy scalar or array of one element and 8 byt" in text


# -- without types ---------------------------------------------------------------------------------


def unknown() -> KernelSignature:
    slots = [ParameterSlot(0, 8), ParameterSlot(8, 4)]
    return signature_of("mystery", None, slots, ("x", "n"), "somewhere.py:1")


def test_sizes_are_checked_where_nothing_else_is_known() -> None:
    found = unknown().check_arguments((X, np.int32(3)))
    assert found[0] is X and found[1].item() == 3
    assert unknown().check_arguments((None, np.float32(3)))[0] is None
    assert unknown().check_arguments((np.float64(2), np.int32(3)))[0].item() == 2
    with pytest.raises(ArgumentError, match=r"argument 1 \(4 bytes n\) must be a NumPy scalar or "):
        unknown().check_arguments((X, np.int64(3)))
    with pytest.raises(ArgumentError, match="an array or a NumPy scalar or array of one element"):
        unknown().check_arguments((3, np.int32(3)))
    with pytest.raises(ArgumentError, match="C-contiguous"):
        unknown().check_arguments((X[::2], np.int32(3)))


def test_types_that_contradict_the_cubin_are_not_used() -> None:
    found = signature_of("f", [CType("int")], [ParameterSlot(0, 4), ParameterSlot(4, 4)])
    assert [parameter.kind for parameter in found.parameters] == ["unknown", "unknown"]


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__global__ void f(int a, float* b)", ("a", "b")),
        ("__global__ void __launch_bounds__(256, 2) f(int a)", ("a",)),
        (
            "__global__\nvoid\nf (const float *__restrict__ x, /* n, m */ int n) // f(int z)",
            ("x", "n"),
        ),
        ("__global__ void f(int a[], int (&b)[3], void (*c)(int, int), T<1, 2> d)", tuple("abcd")),
        ("__global__ void f()", ()),
        ("__global__ void f(void)", ()),
        ("__global__ void f(int, float)", ()),
        ("__global__ void f(unsigned int, float x)", ()),
        ("void f(int a);", ()),
        ("// __global__ void f(int a)\n__global__ void f(int b)", ("b",)),
        ('const char* s = "__global__ void f(int a)"; __global__ void f(int b)', ("b",)),
        ("__global__ void ff(int a) {} __global__ void f(int b)", ("b",)),
        ("__global__ void f(T... all)", ("all",)),
        ("__global__ void f(int a = (1, 2), float b = 3)", ("a", "b")),
    ],
)
def test_names_of_parameters(text: str, expected: tuple[str, ...]) -> None:
    assert parameter_names(text, "ns::f<int, 3>") == expected


@given(st.text("__global__ void f(),<>[]{}*& int/\"'\\\n", max_size=80))
def test_names_never_fail(text: str) -> None:
    assert isinstance(parameter_names("__global__ void f(" + text, "f"), tuple)


# -- the generated function ------------------------------------------------------------------------


def test_its_source_can_be_read() -> None:
    quick = make_checker(signature("scale"), np.ndarray)
    source = inspect.getsource(quick)
    assert source.startswith("def check(args):\n    if type(args) is tuple and len(args) == 4:")
    assert "type(a0) is array and a0.dtype is float32 and a0.flags.c_contiguous or" in source
    with pytest.raises(ArgumentError) as caught:
        quick((X, X, X, X))
    assert "return slow(args)" in "".join(traceback.format_tb(caught.value.__traceback__))


def test_encoders_make_what_a_launcher_wants() -> None:
    encoders = {"int64": lambda value: ("eight", value), "float32": lambda value: ("four", value)}
    quick = make_checker(signature("scale"), np.ndarray, encoders)
    assert quick((X, X, 2.5, 4))[2:] == (("four", 2.5), ("eight", 4))
    assert quick((X, X, np.float32(2.5), np.int64(4)))[2:] == (np.float32(2.5), np.int64(4))
    assert quick((X, X, math.inf, True))[2:] == (("four", math.inf), ("eight", True))
