"""The head of a script: imports of what declares an operator and its kernels."""

from __future__ import annotations

import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from gpuops.batching import VMAP
from gpuops.errors import Location, location_of
from gpuops.formulas import AUTOGRAD
from gpuops.register import FAKE
from gpuops.registry import Operator
from gpuops.transforms.providers import find_rule

__all__ = ["imports"]


def imports(operator: Operator, further: set[str], modules: set[str]) -> list[str]:
    """The statements, in the order of their need.

    Args:
        operator: what has to be declared.
        further: more import statements.
        modules: names of modules that these import from, whose folders may be unknown to Python.
    """
    places = list(_places(operator))
    files = {place.module: place.file for place in places}
    files |= {name: getattr(sys.modules.get(name), "__file__", None) or "" for name in modules}
    folders = dict.fromkeys(
        folder for name, file in files.items() if (folder := _folder(name, file)) is not None
    )
    plain = {line for line in further if line.startswith("import ")}
    lines = sorted({*plain, *(["import sys"] if folders else [])})
    mains = [place for place in places if _is_script(place)]
    if mains:
        lines.append("import runpy")
    lines += ["", "import numpy as np", "", "import gpuops", ""]
    lines += [f"sys.path.insert(0, {folder!r})" for folder in folders]
    for place in places:
        lines += _import(operator, place)
    lines += sorted(further - plain)
    return lines[1:] if not lines[0] else lines


def _places(operator: Operator) -> Iterator[Location]:
    """Where the operator, its kernels and its rules were registered, each module once."""
    if _is_own(operator.location):
        yield operator.location  # what gpuops brings registers its parts by itself
        return
    found = [operator.location]
    found += [entry.location for stack in operator.kernels.values() for entry in stack[-1:]]
    rules = [find_rule(operator, token) for token in (FAKE, AUTOGRAD, VMAP)]
    found += [rule.location for rule in rules if rule is not None]
    function = None if operator.function is None else location_of(operator.function)
    found += [function] if function is not None else []
    seen: set[str] = set()
    for place in found:
        if place.module and place.module not in seen and not _is_own(place):
            seen.add(place.module)
            yield place


def _is_own(place: Location) -> bool:
    return place.module.partition(".")[0] == "gpuops"


def _is_script(place: Location) -> bool:
    """Whether it is a file that was run and has no name to import it by."""
    return place.module in ("__main__", "<run_path>") and Path(place.file).is_file()


def _import(operator: Operator, place: Location) -> list[str]:
    what = "declares" if place is operator.location else "registers a part of"
    if _is_script(place):
        call = f"runpy.run_path({place.file!r}, run_name={Path(place.file).stem!r})"
        return [f"module = {call}  # {what} {operator.qualname}"]
    if place.module not in sys.modules or not Path(place.file).is_file():
        return [f"# Fill in what {what} {operator.qualname}: it was done in {place}."]
    lines = [f"import {place.module}  # {what} {operator.qualname}"]
    inside = place.function not in ("<module>", "") and not _is_own(place)
    if inside and place is operator.location:
        where = f"{place.function}()"
        lines.append(f"# It is declared in {where}: if importing does not call that, call it.")
    return lines


def _folder(name: str, file: str) -> str | None:
    """The folder that has to be on the path for a module to be found, if it is no usual one."""
    path = Path(file)
    if not file or not path.is_file() or name in ("__main__", "<run_path>"):
        return None
    up = name.count(".") + (path.name == "__init__.py")
    folder = path.resolve().parents[up]
    usual = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    return None if str(folder) in {str(Path(p).resolve()) for p in usual} else str(folder)
