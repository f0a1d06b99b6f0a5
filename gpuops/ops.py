"""Registered operators by name: ``gpuops.ops.<namespace>.<name>``.

>>> import numpy as np, gpuops
>>> double = gpuops.custom_op(
...     "demo_ops::double", lambda x: 2 * x, mutates_args=(), schema="(Array x) -> Array"
... )
>>> gpuops.ops.demo_ops.double(np.ones(2))
array([2., 2.])
>>> gpuops.ops.demo_ops.double is double
True
>>> double.undo()
"""

# Every attribute of this module would hide the namespace of that name: it has dunder names only.
from gpuops.namespaces import listed as __dir__  # noqa: F401  # Python asks modules for both
from gpuops.namespaces import look_up as __getattr__  # noqa: F401
