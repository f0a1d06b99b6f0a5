"""A graph's replay captured into a CUDA graph: one launch for all of its kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from gpuops.cuda.available import load_cupy, why_unavailable
from gpuops.cuda.streams import capturing
from gpuops.devices import device_of
from gpuops.errors import ArgumentError, DeviceError, GraphError, describe
from gpuops.memory import shares_memory

__all__ = ["CapturedGraph", "capture"]

_PLAIN = (int, float, bool, complex, str)


class CapturedGraph:
    """A function's launches, captured once and launched together; `capture` makes them.

    Calling it copies the arguments into the arrays it was captured with, launches, and returns the
    arrays that it always returns: the next launch writes to them again, so copy what has to stay.
    Nothing waits for the GPU.

    Arguments that the function writes to are copied back behind the launch.

    Whatever the kernels keep on the GPU advances at each launch, as the key and offset of a random
    state do. What happens on the host (a lock, a counter, a print) happened once, at the capture.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        cupy: Any,
        written: Sequence[int] = (),
    ) -> None:
        self._cupy = cupy
        self._given = list(args)
        self._written = list(written)
        self._check_overlaps(args)
        self._inputs = [arg.copy() if _is_array(arg) else arg for arg in args]
        self._stream = cupy.cuda.Stream(non_blocking=True)
        # The memory of what is made between inputs and outputs: nobody else may get it while the
        # graph can be launched.
        self._pool = cupy.cuda.MemoryPool()
        # The copies above are on the stream of the caller.
        self._stream.wait_event(cupy.cuda.get_current_stream().record())
        with cupy.cuda.using_allocator(self._pool.malloc), self._stream, capturing():
            # Relaxed: kernels are loaded and memory is allocated while they are captured.
            self._stream.begin_capture(cupy.cuda.runtime.streamCaptureModeRelaxed)
            try:
                self._outputs = function(*self._inputs)
            except BaseException:
                # What failed may have spoilt the capture, which is then no news.
                with suppress(Exception):
                    self._stream.end_capture()
                raise
            self._graph = self._stream.end_capture()

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self._inputs):
            raise GraphError(
                f"the CUDA graph takes {len(self._inputs)} arguments, {len(args)} were given"
            )
        for index, (buffer, given, value) in enumerate(
            zip(self._inputs, self._given, args, strict=True)
        ):
            if not _is_array(buffer):
                if not _is_same(given, value):
                    raise GraphError(
                        f"argument {index} of the CUDA graph was {describe(given)} when it was "
                        f"captured and is fixed in it, got another {describe(value)}"
                    )
            elif not (
                type(value) is type(buffer)
                and value.shape == buffer.shape
                and value.dtype == buffer.dtype
            ):
                raise GraphError(
                    f"argument {index} of the CUDA graph is {describe(buffer)}, "
                    f"got {describe(value)}"
                )
        self._check_overlaps(args)
        for buffer, value in zip(self._inputs, args, strict=True):
            if _is_array(buffer) and value is not buffer:
                buffer[...] = value
        self._graph.launch(self._cupy.cuda.get_current_stream())
        for index in self._written:
            if args[index] is not self._inputs[index]:
                args[index][...] = self._inputs[index]
        return self._outputs

    def _check_overlaps(self, args: Sequence[Any]) -> None:
        """Refuse an argument that is written to and shares memory with another: buffers do not.

        Raises:
            GraphError: it names both.
        """
        for index in self._written:
            for other, value in enumerate(args):
                if other != index and _is_array(value) and shares_memory(args[index], value):
                    raise GraphError(
                        f"arguments {index} and {other} of the CUDA graph share memory, and the "
                        f"graph writes to argument {index}: in buffers of their own, the other "
                        "would not see that. Pass a copy"
                    )


def _is_same(given: Any, value: Any) -> bool:
    """Whether a fixed argument is what it was: the same object, or an equal number or string."""
    if value is given:
        return True
    return type(value) is type(given) and type(value) in _PLAIN and bool(value == given)


def _is_array(value: Any) -> bool:
    device = device_of(value)
    return device is not None and device.type == "cuda"


def capture(
    function: Callable[..., Any], args: Sequence[Any], written: Sequence[int] = ()
) -> CapturedGraph:
    """Capture what a function launches for these arguments.

    Args:
        function: launches kernels on the current stream and waits for none.
        args: its arguments. Arrays are copied into buffers; anything else is fixed.
        written: the arguments, by position, that it writes to.

    Raises:
        DeviceError: there is no GPU to capture for.
        ArgumentError: none of the arguments is an array of the GPU.
    """
    reason = why_unavailable()
    if reason is not None:
        raise DeviceError(
            f"Graph.cuda_graph captures a GPU's launches, and there is none: {reason}. The graph "
            "itself does the same here: call it"
        )
    cupy = load_cupy("capture a CUDA graph")
    if not any(type(arg) is cupy.ndarray for arg in args):
        listed = ", ".join(map(describe, args)) or "none"
        raise ArgumentError(f"Graph.cuda_graph needs CuPy arrays among the arguments, got {listed}")
    return CapturedGraph(function, args, cupy, written)
