"""Fakes: arrays without data, and operators that compute shapes only."""

from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.context import FakeContext, get_ctx
from gpuops.transforms.fake.mode import FakeMode
from gpuops.transforms.fake.remembered import of_metadata

__all__ = ["FakeArray", "FakeContext", "FakeMode", "get_ctx", "of_metadata"]
