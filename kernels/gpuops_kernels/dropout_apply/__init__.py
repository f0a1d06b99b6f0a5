"""What dropout does to its input, and its gradient to the output's."""
