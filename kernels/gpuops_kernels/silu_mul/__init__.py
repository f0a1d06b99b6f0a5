"""The elementwise part of SwiGLU."""
