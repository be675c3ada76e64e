"""Where the figures of a comparison come from: what was run, with what, on what, when."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import shipped
from ..errors import CodecError
from ..fingerprint import of_folder
from .codecs import split

PACKAGES = ("torch", "av", "pillow", "pesq", "pystoi", "torchmetrics", "transformers")


def provenance(codecs: list[str]) -> list[tuple[str, str]]:
    """Name and value, line by line: command, versions, fingerprints of the models, machine, date.

    Args:
        codecs: names of what was compared, with settings.
    """
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    lines = [("command", _command()), ("versions", f"josiecodec {_own_version()}, {', '.join(versions)}")]
    for name in dict.fromkeys(split(codec)[0] for codec in codecs):
        found = _fingerprint(name)
        if found:
            lines.append((f"model {name}", found[:16]))
    lines.append(("machine", f"{platform.system()} {platform.machine()}, {_processor()}{os.cpu_count()} cores"))
    return [*lines, ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))]


def made_by(codec: str) -> dict[str, str]:
    """What a row of a comparison says of its origin: `version` of this package, `date`, and `model`, the fingerprint of
    a model of ours, empty for other codecs."""
    found = _fingerprint(split(codec)[0]) or ""
    return {"version": _own_version(), "date": datetime.now(UTC).strftime("%Y-%m-%d"), "model": found[:16]}


def _command() -> str:
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in ("", "-c") else "python"
    return shlex.join([program, *sys.argv[1:]])


def _own_version() -> str:
    try:
        return version("josiecodec")
    except PackageNotFoundError:
        return "(not installed)"


@cache
def _fingerprint(name: str) -> str | None:
    """Of one of our models, a shipped one or a folder."""
    for place in (shipped.WEIGHTS / name, Path(name)):
        if (place / "config.json").is_file():
            try:
                return shipped.fingerprint_of(place) if place.parent == shipped.WEIGHTS else of_folder(place)
            except (CodecError, OSError):
                return None
    return None


def _processor() -> str:
    """The name of the processor, where the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    name = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return f"{name}, " if name else ""
