# gpuops with its CPU and CUDA kernels. How to run it is in docs/docker.md.
#
# Any base with Python 3.11 or later and its venv module will do: nothing is installed with the
# base's package manager, and nothing is expected of it but `python3`.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
# A package index of one's own, if there is one. Unset, pip uses its default.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG EXTRAS=cpu,cuda12,cublas12,cli,plots,profiles,symbolic,transforms
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/gpuops
COPY . /src
RUN /opt/gpuops/bin/python -m pip install "/src[${EXTRAS}]"

# Only the environment is kept: the sources and pip's leavings stay in the first stage.
FROM ${BASE}
COPY --from=build /opt/gpuops /opt/gpuops
# Compiled kernels are cached where any user may write, so that `docker run --user` works too.
RUN useradd --system --create-home --uid 10001 gpuops \
    && mkdir --mode=1777 /var/cache/gpuops
ENV PATH=/opt/gpuops/bin:$PATH \
    GPUOPS_CACHE_DIR=/var/cache/gpuops/cuda \
    CUPY_CACHE_DIR=/var/cache/gpuops/cupy \
    NUMBA_CACHE_DIR=/var/cache/gpuops/numba \
    MPLCONFIGDIR=/var/cache/gpuops/matplotlib
USER gpuops
WORKDIR /home/gpuops
ENTRYPOINT ["/opt/gpuops/bin/gpuops"]
CMD ["bench"]
