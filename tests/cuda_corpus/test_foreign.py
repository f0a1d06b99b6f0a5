"""What measures kernels of other projects: the cut through their files, and the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.foreign_case import Case, bfloat16, float32
from bench.foreign_kernels import REPOSITORIES, measure
from bench.foreign_source import device_source
from tests.cuda_corpus.corpus import Launch, floats, zeros

PROGRAM = """
#include <stdio.h>
#include <vector>
#include "shared.h"
// A comment with a { brace, and "a string" /* in it.
#define BLOCK(n) \\
    ((n) / 2)
const char* names[] = {"half", "double; // not a comment"};
static std::vector<float> kept;
typedef struct __align__(8) {
    float low, high;
} Pair;
enum Mode { PLAIN, ODD };
template <typename T> struct Twice {
    static __device__ T of(T x) { return FACTOR * x; }
};
inline int iDivUp(int a, int b) { return (a + b - 1) / b; }
template <typename T>
__global__ void __launch_bounds__(128)
scale(const T* x, T* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) { y[i] = Twice<T>::of(x[i]); }
}
__global__ void careless(const float* x, float* y, int n) { y[threadIdx.x] = 2 * x[threadIdx.x]; }
void launch(const float* x, float* y, int n) {
    scale<float><<<iDivUp(n, 128), 128>>>(x, y, n);
}
int main() { printf("%s }\\n", names[0]); return 0; }
"""
HEADER = """#pragma once
#include <cuda_runtime.h>
#define FACTOR 2
__device__ float unused(float x) { return x; }
void host_helper() { exit(1); }
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one program, which includes a header of its own."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "program.cu").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "src" / "shared.h").write_text(HEADER, encoding="utf-8")
    return tmp_path


def launch(factor: float, size: int = 100) -> Callable[[], Launch]:
    x = floats(100)
    return lambda: Launch(1, 128, (x, zeros(size), np.int32(100)), {1: factor * x})


def test_host_code_is_cut_out(checkout: Path) -> None:
    source = device_source(checkout, "src/program.cu", first=("// first",))
    assert source.startswith("// first\n")
    for part in ("scale(", "careless(", "Twice", "Pair", "enum Mode", "#define FACTOR 2", "BLOCK"):
        assert part in source
    for part in ("main", "printf", "vector", "iDivUp", "host_helper", "names", "<<<", "stdio"):
        assert part not in source
    assert "FACTOR 2" not in device_source(
        checkout, "src/program.cu", without=("#define FACTOR 2",)
    )


@pytest.mark.parametrize(
    ("name", "build", "flaw", "right", "report"),
    [
        ("scale<float>", launch(2.0), None, "yes", ""),
        ("scale<float>", launch(3.0), None, "no", "argument 1: Not equal"),
        ("scale<float>", launch(2.0), ("RACE", "none"), "no", "no report, expected RACE"),
        ("careless", launch(2.0), None, "no", "OUT-OF-BOUNDS"),
        ("careless", launch(2.0), ("OUT-OF-BOUNDS", "no guard"), "flaw reported", "100"),
        ("careless", launch(2.0), ("RACE", "no guard"), "no", "OUT-OF-BOUNDS"),
        ("missing", launch(2.0), None, "no", "missing"),
    ],
)
def test_verdicts(
    checkout: Path,
    name: str,
    build: Callable[[], Launch],
    flaw: tuple[str, str] | None,
    right: str,
    report: str,
) -> None:
    row = measure(checkout, Case("src/program.cu", name, build, flaw=flaw))
    assert row.right == right
    assert report in row.report


def test_every_case_can_be_launched() -> None:
    """Right values are for arguments that are there, and fit them."""
    count = 0
    for _, cases in REPOSITORIES.values():
        for case in cases:
            given = case.build()
            for position, expected in given.right.items():
                assert np.size(expected) in (1, given.args[position].size)
            count += 1
    assert count >= 30


def test_bfloat16() -> None:
    x = np.array([1.0, -2.5, 3.14159274, 0.0], np.float32)
    np.testing.assert_array_equal(float32(bfloat16(x)), [1.0, -2.5, 3.140625, 0.0])
