"""The commands, and how every failure ends in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import gpuops
from gpuops.cli import cuda, profile, render
from gpuops.errors import GpuopsError

__all__ = ["run"]

app = typer.Typer(
    add_completion=False,
    help="Array operators with a kernel per device: what is registered, and how fast it is.",
    pretty_exceptions_enable=False,
)

app.add_typer(cuda.app, name="cuda")
app.add_typer(profile.app, name="profile")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Filter = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Only operators with this in their name.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for the plot and the results.", file_okay=False, show_default=False),
]


class DeviceChoice(StrEnum):
    """What `--device` takes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status (see `gpuops.cli.main`)."""
    command = typer.main.get_command(app)
    try:
        status = command.main(list(arguments), prog_name="gpuops", standalone_mode=False)
    except BrokenPipeError:
        # Whoever read the output has gone (`gpuops ops | head`): that is no error. What is left
        # in the buffer goes nowhere, or Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except GpuopsError as error:
        # A pack's operator that fails is no wrong argument.
        from gpuops.cases import CaseError
        from gpuops.cli.throughput import TimingError

        return _fail(str(error), 1 if isinstance(error, CaseError | TimingError) else 2)
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or ''}", 2)
    except Exception as error:
        # Typer's errors have moved between modules from one version to the next; what they have
        # in common, and nothing else has, is `format_message`.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        return _fail(format_message(), 2)
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    one_line = " ".join(message.split())
    render.progress_console().print(Text(f"gpuops: {one_line}"), soft_wrap=True)
    return status


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(gpuops.__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Array operators with a kernel per device: what is registered, and how fast it is."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def check(
    pack: Annotated[str, typer.Argument(help="The namespace of the operators.")],
    names: Annotated[
        list[str] | None,
        typer.Option("--op", metavar="NAME", help="Only this operator; may be given again."),
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="NAME", help="Only this check; may be given again."),
    ] = None,
    cases: Annotated[
        int | None, typer.Option(min=1, help="How many cases of each operator; all without it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="For what is drawn.")] = 0,
    failures: Annotated[
        Path | None, typer.Option(help="A file with what is expected to fail, and why.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit report there.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run `gpuops.opcheck` on the cases of every operator of a pack; 1 if something failed."""
    from gpuops.cli import check as command

    plan = command.read_plan(checks, cases, seed, failures, pack)
    screen = None if as_json else render.console()
    verdicts, passed = command.check_pack(pack, names or (), plan, junit, screen)
    if as_json:
        _print_json(command.as_json(pack, verdicts))
    raise typer.Exit(0 if passed else 1)


@app.command()
def info(as_json: AsJson = False) -> None:
    """Versions, devices, installed extras, packs and caches."""
    from gpuops.cli.system import facts

    found = facts()
    if as_json:
        _print_json(found)
    else:
        render.show_facts(found, render.console())


@app.command()
def ops(name: Filter = None, as_json: AsJson = False) -> None:
    """The registered operators of all packs: schema, kernels per device, and where they are."""
    from gpuops.cli.listing import describe_operator, find_operators

    packs = gpuops.load_packs()
    found = [describe_operator(operator) for operator in find_operators(name)]
    if as_json:
        broken = {pack: error for pack, error in packs.items() if error is not None}
        _print_json({"operators": found, "broken_packs": broken})
        return
    render.show_operators(found, render.console())
    render.show_broken_packs(packs, render.progress_console())


@app.command()
def demo(out: Out = Path("demo-out"), as_json: AsJson = False) -> None:
    """List, declare, run, check and time operators on this machine, and draw the result."""
    from gpuops.cli.demo import run_demo

    report = run_demo(out, render.progress_console() if as_json else render.console())
    if as_json:
        _print_json(report)
    raise typer.Exit(0 if report["ok"] else 1)


@app.command()
def bench(
    name: Filter = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to run.")] = DeviceChoice.auto,
    rounds: Annotated[int, typer.Option(min=1, help="How often each timing is taken.")] = 15,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Time the kernels beside their NumPy references, and the price of a call."""
    from gpuops.cli.bench import run_bench

    screen = render.progress_console() if as_json else render.console()
    report = run_bench(name, device.value, rounds, out, screen)
    if as_json:
        _print_json(report)
