"""``gpuops profile``: record what operators do, show it, and compare two recordings."""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gpuops.cli import render
from gpuops.errors import UsageError

__all__ = ["app"]

app = typer.Typer(
    help="Profiles of operators: with what metadata they were called, and what came back.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
File = Annotated[Path, typer.Argument(help="A file that `gpuops profile record` wrote.")]


@app.command(context_settings={"ignore_unknown_options": True})
def record(
    command: Annotated[
        list[str], typer.Argument(metavar="-- python SCRIPT [ARGUMENT]...", help="What to run.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("profiles.yaml"),
) -> None:
    """Run a Python script and save the profiles of the operators that it calls.

    The script runs in this process, as ``__main__``. What it did until it failed is saved too, and
    its exit status is the command's. Threads that it starts are waited for; the processes that it
    starts are not recorded.
    """
    from gpuops.profiles import record_op_profiles, save_op_profiles

    module, arguments = _script(command)
    # The script may change the working folder.
    target = _checked_target(out)
    own, status, before = os.getpid(), 0, set(threading.enumerate())
    with record_op_profiles() as profiles, _as_main(arguments):
        run = _runner(module, arguments[0])
        try:
            run()
        except SystemExit as error:
            status = _status(error.code)
        except Exception as error:
            # As Python would show it: it is the script's, not this command's.
            traceback.print_exception(error)
            status = 1
        finally:
            # A child that the script forked comes here too.
            if os.getpid() == own:
                _wait_for_threads(before)
                found = {name: set(options) for name, options in list(profiles.items())}
                save_op_profiles(found, target)
    if os.getpid() == own:
        counted = sum(map(len, found.values()))
        render.progress_console().print(
            f"gpuops: {counted} profiles of {len(found)} operators in {out}", soft_wrap=True
        )
    raise typer.Exit(status)


def _checked_target(out: Path) -> Path:
    """The absolute path of the file to write, which is known to be possible before a long run.

    Raises:
        UsageError: there is no such folder, or it is a folder.
    """
    target = out.absolute()
    if not target.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {target.parent}")
    if target.is_dir():
        raise UsageError(f"--out {out} is a folder; expected the name of a file")
    return target


def _runner(module: bool, name: str) -> Callable[[], Any]:
    """What runs the script or the module.

    Raises:
        UsageError: there is none.
    """
    if not module:
        if not Path(name).exists():
            raise UsageError(f"profile record: there is no script {name!r}")
        return partial(runpy.run_path, name, run_name="__main__")
    try:
        found = None if name.startswith(".") else importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError) as error:
        # A package around it that is not there, not what an existing one imports.
        missing = getattr(error, "name", name) or name
        if not f"{name}.".startswith(f"{missing}."):
            raise
        found = None
    if found is None:
        raise UsageError(f"profile record: there is no module {name!r}")
    return partial(runpy.run_module, name, run_name="__main__", alter_sys=True)


def _wait_for_threads(before: set[threading.Thread]) -> None:
    """Wait for the script's threads, as Python does at its exit: their calls belong to the script.

    Those of a pool that was left open would never end; they wait for work.
    """
    pools = sys.modules.get("concurrent.futures.thread")
    worker = getattr(pools, "_worker", None)
    for thread in set(threading.enumerate()) - before - {threading.current_thread()}:
        waits = worker is not None and getattr(thread, "_target", None) is worker
        if not thread.daemon and not waits:
            thread.join()


def _script(command: list[str]) -> tuple[bool, list[str]]:
    """Whether a command line names a module, and the script or module with its arguments."""
    first, rest = command[0], command[1:]
    if Path(first).name.startswith("python"):
        if rest[:1] == ["-m"]:
            rest = rest[1:]
            if rest:
                return True, rest
        elif rest and not rest[0].startswith("-"):
            return False, rest
    elif first.endswith(".py"):
        return False, command
    raise UsageError(
        f"profile record runs `python SCRIPT [ARGUMENT]...` or `python -m MODULE [ARGUMENT]...`, "
        f"got {' '.join(command)!r}"
    )


@contextmanager
def _as_main(arguments: list[str]) -> Iterator[None]:
    argv, path = sys.argv, list(sys.path)
    sys.argv = list(arguments)
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path


def _status(code: Any) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    typer.echo(code, err=True)
    return 1


def _read(path: Path) -> dict[str, list[str]]:
    """The profiles of a file as text, in their fixed order.

    Raises:
        UsageError: the file is malformed.
    """
    from gpuops.profiles import OutdatedProfileError, ProfileError, load_op_profiles
    from gpuops.profiles.model import ordered

    try:
        profiles = load_op_profiles(path)
    except (ProfileError, OutdatedProfileError) as error:
        raise UsageError(f"{path}: {error}") from error
    return {name: list(map(str, ordered(profiles[name]))) for name in sorted(profiles)}


@app.command()
def show(file: File, as_json: AsJson = False) -> None:
    """Print the profiles in a file, by operator."""
    found = _read(file)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, profiles in found.items():
        typer.echo(name)
        for profile in profiles:
            typer.echo(f"  {profile}")


@app.command()
def diff(a: File, b: File, as_json: AsJson = False) -> None:
    """Print what only one of two files has; the exit status is 1 if there is anything."""
    before, after = _read(a), _read(b)
    lines: list[dict[str, str]] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if not (old or new) and (old is None) != (new is None):
            lines.append({"operator": name, "side": "-" if new is None else "+", "profile": ""})
        for side, mine, other in (("-", old, new), ("+", new, old)):
            lines += [
                {"operator": name, "side": side, "profile": profile}
                for profile in mine or ()
                if profile not in (other or ())
            ]
    if as_json:
        typer.echo(json.dumps(lines, indent=2))
    else:
        for line in lines:
            typer.echo(f"{line['side']} {line['operator']} {line['profile']}".rstrip())
    raise typer.Exit(1 if lines else 0)
