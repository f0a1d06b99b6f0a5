"""Every operator of the pack has all of its parts, and passes `gpuops.opcheck`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpuops
import gpuops_kernels
from gpuops.batching import VMAP
from gpuops.formulas import AUTOGRAD, NO_GRADIENT
from gpuops.register import FAKE
from gpuops.registry import registry
from tests import pack_parts
from tests.pack_parts import lacks


def test_every_operator_of_the_pack_is_complete() -> None:
    """Fake, gradient or a stated reason, batching rule, kernels, profile, ``.cu``, and opcheck."""
    gpuops.load_packs()
    operators = gpuops.operators("gpuops_kernels")
    assert sorted(operator.name for operator in operators) == sorted(gpuops_kernels.__all__)
    assert [problem for operator in operators for problem in lacks(operator)] == []


# -- and each part is looked at: of an operator without it, it is said -----------------------------

SILU_MUL = "gpuops_kernels::silu_mul"


def _without_rule(token: str) -> Callable[[pytest.MonkeyPatch], None]:
    def take_away(patch: pytest.MonkeyPatch) -> None:
        rules = registry._rules[gpuops.ops.gpuops_kernels.silu_mul.operator]
        patch.delitem(rules, token)

    return take_away


def _without_kernel(device_type: str) -> Callable[[pytest.MonkeyPatch], None]:
    def take_away(patch: pytest.MonkeyPatch) -> None:
        operator = gpuops.ops.gpuops_kernels.silu_mul.operator
        patch.delitem(operator.kernels, device_type)

    return take_away


def _profile(text: str | None) -> Callable[[pytest.MonkeyPatch], None]:
    def replace(patch: pytest.MonkeyPatch) -> None:
        load = pack_parts.load_op_profiles
        path = Path(gpuops_kernels.__file__).parent / "silu_mul" / "profile.yaml"
        if text is None:
            patch.setattr(Path, "is_file", lambda self: self != path)
            return

        def loaded(given: Any) -> Any:
            return {
                name: {profile for profile in profiles if text not in str(profile)}
                for name, profiles in load(given).items()
            }

        patch.setattr(pack_parts, "load_op_profiles", loaded)

    return replace


@pytest.mark.parametrize(
    ("take_away", "problem"),
    [
        (_without_rule(FAKE), "no fake kernel"),
        (_without_rule(AUTOGRAD), "no gradient, nor a reason for none"),
        (_without_rule(VMAP), "no batching rule"),
        (_without_kernel("cpu"), "no kernel for 'cpu'"),
        (_without_kernel("cuda"), "no kernel for 'cuda'"),
        (_profile(" on cuda"), "no profile of 'cuda'"),
        (_profile(" on cpu"), "no profile of 'cpu'"),
        (_profile(None), "no profile of 'cpu'"),
    ],
)
def test_a_part_that_is_missing_is_named(
    take_away: Callable[[pytest.MonkeyPatch], None], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch)
    assert f"{SILU_MUL}: {problem}" in lacks(gpuops.ops.gpuops_kernels.silu_mul.operator)


def test_a_reason_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = gpuops.ops.gpuops_kernels.nonzero.operator
    assert lacks(operator) == []
    monkeypatch.delitem(registry._rules[operator], NO_GRADIENT)
    assert lacks(operator) == [f"{operator.qualname}: no gradient, nor a reason for none"]


def test_a_cuda_kernel_without_a_cu_is_named() -> None:
    operator = gpuops.ops.gpuops_kernels.silu_mul.operator
    on_cpu = gpuops.get_kernel(operator, "cpu")

    def run(gate: Any, up: Any) -> Any:
        return gpuops.asarray(on_cpu(gate.get(), up.get()), device=gpuops.device_of(gate))

    with gpuops.register_kernel(operator, "cuda", run):
        assert lacks(operator) == [f"{SILU_MUL}: no .cu of the pack is launched"]


def test_what_opcheck_finds_is_given() -> None:
    operator = gpuops.ops.gpuops_kernels.silu_mul.operator
    with gpuops.register_kernel(operator, "cpu", lambda gate, up: gate):
        problems = lacks(operator)
    assert any("test_schema failed" in problem and "alias" in problem for problem in problems)
