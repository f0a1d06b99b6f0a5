"""Random words of 32 bits."""
