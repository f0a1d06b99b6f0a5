"""Batching: a function of single elements run for a whole batch at once."""

from gpuops.transforms.vmap.api import vmap
from gpuops.transforms.vmap.array import BatchedArray
from gpuops.transforms.vmap.loop import loop

__all__ = ["BatchedArray", "loop", "vmap"]
