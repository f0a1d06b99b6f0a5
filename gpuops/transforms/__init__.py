"""Transforms: interpreters of operator calls on wrapper types, each with its own rules."""
