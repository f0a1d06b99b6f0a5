"""Softmax along an axis."""
