"""Gradients: reverse-mode differentiation of functions that call operators."""

from gpuops.transforms.autograd.api import grad, jacrev, stop_gradient, value_and_grad, vjp
from gpuops.transforms.autograd.array import DiffArray
from gpuops.transforms.autograd.check import GradcheckError, gradcheck, gradgradcheck
from gpuops.transforms.autograd.tape import no_grad

__all__ = [
    "DiffArray",
    "GradcheckError",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "jacrev",
    "no_grad",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
