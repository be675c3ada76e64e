"""The models that a command needs: checked by name before torch is imported, and loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class Models:
    """The models needed so far, each loaded once.

    Args:
        names: of models, or their folders, to be preferred; empty for what came with the package.
        device: where to put them.
    """

    DEFAULTS = {"audio": "jodio-24k-v3", "vision": "jovio-16-v4"}  # noqa: RUF012

    def __init__(self, names: tuple[str, ...], device: str):
        self.device = device
        self._loaded: dict[str, Any] = {}
        self._chosen = {}
        for name in names:
            codec = self._load(name)
            self._chosen[codec.kind] = codec

    def has(self, kind: str) -> bool:
        """Whether there is a model of a kind, "audio" or "vision"."""
        from josiecodec.shipped import available

        return kind in self._chosen or self.DEFAULTS[kind] in available()

    def to_encode(self, kind: str) -> Any:
        """The model to encode "audio" or "vision" with."""
        return self._chosen.get(kind) or self._load(self.DEFAULTS[kind])

    def to_decode(self, info: Any) -> Any:
        """The model that made a stream."""
        from josiecodec.shipped import find_fingerprint

        chosen = self._chosen.get(info.kind)
        return chosen or self._load(find_fingerprint(info.fingerprint, info.model))

    def _load(self, name: str | Path) -> Any:
        import josiecodec

        key = str(name)
        if key not in self._loaded:
            self._loaded[key] = josiecodec.load(name, self.device)
        return self._loaded[key]


def given_kinds(names: tuple[str, ...]) -> dict[str, str]:
    """Kinds ("audio", "vision") of the models that are named, with their names; without loading anything.

    Raises:
        ModelError: if there is no such model.
        click.UsageError: if two are of one kind.
    """
    from josiecodec.shipped import find_local, model_kind

    kinds: dict[str, str] = {}
    for name in names:
        place = find_local(name)
        kind = None if place is None else model_kind(place)
        if kind is None:  # of the hub, or damaged: seen when it is loaded
            continue
        if kind in kinds:
            raise click.UsageError(f"--model {kinds[kind]} and --model {name} are both for {_media_of(kind)}")
        kinds[kind] = name
    return kinds


def check_used(given: dict[str, str], kinds: set[str], what: str) -> None:
    """Make sure that a model that was named is of use; another one would be used in its place otherwise.

    Args:
        given: as `given_kinds`.
        kinds: "audio", "vision" or both, that are needed.
        what: needs them.
    """
    if kinds.intersection(given):
        return  # of several models those are used that are needed
    for kind, name in given.items():
        if kind not in kinds:
            other = "" if not kinds else f", and there is no {_media_of(kind)} in {what}"
            raise click.UsageError(f"--model {name} is for {_media_of(kind)}{other}")


def _media_of(kind: str) -> str:
    return "audio" if kind == "audio" else "images and video"
