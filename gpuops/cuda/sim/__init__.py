"""A simulator of CUDA devices: NVRTC's PTX, run on NumPy arrays with every access checked.

Use `gpuops.cuda.simulate`; the modules of this package are its parts and no public interface:
`ptx` parses, `inline` and `flow` give functions without calls and their basic blocks, `codegen`
makes a Python function of a block, and `scheduler` runs blocks for frames of threads against
`memory`, whose accesses `shadow` checks for races.
"""
