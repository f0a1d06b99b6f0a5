"""Operator profiles: what operators did on real data, recorded, saved, and used for fakes.

See ``docs/profiles.md``. Reading and writing files needs PyYAML (the extra ``profiles``).
"""

from gpuops.profiles.errors import (
    MissingOpProfile,
    OutdatedProfileError,
    ProfileError,
    ProfileWarning,
)
from gpuops.profiles.files import load_op_profiles, save_op_profiles
from gpuops.profiles.generate import unsafe_generate_fake_kernels
from gpuops.profiles.model import ArrayMetadata, ListProfile, OpProfile, ScalarProfile
from gpuops.profiles.recording import check_against, record_op_profiles
from gpuops.profiles.text import generate_yaml_from_profiles, read_profiles_from_yaml

__all__ = [
    "ArrayMetadata",
    "ListProfile",
    "MissingOpProfile",
    "OpProfile",
    "OutdatedProfileError",
    "ProfileError",
    "ProfileWarning",
    "ScalarProfile",
    "check_against",
    "generate_yaml_from_profiles",
    "load_op_profiles",
    "read_profiles_from_yaml",
    "record_op_profiles",
    "save_op_profiles",
    "unsafe_generate_fake_kernels",
]
