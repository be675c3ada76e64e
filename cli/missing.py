"""Packages that are not installed, as a user is told."""

from __future__ import annotations

# What packages are called where they are installed from, if it is not what they are imported as.
_PACKAGES = {"PIL": "pillow", "torch": "torch (its site shows the command for CPUs alone)"}
_OURS = ("josiecodec", "josiecodec_cli", "josielm")


def missing(error: ModuleNotFoundError) -> str | None:
    """What is missing, and how it is installed; None if it is a part of this package."""
    name = (error.name or "").partition(".")[0]
    if not name or name in _OURS:
        return None
    return f"this needs {name}, which is not installed: pip install {_PACKAGES.get(name, name)}"
