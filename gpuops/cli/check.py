"""``gpuops check``: `gpuops.opcheck` on the cases of a pack's operators."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gpuops.cases import Case, CaseError, load_cases
from gpuops.cli import render
from gpuops.cli.bench import progress
from gpuops.cli.junit import write_junit
from gpuops.errors import GpuopsError, OperatorNotFoundError, UsageError, closest
from gpuops.opchecks.api import CHECKS
from gpuops.opchecks.failures import Expectation, Failures, read_failures
from gpuops.opchecks.packs import DRAWN, check_case, pack_operators
from gpuops.opchecks.report import OpCheckError
from gpuops.registry import Operator

__all__ = ["Plan", "Verdict", "as_json", "check_operator", "check_pack", "read_plan"]

PASSED, FAILED, ERROR, EXPECTED, SKIPPED = "passed", "failed", "error", "expected", "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check of one case.

    Attributes:
        operator: its name.
        case: the id of the case; empty for what concerns all of them.
        check: the check's name.
        status: ``"passed"``, ``"failed"``, ``"error"`` (there was nothing to check),
            ``"expected"`` (it failed, as a failures file says) or ``"skipped"``.
        problem: what is wrong, or why it was left out; None if it passed.
        seconds: what it took.
    """

    operator: str
    case: str
    check: str
    status: str
    problem: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is checked of each operator.

    Attributes:
        checks: the names of the checks.
        cases: how many cases, from the first; None for all.
        seed: for the arguments and what is drawn.
        failures: what is expected to fail.
    """

    checks: Sequence[str] = CHECKS
    cases: int | None = None
    seed: int = 0
    failures: Failures = field(default_factory=Failures)


def check_pack(
    pack: str,
    names: Sequence[str],
    plan: Plan,
    junit: Path | None,
    screen: Console | None,
) -> tuple[list[Verdict], bool]:
    """Check operators of a namespace, print a table and what failed, and write a report.

    Args:
        pack: the namespace.
        names: of the operators, with or without the namespace; none stands for all.
        plan: what is checked.
        junit: where the report goes.
        screen: where the table goes, if anywhere.

    Returns:
        The verdicts, and whether none is a failure or an error.

    Raises:
        OperatorNotFoundError: the namespace has no operators, or none of a name, or it is that of a
            pack that cannot be imported.
        UsageError: the report cannot be written there.
    """
    operators = _chosen(pack_operators(pack), names)
    if junit is not None and not junit.absolute().parent.is_dir():
        # Said before the checks have taken their time.
        raise UsageError(f"--junit: there is no folder {junit.absolute().parent}")
    verdicts: list[Verdict] = []
    quiet = render.progress_console()
    with progress() as bar:
        task = bar.add_task("checking", total=None)
        for operator in operators:

            def tell(case: str, name: str = operator.qualname) -> None:
                bar.update(task, description=f"checking {name} {case}", advance=1)

            new = check_operator(operator, plan, tell)
            verdicts += new
            if not quiet.is_terminal:
                quiet.print(Text(_line(operator, new)), soft_wrap=True)
    if screen is not None:
        _show(pack, verdicts, screen)
    if junit is not None:
        write_junit(verdicts, junit)
    return verdicts, not any(verdict.status in (FAILED, ERROR) for verdict in verdicts)


def read_plan(
    checks: Sequence[str] | None, cases: int | None, seed: int, failures: Path | None, pack: str
) -> Plan:
    """The plan that the command's options give.

    Raises:
        UsageError: there is no check of that name.
        FailuresError: the failures file cannot be used.
        OperatorNotFoundError: there is no such pack.
    """
    for name in checks or ():
        if name not in CHECKS:
            raise UsageError(
                f"there is no check {name!r}; expected one of {', '.join(CHECKS)}"
                f"{closest(name, CHECKS)}"
            )
    if failures is None:
        return Plan(tuple(checks or CHECKS), cases, seed)
    pack_operators(pack)  # the file names operators that have to be there
    return Plan(tuple(checks or CHECKS), cases, seed, read_failures(failures))


def _chosen(operators: list[Operator], names: Sequence[str]) -> list[Operator]:
    if not names:
        return operators
    table = {operator.qualname: operator for operator in operators}
    found = []
    for name in names:
        full = name if "::" in name else f"{operators[0].namespace}::{name}"
        if full not in table:
            raise OperatorNotFoundError(f"there is no operator {full}{closest(full, table)}")
        found.append(table[full])
    return list(dict.fromkeys(found))


# -- one operator ----------------------------------------------------------------------------------


def check_operator(
    operator: Operator, plan: Plan, tell: Callable[[str], None] = lambda case: None
) -> list[Verdict]:
    """The verdicts on the cases of an operator; what goes wrong is in them.

    Args:
        operator: the operator.
        plan: what is checked.
        tell: called with the id of each case that begins.
    """
    try:
        cases = load_cases(operator).cases[: plan.cases]
    except Exception as error:  # of the module that holds them, whatever that does
        text = str(error) if isinstance(error, GpuopsError) else f"{type(error).__name__}: {error}"
        return [Verdict(operator.qualname, "", "cases", ERROR, text)]
    found: list[Verdict] = []
    for number, case in enumerate(cases):
        tell(case.id)
        found += _check_case(operator, case, plan, draws=number < DRAWN)
    return [*found, *_unmet(operator, plan, found)]


def _check_case(operator: Operator, case: Case, plan: Plan, *, draws: bool) -> Iterator[Verdict]:
    for check in plan.checks:
        verdict = Verdict(operator.qualname, case.id, check, PASSED)
        expected = plan.failures.get(operator.qualname, check)
        if expected is not None and expected.status == "skip":
            yield replace(verdict, status=SKIPPED, problem=_because(expected))
            continue
        start = time.perf_counter()
        try:
            check_case(operator, case, check, seed=plan.seed, draws=draws)
        except OpCheckError as error:
            status = FAILED if expected is None else EXPECTED
            because = "" if expected is None else f" ({_because(expected)})"
            verdict = replace(verdict, status=status, problem=f"{error}{because}")
        except CaseError as error:
            verdict = replace(verdict, status=ERROR, problem=str(error))
        yield replace(verdict, seconds=time.perf_counter() - start)


def _because(expected: Expectation) -> str:
    return f"{expected.reason}, says {expected.place}"


def _unmet(operator: Operator, plan: Plan, found: list[Verdict]) -> Iterator[Verdict]:
    """A failure for each check that was expected to fail and passed on every case."""
    for check in plan.checks:
        expected = plan.failures.get(operator.qualname, check)
        mine = [verdict for verdict in found if verdict.check == check]
        if expected is None or expected.status == "skip" or not mine:
            continue
        if all(verdict.status == PASSED for verdict in mine):
            yield Verdict(
                operator.qualname,
                "",
                check,
                FAILED,
                f"{operator.qualname}: {check} is expected to fail, but passes: take the entry at "
                f"{expected.place} away ({expected.reason})",
            )


# -- what is shown ---------------------------------------------------------------------------------


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    states = [verdict.status for verdict in verdicts]
    return {status: states.count(status) for status in (PASSED, FAILED, ERROR, EXPECTED, SKIPPED)}


def _line(operator: Operator, verdicts: list[Verdict]) -> str:
    counts = _counts(verdicts)
    seconds = sum(verdict.seconds for verdict in verdicts)
    bad = counts[FAILED] + counts[ERROR]
    state = "ok" if not bad else f"{bad} of {len(verdicts)} failed"
    return f"{operator.qualname}: {state} ({seconds:.1f} s)"


def _show(pack: str, verdicts: list[Verdict], screen: Console) -> None:
    rows = []
    for name in dict.fromkeys(verdict.operator for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.operator == name]
        counts = _counts(mine)
        rows.append(
            (
                name,
                str(len({verdict.case for verdict in mine if verdict.case})),
                *(str(counts[s]) for s in (PASSED, FAILED, ERROR, EXPECTED, SKIPPED)),
                f"{sum(verdict.seconds for verdict in mine):.1f}",
            )
        )
    columns = ["operator", "cases", PASSED, FAILED, "errors", EXPECTED, SKIPPED, "seconds"]
    screen.print(render.table(f"Checks of {pack}", columns, rows))
    for verdict in verdicts:
        if verdict.status in (FAILED, ERROR):
            case = f" [{verdict.case}]" if verdict.case else ""
            text = f"{verdict.operator} {verdict.check}{case}: {verdict.problem}"
            screen.print(Text(text, style="red"), soft_wrap=True)


def as_json(pack: str, verdicts: list[Verdict]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {"pack": pack, **_counts(verdicts), "verdicts": [asdict(v) for v in verdicts]}
