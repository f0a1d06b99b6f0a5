"""Tracing: the operator calls of a function as a graph."""

from gpuops.transforms.trace.array import TracingArray
from gpuops.transforms.trace.graph import Graph
from gpuops.transforms.trace.nodes import ArrayMeta, Constant, Input, Node, Ref
from gpuops.transforms.trace.tracer import trace

__all__ = ["ArrayMeta", "Constant", "Graph", "Input", "Node", "Ref", "TracingArray", "trace"]
