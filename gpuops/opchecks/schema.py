"""`test_schema`: the kernel writes where the schema says, and returns fresh arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpuops.convert import Arguments
from gpuops.debug import debug
from gpuops.devices import array_kind
from gpuops.errors import GpuopsError
from gpuops.opchecks.copies import Copies
from gpuops.opchecks.inputs import accepted
from gpuops.opchecks.past import Past, arrays_of_result
from gpuops.opchecks.report import host
from gpuops.opchecks.subject import Subject, copied
from gpuops.opchecks.variants import other_scalars

__all__ = ["check"]

# What NumPy says where a read-only array would be written to. Others (Numba, Cython) say that they
# do not take such an array, which is a refusal.
_WRITES = re.compile(
    r"^(assignment destination|(output|sort|partition|putmask) array|array) is read-o"
)


def check(subject: Subject) -> None:
    """Look for undeclared mutation, mutation that never happens, aliases, wrong results.

    Raises:
        MutationError, AliasError, ReturnError: as in debug mode.
        Failure: a declared mutation that happens on no input; writes beside an argument's elements,
            to an argument of an earlier call, or to one that gets its old data back; memory that
            two calls share.
    """
    written: dict[str, bool] = {}
    past = Past(subject)
    with debug(), np.errstate(all="ignore"):
        for before, after, result in accepted(subject):
            _note_mutation(subject, before, after, written)
            past.add(before, after, result)
            _check_surroundings(subject, before, past)
        # Memory may be given out again by turns.
        for _ in range(3):
            _check_surroundings(subject, subject.values, past)
        past.check_unchanged()
        _check_read_only(subject)
        _check_mutation_happens(subject, written)


# -- declared mutation -----------------------------------------------------------------------------


def _bits(value: Any) -> list[bytes]:
    items = value if isinstance(value, list) else [value]
    return [host(item).tobytes() for item in items if array_kind(type(item)) is not None]


def _note_mutation(
    subject: Subject, before: list[Any], after: list[Any], written: dict[str, bool]
) -> None:
    for parameter, old, new in zip(subject.operator.schema.parameters, before, after, strict=True):
        if not parameter.is_mutated:
            continue
        bits = _bits(old)
        # An argument that was left out, or has no elements, says nothing.
        if any(bits):
            written[parameter.name] = written.get(parameter.name, False) or bits != _bits(new)


def _check_mutation_happens(subject: Subject, written: dict[str, bool]) -> None:
    missing = [name for name, happened in written.items() if not happened]
    if missing:
        # Such as what clips, or fills with what is there already, or does so only if told to.
        for values in _provoking(subject):
            before = copied(values)
            try:
                subject.call(values)
            except Exception:
                continue
            _note_mutation(subject, before, values, written)
    for name in missing:
        if not written[name]:
            raise subject.fail(
                f"Argument {name} is declared as mutated, but no input that was tried changes it: "
                "take it out of mutates_args"
            )
    for parameter in subject.operator.schema.parameters:
        if parameter.is_mutated and parameter.type.is_array and parameter.name not in written:
            subject.leave_unchecked(
                f"whether {parameter.name!r} is mutated as declared: no input has elements for it"
            )


def _provoking(subject: Subject) -> Iterator[list[Any]]:
    """The sample with other data in what should be mutated, and with other numbers and flags."""
    random = np.random.default_rng(abs(subject.seed))

    def filled(kind: str) -> Any:
        def one(parameter: Any, array: Any) -> Any:
            if not parameter.is_mutated or array.dtype.kind not in "biufc":
                return array
            return np.asarray(_data(array, kind, random), array.dtype)

        return one

    for kind in ("as it is", "random", "negative", "largest", "smallest", "nan"):
        values = subject.map(copied(subject.values), filled(kind))
        yield copied(values)
        yield from other_scalars(values)


def _data(array: Any, kind: str, random: np.random.Generator) -> Any:
    if kind == "as it is":
        return array
    if array.dtype.kind == "b":
        if kind == "random":
            return random.integers(0, 2, array.shape)
        return np.full(array.shape, kind != "negative")
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        low, high = int(info.min), int(info.max)
    else:
        low, high = -10_000, 10_000
    if kind == "random":
        return random.uniform(max(low, -50), min(high, 50), array.shape)
    if kind == "nan" and array.dtype.kind in "fc":
        return np.full(array.shape, np.nan)
    chosen = {"negative": max(low, -7), "largest": high, "smallest": low, "nan": 0}
    return np.full(array.shape, chosen[kind], array.dtype)


# -- writes that no caller expects -----------------------------------------------------------------


def _check_surroundings(subject: Subject, values: list[Any], past: Past) -> None:
    """Call once more; nothing around the elements of an argument changes."""
    copies = Copies(values)
    copies.watch()
    given = copies.values
    try:
        result = subject.call(given)
    except GpuopsError:
        raise
    except Exception as error:
        raise subject.fail(
            f"a second call with equal arguments fails with {type(error).__name__}: {error}", values
        ) from error
    beside = copies.damaged()
    if beside is not None:
        raise subject.fail(
            f"the kernel writes to memory beside the elements of {_name(subject, given, beside)}: "
            "before its first, behind its last, or between them",
            values,
        )
    if not past.aliases_declared:
        for name, output in arrays_of_result(subject, result):
            inside = copies.holds(output) if output.size else None
            if inside is not None:
                raise subject.fail(
                    f"{name} is not defined to alias any argument, but it lies in the memory that "
                    f"{_name(subject, given, inside)} is a view of",
                    values,
                )
    past.add(values, given, result)


def _name(subject: Subject, values: list[Any], array: Any) -> str:
    for found in Arguments(subject.operator, tuple(values)).arrays:
        if found.array is array:
            return repr(found.name)
    return "an argument"


def _check_read_only(subject: Subject) -> None:
    """A kernel that writes to an argument and puts the old data back shows with a read-only one."""
    arrays = Arguments(subject.operator, tuple(subject.values)).arrays
    for number, found in enumerate(arrays):
        if type(found.array) is not np.ndarray or found.parameter.is_mutated:
            continue
        values = copied(subject.values)
        Arguments(subject.operator, tuple(values)).arrays[number].array.flags.writeable = False
        try:
            subject.call(values)
        except ValueError as error:
            if _WRITES.match(str(error)):
                raise subject.fail(
                    f"Argument {found.name} is not defined as mutable but was mutated, if only for "
                    f"the time of the call: with a read-only array the kernel fails with {error}"
                ) from error
        except Exception:
            continue  # test_layouts says whether that is a refusal
