"""Dropout, with what its mask was made of."""
