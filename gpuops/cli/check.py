"""``gpuops check``: `gpuops.opcheck` on the cases of a pack, one line an operator."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import typer

import gpuops
from gpuops.cases import load_cases
from gpuops.errors import OperatorNotFoundError
from gpuops.opchecks import CHECKS
from gpuops.registry import Operator

__all__ = ["Verdict", "check_operator", "check_pack"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check of one case; `problem` is None if it passed, `seconds` what it took."""

    operator: str
    case: str
    check: str
    problem: str | None
    seconds: float


def check_operator(operator: Operator, cases: int, *, seed: int = 0) -> list[Verdict]:
    """All checks on the first `cases` cases of an operator; what goes wrong is in the verdicts."""
    verdicts = []
    for case in load_cases(operator).cases[:cases]:
        args, kwargs = case.build(np.random.default_rng(seed))
        for name in CHECKS:
            start = time.perf_counter()
            found = gpuops.opcheck(
                operator, args, kwargs, test_utils=name, raise_exception=False, seed=seed
            )[name]
            problem = None if found == "SUCCESS" else str(found)
            seconds = time.perf_counter() - start
            verdicts.append(Verdict(operator.qualname, case.id, name, problem, seconds))
    return verdicts


def check_pack(pack: str, cases: int, junit: Path | None) -> int:
    """Check every operator of a namespace, print a table and the failures; 1 if there are any.

    Raises:
        OperatorNotFoundError: the namespace has no operators.
        CaseError: an operator has no cases.
    """
    gpuops.load_packs()
    operators = gpuops.operators(pack)
    if not operators:
        raise OperatorNotFoundError(f"nothing is defined in the namespace {pack!r}")
    verdicts: list[Verdict] = []
    for operator in operators:
        new = check_operator(operator, cases)
        verdicts += new
        failed = [verdict for verdict in new if verdict.problem is not None]
        seconds = sum(verdict.seconds for verdict in new)
        passed = f"{len(new) - len(failed)}/{len(new)}"
        typer.echo(f"{operator.qualname:45} {passed:>7} checks passed {seconds:6.2f} s")
        for verdict in failed:
            typer.echo(f"  {verdict.check} [{verdict.case}]: {verdict.problem}")
    if junit is not None:
        _write_junit(verdicts, junit)
    return int(any(verdict.problem is not None for verdict in verdicts))


def _write_junit(verdicts: list[Verdict], path: Path) -> None:
    failures = sum(verdict.problem is not None for verdict in verdicts)
    suite = ET.Element(
        "testsuite", name="opcheck", tests=str(len(verdicts)), failures=str(failures)
    )
    for verdict in verdicts:
        entry = ET.SubElement(
            suite,
            "testcase",
            classname=verdict.operator,
            name=f"{verdict.check}[{verdict.case}]",
            time=f"{verdict.seconds:.3f}",
        )
        if verdict.problem is not None:
            ET.SubElement(entry, "failure", message=verdict.problem)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
