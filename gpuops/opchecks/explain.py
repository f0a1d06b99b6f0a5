"""What a failure says: the smallest case that shows it, and a script that reproduces it."""

from __future__ import annotations

from pathlib import Path

from gpuops.errors import GpuopsError
from gpuops.opchecks.script import one_line, save_path, script
from gpuops.opchecks.search import Check, Found, attempt
from gpuops.opchecks.shrink import smallest
from gpuops.opchecks.subject import Subject

__all__ = ["explained"]


def explained(
    name: str, check: Check, found: Found, sample: Subject, save_data: bool | str | Path
) -> Exception:
    """The failure as it was found, with the smallest case and a script behind its message.

    A failure that does not recur for its input alone is told as it was found, and the script has
    the sample, from which that input is drawn again.

    Args:
        name: the check's.
        check: the check.
        found: the failure.
        sample: the operator with the sample.
        save_data: whether the script reads the arrays from a file, or which.
    """
    error = found.error
    if not isinstance(error, GpuopsError) or len(error.args) != 1:
        return error
    try:
        small = _smallest(name, check, found, sample)
        values = sample.values if small is None else small.subject.values
        path = save_path(name, sample, values, save_data)
        source = script(name, sample, values, save_data=path)
    except Exception as problem:  # an argument of a kind that none of this knows
        why = f"making them failed with {type(problem).__name__}: {problem}"
        error.args = (f"{error}\nThere is no smaller case and no script: {why}",)
        return error
    shown = found if small is None else small
    case = one_line(sample.operator, shown.subject.values)
    lines = [str(error), f"{'Failing' if small is None else 'Smallest'} case: {case}"]
    if str(shown.error) != str(error):
        lines.append(f"There, {name} failed: {shown.error}")
    error.args = ("\n".join([*lines, "This script reproduces it:", "", source]),)
    vars(error).update(case=case, script=source)
    return error


def _smallest(name: str, check: Check, found: Found, sample: Subject) -> Found | None:
    if name == "test_threads":
        return None  # a race happens or not: what is smaller would be left to chance
    again = Found(found.error, sample.alone(sample.values))
    small = smallest(found, check) or smallest(again, check)
    if small is None:
        return None
    # The script makes a sample of it, which is checked more closely than what is drawn.
    return attempt(check, sample.alone(small.subject.values)) or small
