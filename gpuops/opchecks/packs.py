"""The operators of a pack with their cases: what `gpuops check` and the pytest plugin run."""

from __future__ import annotations

import numpy as np

from gpuops.cases import Case, CaseError, load_cases
from gpuops.errors import GpuopsError, OperatorNotFoundError, closest, describe
from gpuops.opchecks.api import opcheck
from gpuops.opchecks.report import OpCheckError
from gpuops.packs import load_packs
from gpuops.registry import Operator, registry

__all__ = ["DRAWN", "check_case", "check_cases", "pack_operators"]

DRAWN = 2
"""Of how many cases of an operator further inputs are made: those of others would be the same."""


def pack_operators(pack: str) -> list[Operator]:
    """The operators of a namespace, after every installed pack has been imported.

    Raises:
        OperatorNotFoundError: there are none, or a pack of that name cannot be imported. A pack
            that registered half of its operators is as broken as one that registered none.
    """
    if not isinstance(pack, str):
        raise OperatorNotFoundError(f"expected the namespace of a pack, got {describe(pack)}")
    problems = load_packs()
    if (problem := problems.get(pack)) is not None:
        raise OperatorNotFoundError(f"the pack {pack!r} cannot be imported: {problem}")
    operators = registry.operators(pack)
    if not operators:
        known = {operator.namespace for operator in registry.operators()} | problems.keys()
        raise OperatorNotFoundError(
            f"nothing is defined in the namespace {pack!r}{closest(pack, known)}"
        )
    return operators


def check_case(
    operator: Operator, case: Case, check: str, *, seed: int = 0, draws: bool = True
) -> None:
    """Run one check of `gpuops.opcheck` on one case of an operator.

    Args:
        operator: the operator.
        case: one of its cases.
        check: a name out of `CHECKS`.
        seed: for the arguments of the case, and for what the check draws.
        draws: whether further inputs are made from it.

    Raises:
        OpCheckError: it fails; the message ends with the id of the case.
        CaseError: the case cannot be built, or is no call of the operator.
    """
    where = f"(case {case.id!r}, seed {seed})"
    try:
        args, kwargs = case.build(np.random.default_rng(seed))
    except Exception as error:
        raise CaseError(
            f"{operator.qualname}: the arguments cannot be built: {type(error).__name__}: "
            f"{error} {where}"
        ) from error
    try:
        opcheck(operator, args, kwargs, test_utils=check, seed=seed, draws=draws)
    except OpCheckError as error:
        failed = OpCheckError(f"{error} {where}")
        failed.case, failed.script = error.case, error.script
        raise failed from error
    except GpuopsError as error:  # the sample is no call of the operator
        raise CaseError(f"{error} {where}") from error


def check_cases(operator: Operator, check: str, *, cases: int | None = None, seed: int = 0) -> None:
    """Run one check on the cases of an operator, up to the first failure.

    Args:
        operator: one that has cases.
        check: a name out of `CHECKS`.
        cases: how many of them, from the first; None for all.
        seed: see `check_case`.

    Raises:
        OpCheckError: a case fails.
        CaseError: the operator has no cases, they are malformed, or one is no call of it.
    """
    for number, case in enumerate(load_cases(operator).cases[:cases]):
        check_case(operator, case, check, seed=seed, draws=number < DRAWN)
