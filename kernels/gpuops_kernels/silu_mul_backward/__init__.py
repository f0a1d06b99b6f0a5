"""Gradients of ``silu_mul``."""
