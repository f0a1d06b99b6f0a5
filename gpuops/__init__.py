"""gpuops: declare an array operator once, register a kernel per device, call it like a function.

>>> import numpy as np
>>> import gpuops
>>> @gpuops.custom_op("readme::axpy", mutates_args=())
... def axpy(a: float, x: gpuops.Array, y: gpuops.Array) -> gpuops.Array:
...     return a * x + y
>>> axpy(2, np.ones(2), np.ones(2))
array([3., 3.])
>>> axpy.undo()
"""

from gpuops import cuda as cuda
from gpuops import ops as ops
from gpuops.annotations import Array, DType, Scalar
from gpuops.debug import debug
from gpuops.devices import Device, device_of
from gpuops.dispatch import register_wrapper
from gpuops.errors import (
    AliasError,
    ArgumentError,
    DeviceError,
    GpuopsError,
    MutationError,
    NoKernelError,
    OperatorNotFoundError,
    OverloadError,
    RegistrationError,
    ReturnError,
    SchemaError,
    StaleOperatorError,
    UsageError,
)
from gpuops.infer import infer_schema
from gpuops.library import Library
from gpuops.op import (
    CustomOp,
    custom_op,
    define,
    get_kernel,
    impl,
    load_library,
    operators,
    register_fake,
    register_kernel,
    set_kernel_enabled,
)
from gpuops.opaque import is_opaque_type, register_opaque_type
from gpuops.packs import load_packs
from gpuops.registry import Operator, Registration, fallthrough_kernel
from gpuops.schema import Parameter, Return, Schema
from gpuops.schema_parser import is_functional, parse_schema
from gpuops.tags import Tag
from gpuops.versions import array_version

__version__ = "0.1.0"

__all__ = [
    "AliasError",
    "ArgumentError",
    "Array",
    "CustomOp",
    "DType",
    "Device",
    "DeviceError",
    "GpuopsError",
    "Library",
    "MutationError",
    "NoKernelError",
    "Operator",
    "OperatorNotFoundError",
    "OverloadError",
    "Parameter",
    "Registration",
    "RegistrationError",
    "Return",
    "ReturnError",
    "Scalar",
    "Schema",
    "SchemaError",
    "StaleOperatorError",
    "Tag",
    "UsageError",
    "array_version",
    "cuda",
    "custom_op",
    "debug",
    "define",
    "device_of",
    "fallthrough_kernel",
    "get_kernel",
    "impl",
    "infer_schema",
    "is_functional",
    "is_opaque_type",
    "load_library",
    "load_packs",
    "operators",
    "ops",
    "parse_schema",
    "register_fake",
    "register_kernel",
    "register_opaque_type",
    "register_wrapper",
    "set_kernel_enabled",
]
