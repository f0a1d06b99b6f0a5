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

from typing import TYPE_CHECKING, Any

from gpuops import dispatch as _dispatch  # noqa: F401  # it builds the operators' calls
from gpuops import ops as ops
from gpuops.annotations import Array, DType, Scalar
from gpuops.batching import VmapInfo
from gpuops.debug import debug
from gpuops.devices import Device, device_of
from gpuops.effects import EffectType, register_effect
from gpuops.errors import (
    AliasError,
    ArgumentError,
    BatchDimensionError,
    DeadObjectError,
    DeviceError,
    DynamicShapeError,
    EffectError,
    ExternalObjectError,
    FakeContextError,
    FakeDataError,
    FakeIndexError,
    FakeMixError,
    GpuopsError,
    GradientError,
    GraphError,
    HypothesisNotInstalledError,
    MutationError,
    NoFakeError,
    NoGradientError,
    NoKernelError,
    NoWeakReferenceError,
    OpaqueAccessError,
    OpaqueTypeError,
    OperatorNotFoundError,
    OverloadError,
    PerformanceWarning,
    PytreesNotInstalledError,
    RandomnessError,
    RegistrationError,
    ReturnError,
    SchemaError,
    ShapeError,
    StaleOperatorError,
    SymbolsNotInstalledError,
    TraceError,
    UnknownSizeError,
    UsageError,
    VmapError,
)
from gpuops.infer import infer_schema
from gpuops.interception import register_wrapper
from gpuops.kernels import impl, register_kernel
from gpuops.library import Library
from gpuops.lookup import get_kernel, operators, set_kernel_enabled
from gpuops.op import CustomOp, custom_op, define
from gpuops.opaque import MemberType, OpaqueBase, is_opaque_type, register_opaque_type
from gpuops.packs import load_library, load_packs
from gpuops.payload import OpaqueObject, get_payload, make_opaque, set_payload
from gpuops.registry import Operator, Registration, fallthrough_kernel
from gpuops.rules import (
    register_autocast,
    register_autograd,
    register_fake,
    register_no_gradient,
    register_vmap,
)
from gpuops.schema import Parameter, Return, Schema
from gpuops.schema_parser import is_functional, parse_schema
from gpuops.symbols import SymInt
from gpuops.tags import Tag
from gpuops.versions import array_version

if TYPE_CHECKING:
    from gpuops import cuda as cuda
    from gpuops import external_objects as external_objects
    from gpuops import profiles as profiles
    from gpuops import random as random
    from gpuops import testing as testing
    from gpuops import xp as xp
    from gpuops.cuda.transfer import asarray as asarray
    from gpuops.opchecks import opcheck as opcheck
    from gpuops.transforms.autocast import autocast
    from gpuops.transforms.autograd import (
        DiffArray,
        GradcheckError,
        grad,
        gradcheck,
        gradgradcheck,
        jacrev,
        no_grad,
        stop_gradient,
        value_and_grad,
        vjp,
    )
    from gpuops.transforms.fake import FakeArray, FakeMode, get_ctx
    from gpuops.transforms.trace import Graph, trace
    from gpuops.transforms.vmap import vmap

__version__ = "0.1.0"

# Loaded when they are first asked for: who only calls operators needs none of them.
_LAZY = {
    "DiffArray": "gpuops.transforms.autograd",
    "FakeArray": "gpuops.transforms.fake",
    "FakeMode": "gpuops.transforms.fake",
    "GradcheckError": "gpuops.transforms.autograd",
    "Graph": "gpuops.transforms.trace",
    "asarray": "gpuops.cuda.transfer",
    "autocast": "gpuops.transforms.autocast",
    "cuda": "gpuops.cuda",
    "external_objects": "gpuops.external_objects",
    "get_ctx": "gpuops.transforms.fake",
    "opcheck": "gpuops.opchecks",
    "grad": "gpuops.transforms.autograd",
    "gradcheck": "gpuops.transforms.autograd",
    "gradgradcheck": "gpuops.transforms.autograd",
    "jacrev": "gpuops.transforms.autograd",
    "no_grad": "gpuops.transforms.autograd",
    "profiles": "gpuops.profiles",
    "random": "gpuops.random",
    "stop_gradient": "gpuops.transforms.autograd",
    "testing": "gpuops.testing",
    "trace": "gpuops.transforms.trace",
    "value_and_grad": "gpuops.transforms.autograd",
    "vjp": "gpuops.transforms.autograd",
    "vmap": "gpuops.transforms.vmap",
}


def __getattr__(name: str) -> Any:
    if name == "xp":
        import importlib

        return importlib.import_module("gpuops.xp")
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found = importlib.import_module(module)
    value = globals()[name] = found if module == f"gpuops.{name}" else getattr(found, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "xp"})


__all__ = [
    "AliasError",
    "ArgumentError",
    "Array",
    "BatchDimensionError",
    "CustomOp",
    "DType",
    "DeadObjectError",
    "Device",
    "DeviceError",
    "DiffArray",
    "DynamicShapeError",
    "EffectError",
    "EffectType",
    "ExternalObjectError",
    "FakeArray",
    "FakeContextError",
    "FakeDataError",
    "FakeIndexError",
    "FakeMixError",
    "FakeMode",
    "GpuopsError",
    "GradcheckError",
    "GradientError",
    "Graph",
    "GraphError",
    "HypothesisNotInstalledError",
    "Library",
    "MemberType",
    "MutationError",
    "NoFakeError",
    "NoGradientError",
    "NoKernelError",
    "NoWeakReferenceError",
    "OpaqueAccessError",
    "OpaqueBase",
    "OpaqueObject",
    "OpaqueTypeError",
    "Operator",
    "OperatorNotFoundError",
    "OverloadError",
    "Parameter",
    "PytreesNotInstalledError",
    "PerformanceWarning",
    "RandomnessError",
    "Registration",
    "RegistrationError",
    "Return",
    "ReturnError",
    "Scalar",
    "Schema",
    "SchemaError",
    "ShapeError",
    "StaleOperatorError",
    "SymInt",
    "SymbolsNotInstalledError",
    "Tag",
    "TraceError",
    "UnknownSizeError",
    "UsageError",
    "VmapError",
    "VmapInfo",
    "array_version",
    "asarray",
    "autocast",
    "cuda",
    "custom_op",
    "debug",
    "define",
    "device_of",
    "external_objects",
    "fallthrough_kernel",
    "get_ctx",
    "get_kernel",
    "get_payload",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "impl",
    "infer_schema",
    "is_functional",
    "is_opaque_type",
    "jacrev",
    "load_library",
    "load_packs",
    "make_opaque",
    "no_grad",
    "opcheck",
    "operators",
    "ops",
    "parse_schema",
    "profiles",
    "random",
    "register_autograd",
    "register_autocast",
    "register_effect",
    "register_fake",
    "register_kernel",
    "register_no_gradient",
    "register_opaque_type",
    "register_vmap",
    "register_wrapper",
    "set_kernel_enabled",
    "set_payload",
    "stop_gradient",
    "testing",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
    "xp",
]
