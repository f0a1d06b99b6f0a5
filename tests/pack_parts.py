"""What an operator of a pack still lacks, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops.batching import VMAP
from gpuops.cases import load_cases
from gpuops.cuda import Kernel
from gpuops.formulas import AUTOGRAD, NO_GRADIENT
from gpuops.profiles import load_op_profiles
from gpuops.register import FAKE
from gpuops.registry import Operator
from gpuops.transforms.providers import find_rule

__all__ = ["lacks"]


def lacks(operator: Operator) -> list[str]:
    """What is missing, or wrong by `gpuops.opcheck`; nothing of an operator that is complete.

    It has to have a fake kernel, a gradient or a stated reason for none, a batching rule, kernels
    for "cpu" and "cuda", a profile of each in ``profile.yaml`` beside its module, and a ``.cu`` of
    the pack that its "cuda" kernel launches. Each check of `gpuops.opcheck` has to pass on the
    first of its cases.
    """
    folder = Path(operator.location.file).parent
    with launched_sources() as sources:
        problems = list(_opcheck(operator))
    for part, there in _PARTS.items():
        if not there(operator):
            problems.append(f"no {part}")
    recorded = _profile_devices(operator, folder / "profile.yaml")
    problems += [
        f"no profile of {device!r}" for device in ("cpu", "cuda") if device not in recorded
    ]
    if not any(path.suffix == ".cu" and folder.parent in path.parents for path in sources):
        problems.append("no .cu of the pack is launched")
    return [f"{operator.qualname}: {problem}" for problem in problems]


_PARTS: dict[str, Callable[[Operator], Any]] = {
    "fake kernel": lambda op: find_rule(op, FAKE) or op.signature,
    "gradient, nor a reason for none": lambda op: (
        find_rule(op, AUTOGRAD) or find_rule(op, NO_GRADIENT)
    ),
    "batching rule": lambda op: find_rule(op, VMAP) or op.signature,
    "kernel for 'cpu'": lambda op: op.kernel("cpu"),
    "kernel for 'cuda'": lambda op: op.kernel("cuda"),
}


def _opcheck(operator: Operator) -> Iterator[str]:
    (case, *_) = load_cases(operator).cases
    args, kwargs = case.build(np.random.default_rng(0))
    found = gpuops.opcheck(operator, args, kwargs, raise_exception=False)
    for name, verdict in found.items():
        if verdict != "SUCCESS":
            yield f"{name} failed: {verdict}"


def _profile_devices(operator: Operator, path: Path) -> set[str]:
    """The device types of which the file has a profile of the operator."""
    if not path.is_file():
        return set()
    profiles = load_op_profiles(path).get(operator.qualname, ())
    return {
        device for device in ("cpu", "cuda") if any(f" on {device}" in str(p) for p in profiles)
    }


@contextmanager
def launched_sources() -> Iterator[set[Path]]:
    """The files of the CUDA kernels that are launched in the block."""
    sources: set[Path] = set()
    launch = Kernel.__call__

    def noting(self: Kernel, *args: Any, **kwargs: Any) -> None:
        sources.add(Path(self.filename))
        launch(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", noting)
        yield sources
