"""A call of every operator of the namespace ``xp``: for tests of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import xp
from gpuops.devices import Device
from gpuops.xp.elementwise import BINARY, MANY, UNARY
from gpuops.xp.robust import CUMULATIVE, POSITIONS, SPREADS, WITHOUT_NAN

_INTEGER = {"bitwise_count", "bitwise_invert", "isnat"}
_INTEGERS = {"gcd", "lcm"}


def samples() -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments, by the operator's name."""
    x = np.arange(1.0, 13.0).reshape(3, 4)
    v = np.arange(1.0, 5.0)
    i = np.arange(4)
    m = np.eye(3) * 2
    mask = x > 3
    cpu = Device("cpu")
    calls: dict[str, tuple[Any, ...]] = {
        "broadcast_to": (v, [2, 4]),
        "broadcast_arrays": ([x, v],),
        "concat": ([x, x], 0),
        "stack": ([x, x], 1),
        "expand_dims": (x, [0]),
        "squeeze": (x[:1], [0]),
        "permute_dims": (x, [1, 0]),
        "transpose": (x,),
        "moveaxis": (x, [0], [1]),
        "swapaxes": (x, 0, 1),
        "flip": (x, [0]),
        "reshape": (x, [4, 3]),
        "ravel": (x,),
        "roll": (x, [1], [0]),
        "tile": (x, [2, 1]),
        "repeat": (x, 2, 1),
        "unstack": (x, 0),
        "getitem": (x, "sa", [None, None, None], [i]),
        "put_at": (v, [5], "a", [], [i]),
        "setitem": (x.copy(), "s", [None, 2, None], [], v),
        "copyto": (x.copy(), v),
        "take": (x, i[:2], 1),
        "take_along_axis": (x, i[:3].reshape(3, 1), 1),
        "argmax": (x, 1),
        "argmin": (x, None),
        "count_nonzero": (x, [1]),
        "nonzero": (x,),
        "searchsorted": (v, x),
        "where": (mask, x, v),
        "sort": (x, 0),
        "argsort": (x, 0),
        "unique_all": (x,),
        "unique_counts": (x,),
        "unique_inverse": (x,),
        "unique_values": (x,),
        "sum": (x, [0]),
        "prod": (x, [0]),
        "max": (x, [0]),
        "min": (x, None),
        "mean": (x, [1]),
        "var": (x, [1]),
        "std": (x, [1]),
        "cumulative_sum": (x, 0),
        "cumulative_prod": (x, 0),
        "cumsum": (x, 0),
        "cumprod": (x, None),
        "all": (mask, [0]),
        "any": (mask, [0]),
        "diff": (x, 1, 1, x[:, :1], None),
        "round": (x, 1),
        "real": (x * 1j,),
        "imag": (x * 1j,),
        "clip": (x, v, None),
        "empty": ([2, 3],),
        "zeros": ([2, 3],),
        "ones": ([2, 3],),
        "full": ([2, 3], 1.5),
        "eye": (3, 4, 1),
        "arange": (0, 5, 2),
        "linspace": (0.0, 1.0, 5),
        "empty_like": (x,),
        "zeros_like": (x,),
        "ones_like": (x,),
        "full_like": (x, 2.0),
        "astype": (x, np.dtype("float32")),
        "asarray": (x, np.dtype("float32")),
        "copy": (x.T,),
        "meshgrid": ([v, i],),
        "tril": (x, 1),
        "triu": (x, 1),
        "matmul": (x, x.T),
        "matrix_transpose": (x,),
        "vecdot": (x, v),
        "tensordot": (x, x, [1], [1]),
        "dot": (x, v),
        "outer": (v, v),
        "matvec": (x, v),
        "vecmat": (v[:3], x),
        "linalg_inv": (m,),
        "linalg_det": (m,),
        "linalg_slogdet": (m,),
        "linalg_solve": (m, v[:3]),
        "linalg_matrix_power": (m, 3),
        "linalg_cholesky": (m,),
        "linalg_eigh": (m,),
        "linalg_eigvalsh": (m,),
        "linalg_svd": (x,),
        "linalg_svdvals": (x,),
        "linalg_qr": (x,),
        "linalg_pinv": (x,),
        "linalg_matrix_rank": (x,),
        "linalg_vector_norm": (x, [1]),
        "linalg_matrix_norm": (x,),
        "linalg_cross": (m, m[::-1]),
        "linalg_outer": (v, v),
        "diagonal": (x, 1),
        "trace": (x,),
        "einsum": ("ij,kj->ik", [x, x]),
        "repeat_each": (v, i),
        "pad": (x, [1, 0, 0, 2]),
        "histogram": (v, 3),
        "bincount": (i,),
        "nan_to_num": (x,),
        "digitize": (x, v),
        "interp": (x, v, v),
        "convolve": (v, v[:2]),
        "correlate": (v, v[:2]),
        "partition": (x, [1]),
        "diag_of": (v, 1),
        "quantile": (x, np.asarray([0.1, 0.4]), [1]),
        "median": (x, [0]),
        "select": ([mask, x > 1], [x, v], x),
        "choose": (i % 2, [x, v]),
        "argpartition": (x, [1]),
        "ascontiguousarray": (x.T,),
        "asfortranarray": (x,),
        "gradient_along": (x, v**2, 1),
        "isin": (i, i[:2]),
        "isclose": (x, v),
        "fft_fftfreq": (4,),
        "fft_rfftfreq": (4,),
    }
    calls |= {name: (i,) if name in _INTEGER else (x / 20,) for name in UNARY}
    calls |= {"acosh": (x,), "isnat": (np.zeros(2, "m8[s]"),)}
    whole = {name for name in BINARY if name.startswith("bitwise")} | _INTEGERS
    calls |= {name: (i, i) if name in whole else (x, v) for name in BINARY}
    calls |= {"ldexp": (v, i)}
    calls |= {name: (x, v) if name == "divmod" else (x,) for name in MANY}
    calls |= {name: (x, [0]) for name in (*WITHOUT_NAN, *SPREADS)}
    calls |= dict.fromkeys((*CUMULATIVE, *POSITIONS), (x, 0))
    calls |= {f"fft_{name}": (v, 4) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")}
    found = {name: (args, {}) for name, args in calls.items()}
    for name, row in xp.ROWS.items():
        keywords = {
            p.name: cpu
            if p.name == "device" and not row.operator.schema.array_parameters
            else p.default
            for p in row.operator.schema.keyword_only
        }
        if name in found:
            found[name] = (found[name][0], keywords)
    return found
