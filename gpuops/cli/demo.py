"""`gpuops demo`: what gpuops does, on this machine, in under a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

import gpuops
from gpuops import overhead
from gpuops.cli import render
from gpuops.cli.arrays import device_types
from gpuops.cli.bench import machine, make_folder, progress, save, time_kernels, with_cases
from gpuops.cli.listing import describe_operator
from gpuops.cli.live import declare
from gpuops.cli.system import cuda_state
from gpuops.cli.verify import Outcome, count, verify
from gpuops.registry import Operator

__all__ = ["run_demo"]

_ROUNDS = 7


def run_demo(out: Path | None, screen: Console) -> dict[str, Any]:
    """Run the demonstration.

    Args:
        out: the folder for ``demo.png`` and ``demo.json``, made if it is missing; None for none.
        screen: where it is shown.

    Returns:
        The results, ready for JSON; ``"ok"`` is True only if there were operators to run and every
        result matched its reference.

    Raises:
        OSError: `out` cannot be written to; nothing has been run then.
    """
    start = perf_counter()
    if out is not None:
        make_folder(out)
    cuda = cuda_state()
    packs = gpuops.load_packs()
    where = machine(cuda)
    screen.print(Text(f"gpuops {gpuops.__version__} on {where}", style="bold"))
    if not cuda.devices:
        screen.print(Text(f"CPU only: {cuda.reason}."))
    render.show_broken_packs(packs, screen)

    operators = with_cases(gpuops.operators())
    _heading(screen, "1. Registered operators and their kernels")
    render.show_operators([describe_operator(operator) for operator in operators], screen)

    _heading(screen, "2. A new operator, declared now")
    live_matched = _show_live(screen)

    devices = device_types("auto", bool(cuda.devices))
    _heading(screen, "3. Every operator on its cases, against its reference")
    checked = _check(operators, devices, screen)

    _heading(screen, "4. How fast")
    rows = time_kernels(operators, devices, _ROUNDS)
    screen.print(render.throughput_table(rows))
    calls = overhead.measure(rounds=_ROUNDS)
    screen.print(render.overhead_table(calls))

    broken = [pack for pack, error in packs.items() if error is not None]
    ok = bool(operators) and live_matched and not checked["problems"] and not broken
    report = {
        "ok": ok,
        "machine": where,
        "devices": devices,
        "no_cuda_because": cuda.reason,
        "packs": packs,
        "operators": [operator.qualname for operator in operators],
        **checked,
        "throughput": rows,
        "calls": overhead.as_rows(calls),
    }
    if out is not None:
        report["written"] = save(out, "demo", report, calls, screen)
    _conclude(report, perf_counter() - start, screen)
    return report


def _heading(screen: Console, text: str) -> None:
    screen.print()
    screen.print(Text(text, style="bold underline"))


def _show_live(screen: Console) -> bool:
    live = declare()
    screen.print(Syntax(live.declaration, "python", background_color="default"))
    screen.print(Text(f"Its schema, from the type hints: {live.schema}"))
    screen.print(Text("The function that gpuops generated for it, which is what a call runs:"))
    screen.print(Syntax(live.source, "python", background_color="default"))
    screen.print(Text(f"A wrong call says: {live.error}"))
    screen.print(
        Text(f"A right call returned {'the right' if live.matched else 'a wrong'} result.")
    )
    return live.matched


def _check(
    operators: Sequence[Operator], devices: Sequence[str], screen: Console
) -> dict[str, Any]:
    """Run all cases, one line per operator and device; the counts and the problems."""
    outcomes: list[Outcome] = []
    with progress() as bar:
        task = bar.add_task("checking", total=count(operators, devices))
        for operator in operators:
            bar.update(task, description=f"checking {operator.qualname}")
            for outcome in verify([operator], devices):
                outcomes.append(outcome)
                bar.advance(task)
    totals = Counter((outcome.operator, outcome.device) for outcome in outcomes)
    problems = [outcome for outcome in outcomes if outcome.problem is not None]
    failed = Counter((outcome.operator, outcome.device) for outcome in problems)
    for (name, device), total in totals.items():
        matched = total - failed[name, device]
        style = "red" if failed[name, device] else "green"
        screen.print(Text(f"{name:32} {device:5} {matched} of {total} cases match", style=style))
    for outcome in problems:
        screen.print(
            Text(f"{outcome.operator} on {outcome.device}, case {outcome.case}: {outcome.problem}")
        )
    return {
        "cases": len(outcomes),
        "matched": len(outcomes) - len(problems),
        "problems": [
            {"operator": p.operator, "device": p.device, "case": p.case, "problem": p.problem}
            for p in problems
        ],
    }


def _conclude(report: dict[str, Any], seconds: float, screen: Console) -> None:
    screen.print()
    if not report["operators"]:
        screen.print(Text("No operators to run: no pack is installed.", style="bold red"))
    elif report["ok"]:
        text = f"All {report['cases']} results match their references; {seconds:.0f} s in all."
        screen.print(Text(text, style="bold green"))
    else:
        text = (
            f"Not everything is right: {report['matched']} of {report['cases']} results match; "
            f"{seconds:.0f} s in all."
        )
        screen.print(Text(text, style="bold red"))
