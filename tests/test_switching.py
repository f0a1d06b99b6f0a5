"""Section L of the behaviours: switching kernels off and on, for one context."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import custom_op, ops
from tests.standin_cupy import StandIn

X = np.ones(2)


def returns(value: float) -> Any:
    return lambda x: np.full(1, value)


@pytest.fixture
def switchable(ns: str) -> Any:
    """An operator that returns 0 from its default kernel and 1 from the one for the CPU."""
    f = custom_op(f"{ns}::f", returns(0.0), mutates_args=(), schema="(Array x) -> Array")
    f.register_kernel("cpu", returns(1.0))
    return f


# L1
def test_a_disabled_kernel_falls_back_to_the_default(switchable: Any) -> None:
    with switchable.set_kernel_enabled("cpu", False):
        assert switchable(X) == 0
        with switchable.set_kernel_enabled("cpu", True):
            assert switchable(X) == 1
        assert switchable(X) == 0
    assert switchable(X) == 1
    with pytest.raises(KeyError), switchable.set_kernel_enabled("cpu", False):
        raise KeyError
    assert switchable(X) == 1


# L1
def test_with_no_default_kernel_there_is_nothing_to_fall_back_to(ns: str) -> None:
    with gpuops.define(f"{ns}::f", "(Array x) -> Array"):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, "cpu", returns(1))
        with gpuops.set_kernel_enabled(f"{ns}::f", "cpu", False):
            with pytest.raises(NotImplementedError, match="cpu switched off by set_kernel_enabled"):
                f(X)
        assert f(X) == 1


# L2
def test_switching_what_is_not_there_is_logged(
    switchable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="gpuops"):
        with switchable.set_kernel_enabled("cuda", False):
            assert switchable(X) == 1
        assert "no kernel was registered for this device type" in caplog.text
        caplog.clear()
        with switchable.set_kernel_enabled("cpu", True):
            assert switchable(X) == 1
        assert "already enabled" in caplog.text
        assert switchable(X) == 1
        caplog.clear()
        with switchable.set_kernel_enabled("cpu", False):
            with switchable.set_kernel_enabled("cpu", False):
                assert switchable(X) == 0
            assert "already disabled" in caplog.text
            assert switchable(X) == 0
    assert switchable(X) == 1


# L2
def test_switching_a_device_type_that_does_not_exist_is_logged(
    switchable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for enabled in (False, True):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="gpuops"):
            with switchable.set_kernel_enabled("gpu", enabled):
                assert switchable(X) == 1
        assert "no kernel was registered for this device type" in caplog.text
        assert "known are cpu, cuda" in caplog.text
    assert switchable(X) == 1


# L3
def test_not_entering_the_context_changes_nothing(switchable: Any) -> None:
    context = switchable.set_kernel_enabled("cpu", False)
    assert switchable(X) == 1
    with context:
        assert switchable(X) == 0
        switchable.register_kernel("cpu", returns(2.0))
        assert switchable(X) == 0
    assert switchable(X) == 2


# L4
def test_kernels_registered_for_a_list_are_switched_one_by_one(ns: str, cupy: StandIn) -> None:
    f = custom_op(f"{ns}::f", lambda x: 0, mutates_args=(), schema="(Array x) -> int")
    f.register_kernel(["cpu", "cuda"], lambda x: 1)
    with f.set_kernel_enabled("cpu", False):
        assert (f(X), f(cupy.ones(1))) == (0, 1)
    with f.set_kernel_enabled("cuda", False):
        assert (f(X), f(cupy.ones(1))) == (1, 0)
    assert (f(X), f(cupy.ones(1))) == (1, 1)


# L5
def test_switching_is_local_to_the_thread_and_to_the_task(switchable: Any) -> None:
    seen = []

    def other() -> None:
        seen.append(float(switchable(X)[0]))

    with switchable.set_kernel_enabled("cpu", False):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert switchable(X) == 0
    assert seen == [1.0]

    async def switched(inside: asyncio.Event, done: asyncio.Event) -> float:
        with switchable.set_kernel_enabled("cpu", False):
            inside.set()
            await done.wait()
            return float(switchable(X)[0])

    async def main() -> tuple[float, float]:
        inside, done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(switched(inside, done))
        await inside.wait()
        here = float(switchable(X)[0])
        done.set()
        return here, await task

    assert asyncio.run(main()) == (1.0, 0.0)


def test_after_all_contexts_calls_are_quick_again(switchable: Any) -> None:
    with switchable.set_kernel_enabled("cpu", False):
        pass
    table = switchable.operator.table
    assert table.globals[table.name("cpu")] is gpuops.get_kernel(switchable, "cpu").function


# L1, L5
def test_contexts_may_be_left_in_any_order(ns: str) -> None:
    f = custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    f.register_kernel("cpu", returns(1))
    off, default_off = f.set_kernel_enabled("cpu", False), f.set_kernel_enabled(None, False)
    off.__enter__(), default_off.__enter__()
    with pytest.raises(NotImplementedError, match="cpu, default switched off"):
        f(X)
    off.__exit__(None, None, None)
    assert f(X) == 1
    default_off.__exit__(None, None, None)
    with f.set_kernel_enabled("cpu", False):
        assert f(X) == 0, "what was left in another order than it was entered is still off"
    assert f(X) == 1


# L2
def test_what_set_kernel_enabled_and_get_kernel_refuse(switchable: Any) -> None:
    for device in (["cpu", "cuda"], ("cpu",), 3):
        with pytest.raises(TypeError, match="the device type must be one string or None, got"):
            switchable.set_kernel_enabled(device, False)
        with pytest.raises(TypeError, match="the device type must be one string or None, got"):
            gpuops.get_kernel(switchable, device)
    with pytest.raises(ValueError, match="Expected one of cpu, cuda"):
        gpuops.get_kernel(switchable, "tpu")
    with pytest.raises(TypeError, match="enabled must be True or False, got str 'no'"):
        switchable.set_kernel_enabled("cpu", "no")
