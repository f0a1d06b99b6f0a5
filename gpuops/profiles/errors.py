"""What goes wrong with profiles."""

from __future__ import annotations

from gpuops.errors import GpuopsError

__all__ = ["MissingOpProfile", "OutdatedProfileError", "ProfileError", "ProfileWarning"]


class ProfileError(GpuopsError, ValueError):
    """A profile, or a file of profiles, is not as it has to be."""


class OutdatedProfileError(GpuopsError, RuntimeError):
    """A file of profiles has a format of another major version."""


class MissingOpProfile(GpuopsError, RuntimeError):
    """An operator was called in a way that no profile of it was recorded for."""


class ProfileWarning(UserWarning):
    """An operator's own fake kernel is overridden by one that profiles make."""
