"""A signature -> the source of functions that check a launch's arguments, and launch.

For ``scale(float* x, float s, long long n)`` and CuPy arrays the source of the launch is::

    def launch(blocks, threads, args, shared_mem):
        if (type(args) is tuple and len(args) == 3 and shared_mem <= plain_shared
                and not debug.contexts):
            (a0, a1, a2,) = args
            if (
                (type(a0) is array and a0.dtype is float32 and a0._c_contiguous or a0 is None)
                and (type(a1) is float and -3.4e+38 <= a1 <= 3.4e+38 or type(a1) is float32_type)
                and (type(a2) is int or type(a2) is int64_type)
            ):
                try:
                    values = (
                        a0,
                        float32_of(a1) if type(a1) is float else a1,
                        int64_of(a2) if type(a2) is int else a2,
                    )
                except OverflowError:
                    return slow(blocks, threads, args, shared_mem)
                try:
                    return function(blocks, threads, values, shared_mem)
                except DriverError as error:
                    raise failed(blocks, threads, shared_mem, error) from error
        return slow(blocks, threads, args, shared_mem)

What it does not expect goes to `slow`: to `KernelSignature.check_arguments`, which accepts more and
knows what to say of the rest. It is an ordinary function: `inspect.getsource` and tracebacks show
it. One function and not two, as a frame is a tenth of what a launch may cost.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from gpuops.cuda.signature import NO_ENCODERS, Encoders, KernelParameter, KernelSignature

__all__ = ["make_checker", "make_launch"]

_serial = count()


def make_checker(
    signature: KernelSignature, array_type: type, encoders: Encoders = NO_ENCODERS
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """A function of a launch's arguments that does what `KernelSignature.check_arguments` does.

    Args:
        signature: of the kernel.
        array_type: the exact type of the arrays that are expected; subclasses are accepted too.
        encoders: what to make of Python numbers, by the name of a dtype.

    >>> from gpuops.cuda import Kernel
    >>> fill = Kernel('extern "C" __global__ void fill(float* x, float s, long long n) {}', "fill")
    >>> check = make_checker(fill.signature, np.ndarray)
    >>> check((np.zeros(2, np.float32), 1.5, 2))
    (array([0., 0.], dtype=float32), np.float32(1.5), np.int64(2))
    """

    def slow(args: Sequence[Any]) -> tuple[Any, ...]:
        return signature.check_arguments(args, array_type, encoders)

    table: dict[str, Any] = {"array": array_type, "slow": slow}
    parts = _parts(signature, array_type, encoders, table)
    if parts is None:
        return slow
    lines = ["def check(args):", *_checked("", parts)]
    lines += ["                return values", "    return slow(args)"]
    check: Callable[[Sequence[Any]], tuple[Any, ...]] = _compile(signature, lines, table, "args")
    return check


def make_launch(
    signature: KernelSignature, array_type: type, encoders: Encoders, names: Mapping[str, Any]
) -> Callable[..., None]:
    """A function of blocks, threads, arguments and shared memory that checks and launches.

    Args:
        signature: of the kernel.
        array_type: as for `make_checker`.
        encoders: as for `make_checker`.
        names: what the source's names stand for: `slow` launches with care, `function` without;
            `debug` has the number of contexts in debug mode; `failed` makes an error of one of the
            driver's, a `DriverError`; `plain_shared` bytes of shared memory can be had unasked.
            `max_threads`, where it is given, is compared with the threads of a block.
    """
    table: dict[str, Any] = {"array": array_type, **names}
    parts = _parts(signature, array_type, encoders, table)
    if parts is None:
        return names["slow"]  # type: ignore[no-any-return]  # names are of any type
    given = "blocks, threads, args, shared_mem"
    condition = " and shared_mem <= plain_shared and not debug.contexts"
    if "max_threads" in names:
        condition += " and threads[0] * threads[1] * threads[2] <= max_threads"
    lines = [f"def launch({given}):", *_checked(condition, parts)]
    lines += [
        "                try:",
        "                    return function(blocks, threads, values, shared_mem)",
        "                except DriverError as error:",
        "                    raise failed(blocks, threads, shared_mem, error) from error",
        f"    return slow({given})",
    ]
    launch: Callable[..., None] = _compile(signature, lines, table, given)
    return launch


def _compile(
    signature: KernelSignature, lines: Sequence[str], table: dict[str, Any], given: str
) -> Any:
    source = "\n".join([*lines, ""]).replace("@slow", f"return slow({given})")
    filename = f"<gpuops launch of {signature.kernel} #{next(_serial)}>"
    table["__name__"] = __name__
    before = set(table)
    exec(compile(source, filename, "exec"), table)
    (name,) = table.keys() - before - {"__builtins__"}
    function = table.pop(name)
    # As for the calls of operators: inspect, tracebacks and pdb read source through linecache.
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function


def _parts(
    signature: KernelSignature, array_type: type, encoders: Encoders, table: dict[str, Any]
) -> list[tuple[str, str]] | None:
    """Test and result of each argument; None if only the careful way can tell."""
    parts = []
    for parameter in signature.parameters:
        found = _quick(parameter, array_type, encoders, table)
        if found is None:
            return None
        parts.append(found)
    return parts


def _checked(condition: str, parts: Sequence[tuple[str, str]]) -> list[str]:
    """Lines after which `values` are the converted arguments, at an indentation of 16."""
    lines = [f"    if type(args) is tuple and len(args) == {len(parts)}{condition}:"]
    if parts:
        lines.append(f"        ({', '.join(f'a{i}' for i in range(len(parts)))},) = args")
    lines.append("        if (")
    tests = [test for test, _ in parts] or ["True"]
    lines += [f"            {'and ' if i else ''}{test}" for i, test in enumerate(tests)]
    lines += ["        ):", "            try:", "                values = ("]
    lines += [f"                    {result}," for _, result in parts]
    lines += ["                )", "            except OverflowError:", "                @slow"]
    return [*lines, "            else:"]


def _quick(
    parameter: KernelParameter, array_type: type, encoders: Encoders, table: dict[str, Any]
) -> tuple[str, str] | None:
    name = f"a{parameter.index}"
    if parameter.kind == "pointer":
        return _quick_pointer(parameter, name, array_type, table), name
    if parameter.kind == "scalar":
        return _quick_scalar(parameter.dtypes[0], name, encoders, table)
    if parameter.kind == "value":
        table["numpy_types"] = (np.ndarray, np.generic)
        table["whole"] = np.ascontiguousarray
        test = f"isinstance({name}, numpy_types) and {name}.size == 1"
        test += f" and {name}.dtype.itemsize == {parameter.size} and not {name}.dtype.hasobject"
        return test, f"whole({name})"
    return None


def _quick_pointer(
    parameter: KernelParameter, name: str, array_type: type, table: dict[str, Any]
) -> str:
    # CuPy makes an object of the flags each time, but has the answer as an attribute as well.
    quick = hasattr(array_type, "_c_contiguous")
    tests = [f"type({name}) is array"]
    dtypes = []
    for dtype in parameter.dtypes:
        if hasattr(np, dtype):  # and not one of ml_dtypes'
            table[dtype] = np.dtype(dtype)
            dtypes.append(f"{name}.dtype is {dtype}")
    if parameter.dtypes:
        dtypes = dtypes or ["False"]
        tests.append(dtypes[0] if len(dtypes) == 1 else f"({' or '.join(dtypes)})")
    tests.append(f"{name}._c_contiguous" if quick else f"{name}.flags.c_contiguous")
    return f"({' and '.join(tests)} or {name} is None)"


def _quick_scalar(
    dtype: str, name: str, encoders: Encoders, table: dict[str, Any]
) -> tuple[str, str]:
    found = np.dtype(dtype)
    own, encode = f"{dtype}_type", f"{dtype}_of"
    table[own] = found.type
    table[encode] = encoders.get(dtype, found.type)
    if found.kind == "b":
        python, bounds = "bool", ""
    elif found.kind in "iu":
        limits = np.iinfo(found)
        # What does not fit 8 bytes makes every encoder raise an OverflowError.
        python = "int"
        bounds = "" if found.itemsize == 8 else f" and {limits.min} <= {name} <= {limits.max}"
    else:
        # Infinity and nan go the careful way, which passes them on.
        largest = float(np.finfo(found).max)
        python = "float"
        bounds = "" if found.itemsize == 8 else f" and {-largest!r} <= {name} <= {largest!r}"
    test = f"(type({name}) is {python}{bounds} or type({name}) is {own})"
    if table[encode] is float:
        return test, name
    return test, f"{encode}({name}) if type({name}) is {python} else {name}"
