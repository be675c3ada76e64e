"""Codecs by name, and the interface that a codec under comparison has.

A name is `NAME`, `NAME@SETTING` or `NAME@SETTING+SETTING`; several are separated by commas:

    jodio-24k@1+9+32, opus@6+12, codec2, hf:kyutai/mimi@8, python:mypackage.mymodule:MyCodec@3

A model of josiecodec is given by its name, folder or repository. `hf:` names a repository of the Hugging Face hub; what
the package transformers has a codec for is run by that, and so is any codec after `transformers:`. `snac:`, `dac:` and
`encodec:` are packages of their own, `compressai:` one for pictures, each with the path of weights. `python:` names an
object of one's own: a callable that takes the setting (a string, empty if there is none) and returns a `Codec`.
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
from . import audio_codecs, compressai_codec, libopus_codec, package_codecs, vision_codecs

KINDS = ("audio", "image", "video")
PACKAGED = (*(f"{name}:" for name in package_codecs.PACKAGES), compressai_codec.PREFIX, libopus_codec.PREFIX)
AUDIO, VISION = ("audio",), ("image", "video")
Factory = Callable[[str], Any]  # from a setting to a `Codec`


class Codec(Protocol):
    """A codec under comparison: the same two methods for every kind of media.

    Attributes:
        kinds: those that it can encode, of `KINDS`. A codec without this attribute is one of audio.

    It may also have `payload_bytes(data) -> int`, the size of `data` without its container, and `prepare(media, rate)`,
    which is called before the time of `encode` is taken.
    """

    kinds: tuple[str, ...]

    def encode(self, media: Tensor, rate: int | Fraction) -> bytes:
        """What would be written to disk.

        Args:
            media: samples [T] in [-1, 1], an RGB image [3, H, W] in [0, 1], or a video [3, T, H, W] without audio.
            rate: samples or pictures per second; 0 of an image. A codec that works at another sample rate resamples.
        """
        ...

    def decode(self, data: bytes, rate: int | Fraction) -> Tensor:
        """The inverse, with the same `rate`; audio may be longer or shorter, or late: see `alignment`."""
        ...


def expand(text: str, kinds: tuple[str, ...]) -> list[str]:
    """Names with one setting each; a codec without settings gets its default ones.

    Raises:
        CodecError: if there is no name, or a setting is empty.
    """
    out = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, at, settings = split(part)
        chosen = settings.split("+") if at else list(_known(kinds).get(name, (None, ("",)))[1])
        if not name or (at and "" in chosen):
            raise CodecError(f"{part!r} is not a codec: NAME or NAME@SETTING+SETTING")
        out += [f"{name}@{setting}" if setting else name for setting in chosen]
    if not out:
        raise CodecError("no codec is named")
    return list(dict.fromkeys(out))


def build(name: str, kinds: tuple[str, ...], device: str = "cpu") -> Any:
    """The `Codec` of a name with at most one setting.

    Raises:
        CodecError: if there is none of that name, it cannot be used here, or is not for these kinds of media.
    """
    base, _, setting = split(name)
    known = _known(kinds)
    try:
        if base in known:
            codec = known[base][0](setting)
        elif base.startswith("transformers:") and "audio" in kinds:
            codec = audio_codecs.transformers_codec(base.partition(":")[2], setting, device)
        elif base.startswith("hf:") and "audio" in kinds:
            codec = audio_codecs.from_repository(base, setting, device)
        elif base.startswith(PACKAGED):
            codec = _of_package(base, setting, device)
        elif base.startswith("python:"):
            codec = _from_python(base[7:], setting)
        elif "audio" in kinds:
            codec = audio_codecs.JodioCodec(base, setting, device)
        else:
            codec = vision_codecs.JovioCodec(base, setting, device)
    except CodecError:
        raise
    except (ValueError, OverflowError):
        raise CodecError(f"{name}: {setting!r} is not a setting of {base}") from None
    if not supported(codec, kinds):
        raise CodecError(f"{name}: not a codec for {' or '.join(kinds)}")
    return codec


def supported(codec: Any, kinds: tuple[str, ...]) -> list[str]:
    """Those of `kinds` that a codec can encode."""
    if not hasattr(codec, "encode") or not hasattr(codec, "decode"):
        return []
    return [kind for kind in kinds if kind in getattr(codec, "kinds", AUDIO)]


def _known(kinds: tuple[str, ...]) -> dict[str, tuple[Factory, tuple[str, ...]]]:
    """Codecs that are not ours, by name, with their default settings."""
    return audio_codecs.KNOWN if "audio" in kinds else vision_codecs.KNOWN


def known_names(kinds: tuple[str, ...]) -> list[str]:
    """Names of the codecs that are not ours."""
    return list(_known(kinds))


def _of_package(base: str, setting: str, device: str) -> Any:
    if base.startswith(compressai_codec.PREFIX):
        return compressai_codec.CompressAi(base, setting, device)
    if base.startswith(libopus_codec.PREFIX):
        return libopus_codec.LibOpus(base, setting, device)
    return package_codecs.package_codec(base, setting, device)


def _from_python(path: str, setting: str) -> Any:
    """A codec of the user's: what is named makes it from its setting, and may fail in any way."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(setting)
    except Exception as error:
        raise CodecError(f"python:{path}: {type(error).__name__}: {error}") from None


def split(name: str) -> tuple[str, str, str]:
    """NAME@SETTING as ("NAME", "@", "SETTING"), both empty if there is none; the path of a model may have an @."""
    if Path(name).is_dir():
        return name, "", ""
    base, at, setting = name.rpartition("@")
    return (base, at, setting) if at else (name, "", "")


def version_key(name: str) -> str:
    """A key that changes when the files of a codec's model change; empty for codecs without such files."""
    base = split(name)[0]
    if base.startswith(("python:", "hf:", "transformers:")):
        return ""
    try:
        path = Path(base.partition(":")[2]) if base.startswith(PACKAGED) else find(base)
    except CodecError:
        return ""
    if not path.exists():
        return ""
    files = sorted(path.glob("*")) if path.is_dir() else [path]
    states = [(f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in files]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:16]
