"""Functions whose hints are strings, for `test_infer`."""

from __future__ import annotations

from typing import Optional

import numpy as np

from gpuops import Array as A
from gpuops import DType, Scalar


def plain(x: A, s: float = 2.0) -> A:
    return x * s


def with_everything(
    x: A,
    xs: list[Optional[A]],  # noqa: UP045
    ys: list[A] | None,
    *,
    n: int = 3,
    s: Scalar = 1,
    d: DType = np.float32,  # type: ignore[assignment]
    out: A,
) -> tuple[A, list[A]]:
    return x.copy(), [x.copy()]


class Model:
    def method(self, x: A, s: float = 1) -> None:
        x *= s
