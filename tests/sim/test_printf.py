"""Device printf."""

from __future__ import annotations

import numpy as np
import pytest

from gpuops import cuda


def test_lines_come_in_the_order_of_threads(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = cuda.Kernel(
        r"""extern "C" __global__ void k(const float* x) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i % 2) printf("thread %d has %.2f (%s)\n", i, x[i], i > 2 ? "big" : "small");
        }""",
        "k",
    )
    cuda.simulate(kernel, 2, 3, (np.arange(6, dtype=np.float32) / 4,))
    assert capsys.readouterr().out == (
        "thread 1 has 0.25 (small)\nthread 3 has 0.75 (big)\nthread 5 has 1.25 (big)\n"
    )


def test_conversions(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = cuda.Kernel(
        r"""extern "C" __global__ void k(long long big, double d) {
            printf("%5d|%-5d|%05d|%+d|%x|%#X|%o|%u|%c|%%\n", 42, 42, 42, 42, 255, 255, 8, -1, 'z');
            printf("%lld|%llx|%hd|%hhd|%8.3f|%e|%g|%.1s|%*d\n", big, big, 70000, 300, d, d, d,
                   "text", 6, 7);
            printf("no arguments\n");
        }""",
        "k",
    )
    cuda.simulate(kernel, 1, 1, (-(2**40), 1.5))
    assert capsys.readouterr().out.splitlines() == [
        "   42|42   |00042|+42|ff|0XFF|10|4294967295|z|%",
        "-1099511627776|ffffff0000000000|4464|44|   1.500|1.500000e+00|1.5|t|     7",
        "no arguments",
    ]
