"""Gradient of ``softmax``."""
