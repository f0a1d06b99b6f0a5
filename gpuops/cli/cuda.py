"""``gpuops cuda``: what the kernels of a pack need, and cubins for machines without a compiler."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gpuops.cli import render
from gpuops.cuda import SUPPORTED_ARCHS, Kernel, compile_reports, pack_kernels
from gpuops.cuda.binaries import build as build_kernel
from gpuops.cuda.counters import RESERVE
from gpuops.cuda.nvrtc import arch_number
from gpuops.errors import OperatorNotFoundError
from gpuops.registry import registry

__all__ = ["app"]

app = typer.Typer(
    help="CUDA kernels without a GPU: resources per architecture, cubins to ship.",
    no_args_is_help=True,
)

Pack = Annotated[
    str | None,
    typer.Argument(metavar="[PACK]", help="Namespace of the operators; without, all packs."),
]
Archs = Annotated[
    list[str] | None,
    typer.Option("--arch", help="Such as sm_90; may be repeated.", show_default="all supported"),
]


@app.command()
def report(
    pack: Pack = None,
    arch: Archs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Registers, spills, stack and shared memory of every kernel, per architecture."""
    rows = [asdict(row) for row in compile_reports(_kernels(pack), _numbers(arch))]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        render.console().print(_table(rows))


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Folder for the cubins.", file_okay=False)],
    pack: Pack = None,
    arch: Archs = None,
) -> None:
    """Compile every kernel of a pack; a GPU host with GPUOPS_CUBIN_PATH=OUT compiles nothing."""
    kernels, archs = [*_kernels(pack), *_of_states(pack)], _numbers(arch)
    jobs = [(kernel, f"sm_{number}") for kernel in kernels for number in archs]
    # NVRTC works without Python's lock: two threads use two cores.
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda job: build_kernel(job[0], job[1], out), jobs))
    total = render.size(sum(path.stat().st_size for path in paths))
    named = ", ".join(f"sm_{number}" for number in archs)
    line = f"{len(kernels)} kernels for {named}: {len(paths)} cubins, {total}, in {out}"
    render.console().print(Text(line))


def _kernels(pack: str | None) -> list[Kernel]:
    kernels = pack_kernels(pack)
    if not kernels:
        where = "the installed packs have" if pack is None else f"{pack} has"
        raise OperatorNotFoundError(f"{where} no CUDA kernels")
    return kernels


def _of_states(pack: str | None) -> list[Kernel]:
    """What random states launch, where an operator takes one."""
    parameters = [p for operator in registry.operators(pack) for p in operator.schema.parameters]
    return [RESERVE] if any(p.type.base == "RNGState" for p in parameters) else []


def _numbers(archs: list[str] | None) -> list[str]:
    return list(dict.fromkeys(arch_number(arch) for arch in archs or SUPPORTED_ARCHS))


def _table(rows: list[dict[str, Any]]) -> Any:
    return render.table(
        "CUDA kernels",
        ["kernel", "arch", "registers", "spilled", "stack", "shared", "constant", "parameters",
         "threads"],
        [
            (
                row["kernel"],
                row["arch"],
                str(row["registers"]),
                str(row["spill_stores"] + row["spill_loads"]),
                str(row["stack"]),
                str(row["static_shared"]),
                str(row["constant"]),
                str(sum(row["parameters"])),
                str(row["max_threads"]),
            )
            for row in rows
        ],
        text=2,
    )  # fmt: skip
