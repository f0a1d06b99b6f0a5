"""gpuops' opcheck and torch's on the same wrong and right operators.

    python -m bench.opcheck_peers [--json FILE] [--list]

The operators are those that gpuops.opcheck is tested with (tests/opcheck); torch gets each one that
can be written for it (see bench.torch_zoo), and what it refuses counts whatever it says. Of gpuops
the check and the message have to be right too. The exit status is 1 if gpuops judges one wrongly.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import logging
import multiprocessing
import pkgutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gpuops
from bench.torch_zoo import TorchAnimal, is_gap, reason_against

ZOO = Path(__file__).resolve().parent.parent / "tests" / "opcheck"
RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What both say of one operator.

    Attributes:
        name: of the operator.
        kind: the check that has to refuse it, ``"right"`` for one that has to pass.
        gpuops: whether gpuops' verdict is the right one.
        torch: whether torch's is; None if the operator is not written for it.
        note: what torch said, or why the operator is not written for it.
    """

    name: str
    kind: str
    gpuops: bool
    torch: bool | None
    note: str


def zoo_modules() -> list[ModuleType]:
    """The modules that hold the operators."""
    if str(ZOO) not in sys.path:
        sys.path.insert(0, str(ZOO))
    found = pkgutil.iter_modules([str(ZOO)])
    return [importlib.import_module(m.name) for m in found if m.name.startswith("zoo_")]


def animals(modules: Iterable[ModuleType]) -> list[Any]:
    """The operators of all lists in the modules."""
    zoo = importlib.import_module("zoo")
    found = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, list) and value and isinstance(value[0], zoo.Animal):
                # A list may hold those of another.
                found.update({id(animal): animal for animal in value})
    return list(found.values())


def main() -> int:
    """Run both on all operators; 1 if gpuops' verdict on one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the verdicts there")
    parser.add_argument("--list", action="store_true", help="print each verdict of torch")
    options = parser.parse_args()
    importlib.import_module("torch._dynamo")  # once, before processes fork

    modules = zoo_modules()
    console = Console()
    verdicts = []
    for animal in animals(modules):
        ours = _right(animal, _ask_gpuops(animal))
        theirs, note = _torchs_verdict(animal, modules)
        verdicts.append(Verdict(animal.name, animal.check or RIGHT, ours, theirs, note))
    _show(verdicts, console, options.list)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(v) for v in verdicts], indent=1))
    return int(not all(verdict.gpuops for verdict in verdicts))


def _ask_gpuops(animal: Any) -> str | None:
    """What gpuops.opcheck refuses an operator with; None if it passes."""
    zoo = importlib.import_module("zoo")
    with zoo.alive(animal, "opcheck_peers") as op, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = animal.check or "ALL"
        try:
            gpuops.opcheck(op, animal.sample(), animal.kwargs, test_utils=chosen)
        except gpuops.GpuopsError as error:
            return str(error)
    return None


def _right(animal: Any, said: str | None) -> bool:
    if not animal.check:
        return said is None
    return said is not None and said.startswith(f"{animal.check} failed") and animal.message in said


def _torchs_verdict(animal: Any, modules: list[ModuleType]) -> tuple[bool | None, str]:
    """Whether torch judges an animal rightly (None: it is not written for it), and a note."""
    reason = reason_against(animal)
    if reason is not None:
        return None, reason
    written, said = _in_a_process(lambda: _ask_torch(animal, modules))
    if not written:
        return None, f"not written: {said}"
    return (said is None) == (not animal.check), said or ""


Answer = tuple[bool, str | None]
"""Whether an animal was written for torch, and what torch refuses it with, or why it was not."""


def _in_a_process(function: Callable[[], Answer]) -> Answer:
    """The result of a function in a forked process: torch crashes on some operators."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(function()))
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads, of which torch has some.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()
    try:
        found: Answer = receiver.recv()
    except EOFError:
        process.join()
        found = True, f"torch crashes ({signal.Signals(-(process.exitcode or 0)).name})"
    process.join()
    return found


def _ask_torch(animal: Any, modules: list[ModuleType]) -> Answer:
    """What torch.library.opcheck, or the call itself, refuses an operator with."""
    import torch

    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            with np.errstate(all="ignore"):
                written = TorchAnimal(animal, modules, f"peers_{animal.check or RIGHT}")
                args, kwargs = written.sample()
                torch.library.opcheck(written.op, args, kwargs)
        except Exception as error:
            causes = [error]
            while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
                causes.append(cause)
            told = causes[min(1, len(causes) - 1)]  # what opcheck's own error was made of
            said = " ".join(f"{type(told).__name__}: {told}".split())
            return not any(map(is_gap, causes)), said[:300]
        finally:
            logging.disable(logging.NOTSET)
    return True, None


def _show(verdicts: list[Verdict], console: Console, each: bool) -> None:
    import torch

    if each:
        for verdict in verdicts:
            word = {True: "ok", False: "WRONG", None: "-"}[verdict.torch]
            ours = "" if verdict.gpuops else " (gpuops WRONG)"
            console.print(
                f"{verdict.kind:17} {verdict.name:28} {word:6} {verdict.note}{ours}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    table = Table(
        title=f"Operators judged rightly: gpuops {gpuops.__version__}, torch {torch.__version__}"
    )
    for heading in ("operators", "gpuops", "gpuops, of those for torch", "torch"):
        table.add_column(heading, justify="left" if heading == "operators" else "right")
    for row in rows(verdicts):
        table.add_row(*row)
    console.print(table)
    for verdict in verdicts:
        if verdict.torch is None:
            text = f"not for torch: {verdict.kind} {verdict.name}: {verdict.note}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def rows(verdicts: list[Verdict]) -> list[tuple[str, str, str, str]]:
    """The rows of the table: a kind of operators, and how many each judges rightly."""
    kinds = dict.fromkeys(verdict.kind for verdict in verdicts)
    wrong = [kind for kind in kinds if kind != RIGHT]
    groups = [(f"wrong: {kind}", [kind]) for kind in wrong]
    groups += [("all wrong ones", wrong), ("right ones", [RIGHT])]
    found = []
    for title, chosen in groups:
        group = [verdict for verdict in verdicts if verdict.kind in chosen]
        both = [verdict for verdict in group if verdict.torch is not None]
        found.append(
            (
                title,
                f"{sum(v.gpuops for v in group)} of {len(group)}",
                f"{sum(v.gpuops for v in both)} of {len(both)}",
                f"{sum(bool(v.torch) for v in both)} of {len(both)}",
            )
        )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
