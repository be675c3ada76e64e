"""The settings of a run in its folder: a run goes on with those that it was begun with.

Its length may change. Any other setting has to be named, so that no two halves of a run are of different kinds
without anybody knowing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...atomic import write_bytes
from ...config import to_dict
from ...errors import ConfigError, ModelError
from .settings import RunConfig, flat

SETTINGS_FILE = "config.json"
LENGTH = "steps"  # minutes are not among the settings
_MISSING = object()


def write_settings(folder: Path, config: RunConfig) -> None:
    """Write the settings of a run to its folder."""
    write_bytes(folder / SETTINGS_FILE, (json.dumps(to_dict(config), indent=1) + "\n").encode())


def check_settings(folder: Path, config: RunConfig, allowed: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Compare settings with those that the run in `folder` was begun with, or last went on with.

    Args:
        folder: of the run.
        config: what it is to go on with.
        allowed: dotted names of settings, or of tables of them, that may be others.

    Returns:
        what changed, by name: [before, now].

    Raises:
        ConfigError: if another setting differs.
        ModelError: if the settings in the folder cannot be read, or are those of another version of the toolkit.
    """
    path = folder / SETTINGS_FILE
    try:
        before = flat(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from None
    now = flat(json.loads(json.dumps(to_dict(config))))
    names = tuple(allowed)
    changed: dict[str, list[Any]] = {}
    for name in now | before:
        was, is_ = before.get(name, _MISSING), now.get(name, _MISSING)
        if was == is_:
            continue
        if name != LENGTH and not any(name == n or name.startswith(f"{n}.") for n in names):
            raise ConfigError(f"{path}: {_difference(name, was, is_)}")
        changed[name] = [None if value is _MISSING else value for value in (was, is_)]
    return changed


def _difference(name: str, was: Any, is_: Any) -> str:
    if was is _MISSING:
        return (
            f"the run was begun without the setting {name}; a run of another version of the toolkit cannot be resumed"
        )
    if is_ is _MISSING:
        return f"the run was begun with {name} = {was!r}, a setting that no longer exists; it cannot be resumed"
    return f"the run has {name} = {was!r}, not {is_!r}; --change {name}=... changes it"
