"""Parameter types from mangled names, as NVRTC writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops.cuda import nvrtc
from gpuops.cuda.mangling import CType, function_parameters

SOURCE = r"""
#include <cuda_fp16.h>
#include <cuda_bf16.h>
typedef float real;
struct Plain { int x; };
namespace outer {
struct Inner { int x; };
enum Old { A };
enum class Small : unsigned char { B };
template <typename T, int N> struct Box { T item[N]; };
namespace deep { struct Inner { int x; }; }
__global__ void in_namespace(Inner a, Inner* b, deep::Inner c, outer::deep::Inner* d) {}
template <typename T>
__global__ void with_box(Box<T, 4> a, Box<T, 4>* b, const Box<Box<T, 2>, -1>* c) {}
}
template <typename T> struct Same { using type = T; };
template <bool B> struct Flag {};
template <typename... T> struct Pack {};

template <typename T, int N>
__global__ void dependent(const T* __restrict__ x, T* y, typename Same<T>::type z, T** w) {}
template <typename... T> __global__ void variadic(T... all) {}
extern "C" __global__ void c_name(const real* x, real* const* y, float z) {}
extern "C" __global__ void nothing() {}
__global__ void numbers(bool a, char b, signed char c, unsigned char d, short e, unsigned short f,
                        int g, unsigned h, long i, unsigned long j, long long k,
                        unsigned long long l, float m, double n, __half o, __nv_bfloat16 p) {}
__global__ void pointers(void* a, const void* b, volatile int* c, const volatile int* d,
                         int (*e)[3], float4* f, const __half* g, __nv_bfloat16* h,
                         const int (&i)[3], float (*k)(int, float*), const int* const l) {}
__global__ void named(Plain a, outer::Old b, outer::Small c, Flag<true> d, Flag<false>* e,
                      Pack<int, float>* f, float4 g) {}
__global__ void repeated(const Plain* a, const Plain* b, Plain* c, outer::Inner* d, outer::Inner* e,
                         outer::Box<int, 2> f, outer::Box<int, 2>* g, outer::Box<int, 2>* h) {}
"""
EXPECTED = {
    "dependent<float, 3>": ["const float*", "float*", "float", "float**"],
    "dependent<__half, 3>": ["const __half*", "__half*", "__half", "__half**"],
    "dependent<outer::Inner, 1>": [
        "const outer::Inner*", "outer::Inner*", "outer::Inner", "outer::Inner**",
    ],
    "variadic<int, float*, const double*>": ["int", "float*", "const double*"],
    "variadic<>": [],
    "c_name": ["const float*", "float* const*", "float"],
    "nothing": [],
    "outer::in_namespace": [
        "outer::Inner", "outer::Inner*", "outer::deep::Inner", "outer::deep::Inner*",
    ],
    "outer::with_box<float>": [
        "outer::Box<float, 4>", "outer::Box<float, 4>*",
        "const outer::Box<outer::Box<float, 2>, -1>*",
    ],
    "numbers": [
        "bool", "char", "signed char", "unsigned char", "short", "unsigned short", "int",
        "unsigned int", "long", "unsigned long", "long long", "unsigned long long", "float",
        "double", "__half", "__nv_bfloat16",
    ],
    "pointers": [
        "void*", "const void*", "int*", "const int*", "int[3]*", "float4*", "const __half*",
        "__nv_bfloat16*", "const int[3]&", "void (int, float*)*", "const int*",
    ],
    "named": [
        "Plain", "outer::Old", "outer::Small", "Flag<true>", "Flag<false>*", "Pack<int, float>*",
        "float4",
    ],
    "repeated": [
        "const Plain*", "const Plain*", "Plain*", "outer::Inner*", "outer::Inner*",
        "outer::Box<int, 2>", "outer::Box<int, 2>*", "outer::Box<int, 2>*",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled() -> nvrtc.Compiled:
    # `large` parameter lists and all kinds of types in one program; arrays of length -1 are never
    # made, only pointed to.
    return nvrtc.compile_ptx(SOURCE, 80, (), tuple(EXPECTED), types=True)


@pytest.mark.parametrize("name", EXPECTED)
def test_types_are_read_as_the_source_has_them(name: str, compiled: nvrtc.Compiled) -> None:
    found = function_parameters(compiled.types[name])
    assert found is not None
    assert [str(type_) for type_ in found] == EXPECTED[name]


def test_constness_is_that_of_what_is_pointed_to(compiled: nvrtc.Compiled) -> None:
    found = function_parameters(compiled.types["pointers"])
    assert found is not None
    pointees = [type_.pointee for type_ in found]
    assert [bool(pointee and pointee.const) for pointee in pointees[:4]] == [0, 1, 0, 1]
    assert found[0].pointee == CType("void")


def test_a_name_without_an_address_compiles_without_types() -> None:
    """The kernel compiles all the same; its parameters are known by their sizes only."""
    source = "__global__ void f(int* x) {}\n#define ALIAS f"
    compiled = nvrtc.compile_ptx(source, 80, (), ("(f)",), types=True)
    assert compiled.lowered["(f)"] == "_Z1fPi"
    found = function_parameters(compiled.types.get("(f)", ""))
    assert found is None or [str(type_) for type_ in found] == ["int*"]


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "f",
        "_Z5probe",
        "_Z5probeIPFviE",  # cut off
        "_Z5probeIPFvS9_EEvv",  # refers to what is not there
        "_Z5probeIPFvM1AiEEvv",  # a pointer to a member
        "_Z5probeIPFvDTcl1fEEEEvv",  # decltype of an expression
        "_Z5probeIPFv9999xEEvv",
    ],
)
def test_what_is_not_understood_gives_none(symbol: str) -> None:
    assert function_parameters(symbol) is None


@given(st.text("PKVRiflxvSNEI_0123459abTJLFDO", max_size=30))
def test_no_text_makes_it_fail(text: str) -> None:
    found = function_parameters(f"_Z5probeIPFv{text}EEvv")
    assert found is None or all(isinstance(type_, CType) for type_ in found)


_BASES = {"i": "int", "f": "float", "d": "double", "x": "long long", "b": "bool"}


@given(st.lists(st.tuples(st.sampled_from(sorted(_BASES)), st.booleans(), st.integers(0, 3))))
def test_pointers_to_pointers(parts: list[tuple[str, bool, int]]) -> None:
    """Without repetitions there is nothing to refer back to, and the grammar is plain."""
    seen: set[str] = set()
    text, expected = "", []
    for base, const, depth in parts:
        if base in seen:
            continue
        seen.add(base)
        const = const and depth > 0
        text += "P" * depth + ("K" if const else "") + base
        expected.append(("const " if const else "") + _BASES[base] + "*" * depth)
    found = function_parameters(f"_Z5probeIPFv{text or 'v'}EEvv")
    assert found is not None
    assert [str(type_) for type_ in found] == expected
