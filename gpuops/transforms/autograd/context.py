"""`Context`: what a formula keeps from the forward call for the reverse pass."""

from __future__ import annotations

from typing import Any, NoReturn

from gpuops import versions
from gpuops.devices import array_kind
from gpuops.errors import GradientError, describe
from gpuops.registry import Operator

__all__ = ["Context", "check_unchanged"]


class Context:
    """The ``ctx`` of one call; any attribute may be set on it besides.

    Attributes:
        needs_input_grad: whether an input's gradient will be used, one entry per declared
            positional input (of a list, a list), whether or not it was left to its default. Where
            there are keyword-only arrays, the entries of the keyword-only inputs follow.
    """

    # Names that no user sets by accident: a method of gpuops' own could be covered by an attribute.
    # One is made for each call, by whom it is for: an `__init__` would cost another call.
    needs_input_grad: tuple[Any, ...]
    _gpuops_operator: Operator
    # Of the class: most contexts have no others.
    _gpuops_saved: tuple[Any, ...] | None = ()
    _gpuops_time = 0
    _gpuops_constants: tuple[Any, ...] = ()
    _gpuops_materialize = True

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep arrays (inputs, outputs, or others; None too) until the reverse pass.

        Args:
            arrays: they are not copied; if an operator writes to one of them before the reverse
                pass, `saved_arrays` says so.
        """
        self._gpuops_saved = arrays
        self._gpuops_time = versions.clock[0]

    @property
    def saved_arrays(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given.

        Raises:
            GradientError: the graph was freed by an earlier pass, or an array was written to.
        """
        saved = self._gpuops_saved
        if saved is None:
            raise_freed(self._gpuops_operator)
        if saved and versions.clock[0] != self._gpuops_time:
            check_unchanged(self._gpuops_operator, saved, self._gpuops_time)
        return saved

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Let outputs be constants, as outputs of integers always are.

        Args:
            outputs: arrays that `setup_context` was given in ``output``.
        """
        self._gpuops_constants = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros for outputs that nothing depends on (True), or None."""
        self._gpuops_materialize = bool(value)


def raise_freed(operator: Operator) -> NoReturn:
    """Say that what a call kept is gone.

    Raises:
        GradientError: always.
    """
    raise GradientError(
        f"{operator.qualname}: going backward through the call a second time, but what it had "
        "saved was freed by the first pass. Pass retain_graph=True to that one"
    )


def check_unchanged(operator: Operator, kept: tuple[Any, ...], time: int) -> None:
    """Check that no operator has written to arrays since.

    Args:
        operator: whose call kept them.
        kept: arrays, wrappers of arrays, lists of them, anything else.
        time: of `gpuops.versions.clock` when they were kept.

    Raises:
        GradientError: one was written to.
    """
    for index, item in enumerate(kept):
        for found in item if isinstance(item, (list, tuple)) else (item,):
            array = found
            while hasattr(array, "transform"):
                array = array.value
            if array_kind(type(array)) is not None and versions.written_since(array, time):
                raise GradientError(
                    f"{operator.qualname}: an array that its gradient needs was modified since the "
                    f"call (version changed): saved array {index}, {describe(array)}. Write to a "
                    "copy of it instead"
                )
