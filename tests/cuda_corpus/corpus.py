"""What the planted defects, the controls and the mutants share: launches, and running one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuops import cuda

HERE = Path(__file__).parent

# What a report says in plain words besides its kind.
WORDS = {
    "OUT-OF-BOUNDS": "out of bounds",
    "MISALIGNED": "misaligned",
    "UNINITIALISED": "uninitialised",
    "RACE": "race",
    "BARRIER-DIVERGENCE": "barrier divergence",
    "WARP-MASK": "lane",
    "NO-PROGRESS": "no progress",
    "READ-ONLY": "read-only",
    "TRAP": "trap",
    "ASSERT": "assert",
    "LAUNCH": "threads",
}


@dataclass(frozen=True)
class Launch:
    """A launch of a kernel, and what its arguments have to hold afterwards.

    Attributes:
        grid: blocks.
        block: threads of each.
        args: arrays and scalars.
        right: position of an argument -> its right values after the launch.
        shared_mem: dynamic shared memory in bytes.
        rtol: how far floating-point results may be from `right`, relative to them.
    """

    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    args: tuple[Any, ...]
    right: Mapping[int, Any] = field(default_factory=dict)
    shared_mem: int = 0
    rtol: float = 1e-5


def kernel_of(path: Path, *options: str, name: str | None = None) -> cuda.Kernel:
    """The kernel of a `.cu` file of the corpus; without `name`, the one called like the file."""
    return cuda.Kernel(str(path), name or path.stem, options=options)


def simulate(kernel: cuda.Kernel, launch: Launch) -> None:
    """Run a launch in the simulator; its arrays hold the results afterwards.

    Raises:
        SimulationError: the simulator found something.
    """
    cuda.simulate(kernel, launch.grid, launch.block, launch.args, shared_mem=launch.shared_mem)


def wrong(launch: Launch) -> str | None:
    """What differs from the right values, once the launch has run; None if nothing does."""
    for position, expected in launch.right.items():
        try:
            np.testing.assert_allclose(
                launch.args[position], expected, rtol=launch.rtol, atol=1e-6, strict=False
            )
        except AssertionError as error:
            return f"argument {position}: {error}"
    return None


def run_and_compare(kernel: cuda.Kernel, launch: Launch) -> None:
    """Run a launch that has to pass.

    Raises:
        AssertionError: a value is not the right one.
        SimulationError: the simulator raised a false alarm.
    """
    simulate(kernel, launch)
    assert wrong(launch) is None, wrong(launch)


class Table(dict[str, tuple[Callable[..., Launch], dict[str, Any]]]):
    """Launches by the name of their `.cu` file: functions register themselves with `entry`."""

    def entry(self, **facts: Any) -> Callable[[Callable[..., Launch]], Callable[..., Launch]]:
        """Decorator: the function's name is the file's."""

        def register(build: Callable[..., Launch]) -> Callable[..., Launch]:
            assert build.__name__ not in self, f"two launches called {build.__name__}"
            self[build.__name__] = (build, facts)
            return build

        return register

    def params(self) -> list[Any]:
        """One pytest parameter set (name, build, facts) for each entry."""
        return [pytest.param(name, *entry, id=name) for name, entry in self.items()]


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """float32 between -1 and 1."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def ints(*shape: int, low: int = 0, high: int = 100, seed: int = 0) -> np.ndarray:
    """int32 from `low` up to but not including `high`."""
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int32)


def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Room for results. Not `empty`: a wrong kernel has to be wrong in the same way each time."""
    return np.zeros(shape, dtype)
