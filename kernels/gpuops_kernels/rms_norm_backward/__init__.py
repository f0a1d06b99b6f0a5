"""Gradients of ``rms_norm``."""
