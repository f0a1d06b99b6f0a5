"""`test_devices`: the "cuda" kernel gives what the "cpu" kernel gives, on a simulated device."""

from __future__ import annotations

from gpuops.cases import arguments_on
from gpuops.cuda.simulated import SimulatedArray, simulator
from gpuops.devices import device_of
from gpuops.opchecks.report import difference, host, leaves
from gpuops.opchecks.subject import Subject, copied

__all__ = ["check"]

# The simulator runs a kernel a thousand times slower than a GPU.
_ELEMENTS = 4096


def check(subject: Subject) -> None:
    """Run the sample on simulated "cuda" and compare; every byte of an output has to be written.

    An operator without a "cuda" kernel passes, and so does a sample too large for the simulator.

    Raises:
        Failure: other values, an output elsewhere, or one that the kernel did not write.
    """
    operator = subject.operator
    arrays = subject.arrays(subject.values)
    if operator.kernel("cuda") is None or sum(array.size for array in arrays) > _ELEMENTS:
        return
    expected = subject.call(copied(subject.values))
    with simulator():
        moved = arguments_on(operator, (tuple(copied(subject.values)), {}), "cuda")
        try:
            got = subject.call(list(moved[0]))
        except Exception as error:
            raise subject.fail(
                f"the 'cuda' kernel {operator.kernel('cuda')} fails where the 'cpu' one does not: "
                f"{type(error).__name__}: {error}"
            ) from error
        pairs = zip(leaves(operator, expected), leaves(operator, got), strict=True)
        for (name, left), (_, right) in pairs:
            if isinstance(right, SimulatedArray):
                written = right.written
                if written is not None and right.flags.forc and not written.all():
                    raise subject.fail(
                        f"the 'cuda' kernel {operator.kernel('cuda')} writes {int(written.sum())} "
                        f"of the {written.size} bytes of {name}"
                    )
            elif device_of(right) is not None:
                raise subject.fail(
                    f"{name} of the 'cuda' kernel is on {device_of(right)}, not on cuda:0"
                )
            problem = difference(left, host(right), rtol=subject.rtol, atol=subject.atol)
            if problem:
                raise subject.fail(f"{name} on 'cuda' is not what it is on 'cpu': {problem}")
