"""Where an array is not zero; the size of the result depends on the data."""
