"""Normally distributed numbers."""
