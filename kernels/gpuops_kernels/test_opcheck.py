"""Each check of `gpuops.opcheck` on each operator: a test of its own for each."""

gpuops_pack = "gpuops_kernels"
gpuops_cases = 1
