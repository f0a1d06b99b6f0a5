"""What a gradient formula does at one call of its operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from gpuops.convert import Arguments
from gpuops.errors import DynamicShapeError
from gpuops.memory import shares_memory
from gpuops.opaque import is_opaque_type
from gpuops.opchecks.gradients import Wrong, compare, precision, weights
from gpuops.opchecks.report import difference, leaves
from gpuops.opchecks.subject import Subject, copied
from gpuops.transforms.autograd import vjp
from gpuops.transforms.autograd.array import DiffArray
from gpuops.transforms.trace import trace

__all__ = ["FormulaFailed", "Point"]

Backward = Callable[..., tuple[Any, ...]]

# Cotangents are scaled by these: a formula that clips or squares them shows at one of them.
_SCALES = (-1.0, 1e4, 1e-4, 0.0)


class FormulaFailed(AssertionError):
    """What a gradient formula does wrong."""


class Point:
    """An operator with a gradient formula, and one call of it.

    Args:
        subject: the operator.
        values: the call's arguments; of these, floating-point arrays are differentiated.
    """

    def __init__(self, subject: Subject, values: list[Any]) -> None:
        self.subject, self.values = subject, values
        found = [
            found
            for found in Arguments(subject.operator, tuple(values)).arrays
            if found.array.dtype.kind in "fc"
        ]
        self.inputs = [one.array for one in found]
        self.names = [repr(one.name) for one in found]
        self.random = np.random.default_rng((abs(subject.seed), len(found)))
        self.everything = tuple(range(len(found)))

    @cached_property
    def digits(self) -> str:
        """The precision in which the operator computes."""
        return precision(self._called_with_all, self.inputs, self.random)

    # -- what is checked ---------------------------------------------------------------------------

    def check_values(self) -> bool:
        """Compare the gradient of all inputs with finite differences, for two cotangents.

        Returns:
            Whether there was anything to compare.

        Raises:
            FormulaFailed: they differ, or the formula fails.
        """
        outputs, kept, backward = self._forward(self.everything)
        if not kept:
            return False
        digits = self.digits
        done = False
        for _ in range(2):
            cotangents = self._cotangents(outputs, kept)
            gradients = self._reverse(backward, cotangents)
            for name, array, gradient in zip(self.names, self.inputs, gradients, strict=True):
                if gradient.shape != array.shape or gradient.dtype != array.dtype:
                    raise FormulaFailed(
                        f"for {name}, {array.dtype}{list(array.shape)}, it is "
                        f"{gradient.dtype}{list(gradient.shape)}"
                    )
            done |= self._compare(self._called_with_all, self.inputs, cotangents, gradients, digits)
            if digits == "float64":
                self._check_digits(cotangents, gradients)
        return done

    def check_structure(self) -> None:
        """Check what the formula may rely on, and what it has to leave alone.

        Raises:
            FormulaFailed: naming what differs.
        """
        before = [array.tobytes() for array in self.inputs]
        plain = self._called_with_all(*self.inputs)
        outputs, kept, backward = self._forward(self.everything)
        if not kept:
            return
        for number, (expected, got) in enumerate(zip(plain, outputs, strict=True)):
            if problem := self._differ(expected, got):
                raise FormulaFailed(
                    f"where a gradient is needed, floating-point output {number} is not what it "
                    f"is elsewhere: {problem}"
                )
        cotangents = self._cotangents(outputs, kept)
        gradients = self._reverse(backward, cotangents)
        self._check_repeatable(backward, outputs, kept, cotangents, gradients)
        self._check_linear(backward, cotangents, gradients)
        self._check_layouts(backward, cotangents, gradients)
        for name, array, bits in zip(self.names, self.inputs, before, strict=True):
            if array.tobytes() != bits:
                raise FormulaFailed(f"it changes the input {name}")
        for number, (old, new) in enumerate(zip(plain, outputs, strict=True)):
            if problem := self._differ(old, new):
                raise FormulaFailed(f"it changes floating-point output {number}: {problem}")
        self._check_each_input(cotangents, gradients)
        self._check_each_output(outputs, kept, backward)

    def check_second(self) -> str | None:
        """Compare the gradient's gradient with finite differences.

        Returns:
            Why that was not done, or None.

        Raises:
            FormulaFailed: they differ.
        """
        outputs, kept, _ = self._forward(self.everything)
        if not kept:
            return "there is no first one"
        gradient, inputs = self._gradient(self._cotangents(outputs, kept), kept)
        names = [*self.names, *(f"the gradient of floating-point output {i}" for i in kept)]
        try:
            found, backward = vjp(gradient, *inputs)
            cotangents = weights(found, self.random)
            gradients = backward(tuple(cotangents))
        except Exception as error:
            return f"the formula cannot be differentiated: {type(error).__name__}: {error}"
        digits = precision(gradient, inputs, self.random)
        if not self._compare(gradient, inputs, cotangents, gradients, digits, names):
            return "the gradient is not smooth there"
        return None

    def check_traced(self) -> str | None:
        """Compare the gradient in a graph with the eager one.

        Returns:
            Why that was not done, or None.

        Raises:
            FormulaFailed: they differ, or there is no graph of the formula.
        """
        outputs, kept, _ = self._forward(self.everything)
        if not kept:
            return "there is none"
        if any(is_opaque_type(type(value)) for value in self.values):
            return "the call takes objects"
        gradient, inputs = self._gradient(self._cotangents(outputs, kept), kept)
        expected = gradient(*inputs)
        try:
            trace(self._called_with_all, "fake")(*self.inputs)
        except Exception as error:
            return f"the operator cannot be traced: {type(error).__name__}: {error}"
        try:
            graph = trace(gradient, "fake")(*inputs)
        except DynamicShapeError as error:
            return f"the formula cannot be traced: {error}"
        except Exception as error:
            raise FormulaFailed(
                f"it cannot be traced ({type(error).__name__}: {error}). What it computes has to "
                "be calls of operators, and of NumPy's functions on the arrays as they come"
            ) from error
        found = graph(*inputs)
        for name, one, other in zip(self.names, expected, found, strict=True):
            if problem := self._differ(one, other):
                raise FormulaFailed(f"traced, the gradient of {name} differs: {problem}")
        return None

    # -- parts of it -------------------------------------------------------------------------------

    def _check_repeatable(
        self,
        backward: Backward,
        outputs: Any,
        kept: list[int],
        cotangents: list[Any],
        gradients: tuple[Any, ...],
    ) -> None:
        """A second reverse pass gives the same, in memory of its own."""
        bits = [gradient.tobytes() for gradient in gradients]
        self._check_same(gradients, self._reverse(backward, cotangents))
        other = self._reverse(backward, self._cotangents(outputs, kept))
        for name, first, old, second in zip(self.names, gradients, bits, other, strict=True):
            if first.tobytes() != old or (first.size and shares_memory(first, second)):
                raise FormulaFailed(
                    f"the gradient of {name} lies in memory that the next reverse pass writes to: "
                    "the formula keeps an array and returns it again"
                )
        self._check_same(gradients, self._reverse(backward, cotangents))

    def _check_same(self, gradients: tuple[Any, ...], again: tuple[Any, ...]) -> None:
        for name, first, second in zip(self.names, gradients, again, strict=True):
            if problem := self._differ(first, second):
                raise FormulaFailed(
                    f"the gradient of {name} is not reproducible: in a second reverse pass with "
                    f"the same numbers, {problem}"
                )

    def _check_linear(
        self, backward: Backward, cotangents: list[Any], gradients: tuple[Any, ...]
    ) -> None:
        for scale in _SCALES:
            scaled = [np.asarray(c * scale, c.dtype) for c in cotangents]
            if not all(np.isfinite(c).all() for c in scaled):
                continue
            for name, one, other in zip(
                self.names, gradients, self._reverse(backward, scaled), strict=True
            ):
                if not np.isfinite(one).all():
                    continue
                if problem := self._differ(np.asarray(one * scale, one.dtype), other, scale):
                    raise FormulaFailed(
                        f"the gradient of {name} is not linear in the outputs' gradients: for "
                        f"{scale:g} times as large ones, {problem}"
                    )

    def _check_layouts(
        self, backward: Backward, cotangents: list[Any], gradients: tuple[Any, ...]
    ) -> None:
        """Cotangents in Fortran order, and read-only ones with stride 0 as those of sums are."""
        layouts = {
            "in Fortran order": ([np.asarray(c, order="F") for c in cotangents], gradients),
        }
        ones = [np.broadcast_to(np.asarray(0.7, c.dtype), c.shape) for c in cotangents]
        expected = self._reverse(backward, [np.array(c, order="C") for c in ones])
        layouts["read-only with stride 0, as that of a sum is,"] = (ones, expected)
        for how, (given, wanted) in layouts.items():
            try:
                found = backward(tuple(given), retain_graph=True)
            except Exception as error:
                raise FormulaFailed(
                    f"it fails where an output's gradient is {how} {error}"
                ) from error
            for name, one, other in zip(self.names, wanted, found, strict=True):
                if problem := self._differ(one, other):
                    raise FormulaFailed(
                        f"the gradient of {name} differs where the output's is {how} {problem}"
                    )

    def _check_each_input(self, cotangents: list[Any], gradients: tuple[Any, ...]) -> None:
        """Each input alone, and all but one: `ctx.needs_input_grad` has holes then."""
        number = len(self.inputs)
        if number < 2:
            return
        subsets: list[tuple[int, ...]] = [(i,) for i in range(number)]
        if number > 2:
            subsets += [tuple(j for j in range(number) if j != i) for i in range(number)]
        for subset in subsets:
            chosen = ", ".join(self.names[i] for i in subset)
            try:
                _, _, backward = self._forward(subset)
                found = self._reverse(backward, cotangents)
            except FormulaFailed as error:
                raise FormulaFailed(f"with only {chosen} to differentiate: {error}") from (
                    error.__cause__ or error
                )
            for i, one in zip(subset, found, strict=True):
                if problem := self._differ(gradients[i], one):
                    raise FormulaFailed(
                        f"with only {chosen} to differentiate, the gradient of {self.names[i]} "
                        f"is another one than with all inputs: {problem}"
                    )

    def _check_each_output(self, outputs: Any, kept: list[int], backward: Backward) -> None:
        """Only one output is used: of the others the formula gets zeros, or None."""
        if len(kept) < 2:
            return
        for alone in kept:
            cotangents = self._cotangents(outputs, [alone])
            expected = self._reverse(backward, cotangents)
            _, _, single = self._forward(self.everything, only=alone)
            try:
                found = self._reverse(single, [cotangents[alone]])
            except FormulaFailed as error:
                raise FormulaFailed(f"with only floating-point output {alone} used: {error}") from (
                    error.__cause__ or error
                )
            for name, one, other in zip(self.names, expected, found, strict=True):
                if problem := self._differ(one, other):
                    raise FormulaFailed(
                        f"with only floating-point output {alone} used, the gradient of {name} "
                        f"is another one than with zeros for the others: {problem}"
                    )

    def _check_digits(self, cotangents: list[Any], gradients: tuple[Any, ...]) -> None:
        """No gradient of double precision went through an array of less."""
        if any(c.dtype.itemsize < 8 for c in cotangents):
            return
        for name, array, gradient in zip(self.names, self.inputs, gradients, strict=True):
            less = np.float32 if array.dtype == np.float64 else np.complex64
            if array.dtype not in (np.float64, np.complex128) or not np.any(gradient):
                continue
            if np.array_equal(gradient, gradient.astype(less)):
                raise FormulaFailed(
                    f"that of {name} has the dtype {np.dtype(less)}, or was computed in it, though "
                    f"{name} and the outputs' gradients are {array.dtype}: digits are lost"
                )

    # -- running it --------------------------------------------------------------------------------

    def _called_with_all(self, *arrays: Any) -> tuple[Any, ...]:
        return self._called(self.everything, arrays)

    def _called(self, subset: tuple[int, ...], arrays: Any) -> tuple[Any, ...]:
        """The floating-point outputs, with some of the inputs exchanged."""
        table = {id(self.inputs[i]): array for i, array in zip(subset, arrays, strict=True)}

        def one(value: Any) -> Any:
            if isinstance(value, list):
                return [one(item) for item in value]
            # A state that a call moves on has to be the same for each of them.
            return table[id(value)] if id(value) in table else copied([value])[0]

        result = self.subject.call([one(value) for value in self.values])
        return tuple(
            value
            for _, value in leaves(self.subject.operator, result)
            if getattr(getattr(value, "dtype", None), "kind", "") in "fc"
            and hasattr(value, "shape")
        )

    def _gradient(self, fixed: list[Any], kept: list[int]) -> tuple[Any, list[Any]]:
        """The gradient as a function of the inputs and the outputs' gradients, and those."""
        number = len(self.inputs)

        def gradient(*arrays: Any) -> tuple[Any, ...]:
            given = dict(zip(kept, arrays[number:], strict=True))
            cotangents = tuple(given.get(i, fixed[i]) for i in range(len(fixed)))
            _, backward = vjp(self._called_with_all, *arrays[:number])
            return tuple(backward(cotangents))

        return gradient, [*self.inputs, *(fixed[i] for i in kept)]

    def _forward(
        self, subset: tuple[int, ...], only: int | None = None
    ) -> tuple[tuple[Any, ...], list[int], Backward]:
        """Outputs, which of them have a gradient, and the reverse pass."""
        kept: list[int] = []

        def call(*arrays: Any) -> tuple[Any, ...]:
            outputs = self._called(subset, arrays)
            kept[:] = [i for i, output in enumerate(outputs) if type(output) is DiffArray]
            return outputs if only is None else (outputs[only],)

        with _failing():
            outputs, backward = vjp(call, *(self.inputs[i] for i in subset))
        return outputs, kept, backward

    def _reverse(self, backward: Backward, cotangents: list[Any]) -> tuple[Any, ...]:
        bits = [array.tobytes() for array in cotangents]
        with _failing():
            found = backward(tuple(cotangents), retain_graph=True)
        for array, old in zip(cotangents, bits, strict=True):
            if array.tobytes() != old:
                raise FormulaFailed("it writes to the gradient of an output, which others read too")
        return tuple(found)

    def _cotangents(self, outputs: Any, kept: list[int]) -> list[Any]:
        made = weights(outputs, self.random)
        return [c if i in kept else np.zeros_like(c) for i, c in enumerate(made)]

    def _compare(
        self,
        function: Any,
        inputs: list[Any],
        cotangents: list[Any],
        gradients: Any,
        digits: str,
        names: list[str] | None = None,
    ) -> bool:
        try:
            return compare(
                function,
                inputs,
                cotangents,
                list(gradients),
                self.random,
                kept=digits,
                names=self.names if names is None else names,
                rtol=self.subject.rtol,
                atol=self.subject.atol,
            )
        except Wrong as error:
            raise FormulaFailed(str(error)) from None

    def _differ(self, expected: Any, got: Any, scale: float = 1.0) -> str | None:
        """As `difference`; the absolute tolerance is relative to the largest element."""
        if self.subject.rtol is not None or expected.dtype.kind not in "fc" or not expected.size:
            return difference(expected, got, rtol=self.subject.rtol, atol=self.subject.atol)
        rtol = {"float16": 2e-2, "float32": 1e-4}.get(self.digits, 1e-9)
        with np.errstate(all="ignore"):
            largest = float(np.abs(expected).max())
        return difference(expected, got, rtol=rtol, atol=rtol * largest if largest < np.inf else 0)


@contextmanager
def _failing() -> Iterator[None]:
    """What goes wrong in a formula, as what is wrong with it."""
    try:
        yield
    except FormulaFailed:
        raise
    except Exception as error:
        raise FormulaFailed(str(error)) from error
