"""`gpuops bench`: the kernels beside their references, and the price of a call."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

import gpuops
from gpuops import overhead
from gpuops.cases import CaseError, has_cases, load_cases
from gpuops.cli import render, throughput
from gpuops.cli.arrays import device_types
from gpuops.cli.listing import find_operators
from gpuops.cli.plot import draw
from gpuops.cli.system import CudaState, cuda_state, processor
from gpuops.errors import DeviceError, GpuopsError
from gpuops.registry import Operator

__all__ = ["machine", "make_folder", "progress", "run_bench", "save", "time_kernels", "with_cases"]


def run_bench(
    name: str | None, device: str, rounds: int, out: Path | None, screen: Console
) -> dict[str, Any]:
    """Time the operators, print tables, and write ``bench.json`` and ``bench.png`` into `out`.

    Args:
        name: only operators with this in their name; None for all.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for all there are.
        rounds: how often each timing is taken; the least counts.
        out: a folder, made if it is missing; None to write nothing.
        screen: where tables go.

    Returns:
        The results, ready for JSON.

    Raises:
        DeviceError: `device` is ``"cuda"`` and there is none.
        OSError: `out` cannot be written to; nothing has been timed then.
        OperatorNotFoundError: no operator with that name, or none with bench shapes.
    """
    cuda = cuda_state()
    if device == "cuda" and not cuda.devices:
        raise DeviceError(f"--device cuda: {cuda.reason}")
    if out is not None:
        make_folder(out)
    packs = gpuops.load_packs()
    operators = with_cases(find_operators(name))
    if name is not None and not operators:
        raise gpuops.OperatorNotFoundError(f"no operator named like {name!r} has bench shapes")
    where = machine(cuda)
    screen.print(Text(f"gpuops {gpuops.__version__} on {where}", style="bold"))
    if not cuda.devices:
        screen.print(Text(f"CPU only: {cuda.reason}."))
    render.show_broken_packs(packs, screen)
    devices = device_types(device, bool(cuda.devices))
    rows = time_kernels(operators, devices, rounds)
    screen.print(render.throughput_table(rows))
    calls = overhead.measure(rounds=rounds)
    screen.print(render.overhead_table(calls))
    report = {
        "machine": where,
        "devices": devices,
        "no_cuda_because": cuda.reason,
        "packs": packs,
        "rounds": rounds,
        "throughput": rows,
        "calls": overhead.as_rows(calls),
    }
    if out is not None:
        report["written"] = save(out, "bench", report, calls, screen)
    return report


def with_cases(operators: Sequence[Operator]) -> list[Operator]:
    """The operators that have a `cases` module; others cannot be run without being told how.

    Raises:
        CaseError: such a module cannot be used.
    """
    found = [operator for operator in operators if has_cases(operator)]
    for operator in found:
        try:
            load_cases(operator)
        except GpuopsError:
            raise
        except Exception as error:  # the pack's code can raise anything
            raise CaseError(
                f"{operator.qualname}: its module of cases cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
    return found


def time_kernels(
    operators: Sequence[Operator], devices: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """The rows of `throughput.measure`, with progress."""
    total = throughput.count(operators, devices)
    with progress() as bar:
        task = bar.add_task("timing", total=total)
        rows = []
        for row in throughput.measure(operators, devices, rounds=rounds):
            rows.append(row)
            bar.update(task, advance=1, description=f"timing {row['operator']}")
        return rows


def progress() -> Progress:
    """A progress line on standard error, gone when done; silent where that is no terminal."""
    screen = render.progress_console()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )


def machine(cuda: CudaState) -> str:
    """The processor and the CUDA devices in one line."""
    cpu = processor()
    names = [f"{cpu['name']} ({cpu['cores']} cores)"]
    return ", ".join(names + [row["name"] for row in cuda.devices])


def make_folder(out: Path) -> None:
    """Make the folder for the results, before the work that would be lost without it.

    Raises:
        OSError: it cannot be made or written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    # Permissions alone do not tell: a file system can be read-only or full.
    with tempfile.TemporaryFile(dir=out):
        """Gone when closed."""


def save(
    out: Path,
    name: str,
    report: dict[str, Any],
    calls: Sequence[overhead.Overhead],
    screen: Console,
) -> list[str]:
    """Write ``<name>.png`` and ``<name>.json`` into a folder; the paths written.

    Raises:
        OSError: the folder is not there or cannot be written to.
    """
    written = []
    picture = out / f"{name}.png"
    problem = draw(picture, report["throughput"], calls, report["machine"])
    if problem is None:
        written.append(str(picture))
    else:
        screen.print(Text(problem))
    results = out / f"{name}.json"
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    written.append(str(results))
    screen.print(Text(f"written: {', '.join(written)}"))
    return written
