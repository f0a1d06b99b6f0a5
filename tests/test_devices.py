"""Devices by name, and array types by library."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from gpuops import Device, DeviceError, device_of
from tests.standin_cupy import StandIn


def test_equal_devices_are_one_object() -> None:
    assert Device("cuda:1") is Device("cuda", 1) is Device("cuda", np.int64(1))
    assert Device(Device("cuda:1")) is Device("cuda:1") is not Device("cuda")
    for device in (Device("cpu"), Device("cpu:0"), Device("cuda:12")):
        assert pickle.loads(pickle.dumps(device)) is device
        assert copy.copy(device) is copy.deepcopy(device) is Device(str(device)) is device
    assert {Device("cpu"): 1}[Device("cpu")] == 1
    assert (Device("cuda:3").type, Device("cuda:3").index) == ("cuda", 3)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("tpu",), "Expected one of cpu, cuda"),
        (("CUDA",), "Expected one of cpu, cuda"),
        (("",), "Expected one of cpu, cuda"),
        (("cuda:",), "must be a whole number, got ''"),
        (("cuda:-1",), "must be a whole number, got '-1'"),
        (("cuda:1.5",), "must be a whole number, got '1.5'"),
        (("cuda:٣",), "must be a whole number"),
        (("cuda:" + "1" * 5000,), "must be a whole number"),
        (("cuda:1", 2), "has an index; got index 2 beside it"),
        ((Device("cuda:1"), 2), "has its own index; got index 2 beside it"),
        (("cuda", -1), "from 0 on, got -1"),
        (("cuda", True), "from 0 on, got True"),
        (("cuda", "1"), "from 0 on, got '1'"),
        (("cuda", 1.0), "from 0 on, got 1.0"),
        ((3,), "a device is a string such as 'cuda:1', got 3"),
        ((None,), "a device is a string such as 'cuda:1', got None"),
    ],
)
def test_what_is_no_device(args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        Device(*args)
    assert isinstance(caught.value, (ValueError, RuntimeError))


def test_a_device_cannot_be_changed() -> None:
    device = Device("cuda:1")
    with pytest.raises(AttributeError, match="cannot be changed"):
        device.index = 2  # type: ignore[misc]
    assert str(device) == "cuda:1"


def test_the_device_of_an_array(two_gpus: StandIn) -> None:
    assert device_of(np.zeros(1)) is Device("cpu")
    assert device_of(two_gpus.ones(1, device=1)) is Device("cuda:1")
    for other in (3, None, [np.zeros(1)], np.float64(1), np.ma.masked_array([1])):
        assert device_of(other) is None
