"""Codecs by name, and what a codec has to be able to do.

A name is `NAME`, `NAME@SETTING` or `NAME@SETTING+SETTING`, several of them separated by commas:

    jodio-24k@1+9+32, opus@6+12, codec2, hf:kyutai/mimi@8, python:mypackage.mymodule:MyCodec@3

A model of ours is its name, its folder or its repository. `hf:` names a repository of the Hugging Face hub; an EnCodec
or DAC there is run by the package transformers, and so is any codec after `transformers:`. `python:` names an object of
one's own: something callable that takes the setting (a string, empty without one) and gives an object with the methods
of `SoundCodec`, `PictureCodec` or `VideoCodec`.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..errors import CodecError
from ..hub.store import find
from . import sound_codecs, vision_codecs

KINDS = ("sound", "picture", "video")


class SoundCodec(Protocol):
    """A codec of sound. It resamples by itself if it works at another rate."""

    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        """Samples [T] in [-1, 1] -> what would be written to disk."""
        ...

    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        """The inverse; in step with the original, but maybe longer or shorter."""
        ...


class PictureCodec(Protocol):
    """A codec of still pictures."""

    def encode_picture(self, picture: Tensor) -> bytes:
        """RGB [3, H, W] in [0, 1] -> what would be written to disk."""
        ...

    def decode_picture(self, data: bytes) -> Tensor:
        """The inverse."""
        ...


class VideoCodec(Protocol):
    """A codec of videos without sound."""

    def encode_video(self, video: Tensor, per_second: Fraction) -> bytes:
        """RGB [3, T, H, W] in [0, 1] -> what would be written to disk."""
        ...

    def decode_video(self, data: bytes) -> Tensor:
        """The inverse."""
        ...


# A codec may also have `payload(data) -> int`, the bytes of `data` without their container.

NEEDS = {"sound": "decode", "picture": "decode_picture", "video": "decode_video"}


def expand(text: str, kinds: tuple[str, ...]) -> list[str]:
    """Names with one setting each, those that are not given being the usual ones of a codec.

    Raises:
        CodecError: if there is nothing, or a setting is empty.
    """
    out = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, at, settings = split(part)
        chosen = settings.split("+") if at else list(_known(kinds).get(name, (None, ("",)))[1])
        if not name or (at and "" in chosen):
            raise CodecError(f"{part!r} is no codec: NAME or NAME@SETTING+SETTING")
        out += [f"{name}@{setting}" if setting else name for setting in chosen]
    if not out:
        raise CodecError("no codec is named")
    return list(dict.fromkeys(out))


def build(name: str, kinds: tuple[str, ...], device: str = "cpu") -> Any:
    """The codec of a name with at most one setting.

    Raises:
        CodecError: if there is none of that name, it cannot be used here, or is not for these kinds of files.
    """
    base, _, setting = split(name)
    known = _known(kinds)
    try:
        if base in known:
            codec = known[base][0](setting)
        elif base.startswith("transformers:") and "sound" in kinds:
            codec = sound_codecs.Transformers(base.partition(":")[2], setting, device)
        elif base.startswith("hf:") and "sound" in kinds:
            codec = sound_codecs.of_repository(base, setting, device)
        elif base.startswith("python:"):
            codec = _own(base[7:], setting)
        else:
            module = sound_codecs if "sound" in kinds else vision_codecs
            codec = module.Ours(base, setting, device)
    except CodecError:
        raise
    except (ValueError, OverflowError):
        raise CodecError(f"{name}: {setting!r} is no setting of {base}") from None
    if not any(hasattr(codec, NEEDS[kind]) for kind in kinds):
        raise CodecError(f"{name}: no codec for {' or '.join(kinds)}")
    return codec


def _known(kinds: tuple[str, ...]) -> dict[str, tuple[Callable[[str], Any], tuple[str, ...]]]:
    """Codecs of others by name, with their usual settings."""
    return sound_codecs.KNOWN if "sound" in kinds else vision_codecs.KNOWN


def _own(where: str, setting: str) -> Any:
    """A codec of the user's; what is named makes it from its setting, and may fail as it likes."""
    module, _, name = where.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(setting)
    except Exception as error:
        raise CodecError(f"python:{where}: {type(error).__name__}: {error}") from None


def split(name: str) -> tuple[str, str, str]:
    """NAME@SETTING as ("NAME", "@", "SETTING"), both empty if there is none; the path of a model may have an @."""
    return (name, "", "") if Path(name).is_dir() else _parted(name)


def _parted(name: str) -> tuple[str, str, str]:
    base, at, setting = name.rpartition("@")
    return (base, at, setting) if at else (name, "", "")


def mark(name: str) -> str:
    """What of a codec can change while its name stays: its model's files. Empty where nothing is known to."""
    base = split(name)[0]
    if base.startswith(("python:", "hf:", "transformers:")):
        return ""
    try:
        place = find(base)
    except CodecError:
        return ""
    files = sorted(place.glob("*")) if place.is_dir() else [place]
    return hashlib.sha256(repr([(f.name, *_stamp(f)) for f in files]).encode()).hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
