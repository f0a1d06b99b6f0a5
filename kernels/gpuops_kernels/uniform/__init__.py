"""Uniformly distributed numbers."""
