"""What is no kernel, no source and no arguments is refused by name, before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import cuda
from gpuops.errors import ArgumentError

KERNEL = cuda.Kernel('extern "C" __global__ void f(float* x) {}', "f")
X = (np.ones(1, np.float32),)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cuda.Kernel(3, "f"), "Kernel 'f': source must be CUDA C.. text or the path"),
        (lambda: cuda.simulate(3, 1, 1, ()), "simulate takes a gpuops.cuda.Kernel, got int 3"),
        (lambda: cuda.simulate(KERNEL, 1, 1, 3), "Kernel 'f': args must be a tuple or a list"),
        (lambda: cuda.simulate(KERNEL, 1, 1, X, "a"), "shared_mem must be a number of bytes"),
        (lambda: cuda.simulate(KERNEL, 1, 1, X, -1), "shared_mem must be a number of bytes"),
        (lambda: cuda.compile_report(3), "compile_report takes a gpuops.cuda.Kernel, got int 3"),
        (lambda: gpuops.trace(3), "trace takes a function, got int 3"),
    ],
)
def test_it_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
