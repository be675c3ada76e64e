"""The models that a command needs: checked by name before torch is imported, and loaded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import use_device

if TYPE_CHECKING:
    from josiecodec import Rate
    from josiecodec.runtime.choose import Runtime


class Models:
    """The models needed so far, each loaded once.

    Args:
        names: of models, or their folders, to be preferred; empty for what came with the package.
        device: where to put them.
        threads: of the CPU; None for as many as there are.
        runtime: "auto", "torch" or "onnx", see `josiecodec.runtime.choose`.
    """

    DEFAULTS = {"audio": "jodio-24k-v4", "vision": "jovio-16-v7"}  # noqa: RUF012

    def __init__(self, names: tuple[str, ...], device: str, threads: int | None = None, runtime: Runtime = "auto"):
        self.device, self.threads, self.runtime = device, threads, runtime
        self._loaded: dict[str, Any] = {}
        self._light: dict[str, Any] = {}  # without torch
        self._names: dict[str, str] = {}  # by kind
        for name, kind in ((name, kind_of_model(name)) for name in names):
            self._names[kind or self._load(name).kind] = name

    def has(self, kind: str) -> bool:
        """Whether there is a model of a kind, "audio" or "vision"."""
        from josiecodec.shipped import available

        return kind in self._names or self.DEFAULTS[kind] in available()

    def to_encode_audio(self, rate: Rate) -> Any:
        """The model to encode audio with at a rate, without torch where that can be done."""
        from josiecodec.runtime.choose import levels_reason

        name = self._names.get("audio", self.DEFAULTS["audio"])

        def reason(codec: Any) -> str | None:
            levels = codec.n_q if rate.kbps is not None else codec.config.useful_levels(codec.levels(rate.n_q))
            return levels_reason(codec, levels)

        return self._without_torch(name, reason) or self._load(name)

    def to_decode_audio(self, info: Any, n_q: int | None, salvage: bool, source: Any) -> Any:
        """The model that made a stream of audio of a file, to decode up to `n_q` levels of it.

        As `to_encode_audio` without torch where that can be done.
        """
        from josiecodec.coding.audio_piece import is_marked
        from josiecodec.runtime.choose import better_with_torch, levels_reason

        def reason(codec: Any) -> str | None:
            levels = min(info.levels, n_q or info.levels)
            better = self.runtime == "auto" and better_with_torch(
                info, levels, codec.base_levels, salvage, lambda: is_marked(source)
            )
            if better:
                return f"levels above {codec.base_levels} of this file are better with torch"
            return levels_reason(codec, levels)

        return self._without_torch(self._maker(info), reason) or self.to_decode(info)

    def to_encode_picture(self) -> Any:
        """The model to encode still pictures with, without torch where that can be done."""
        name = self._names.get("vision", self.DEFAULTS["vision"])
        return self._pictures_without_torch(name) or self._load(name)

    def to_encode_video(self, rate: Rate, source: Any) -> Any:
        """The model to encode the pictures of a video file with, without torch if they are coded with motion."""
        from josiecodec.coding.motion_codec import WITHOUT_MOTION, moves
        from josiecodec.media.video_reader import picture_size

        def reason(codec: Any) -> str | None:
            return None if rate.n_q is None and moves(codec, rate, picture_size(source)) else WITHOUT_MOTION

        name = self._names.get("vision", self.DEFAULTS["vision"])
        return self._pictures_without_torch(name, reason) or self._load(name)

    def to_encode_sound(self) -> Any:
        """The model to encode the sound of videos with, without torch where that can be done."""
        from josiecodec import Rate

        return self.to_encode_audio(Rate())

    def to_decode_picture(self, info: Any) -> Any:
        """The model that made a stream of one picture; as `to_encode_picture`."""
        return self._pictures_without_torch(self._maker(info)) or self.to_decode(info)

    def to_decode_video(self, info: Any, source: Any) -> Any:
        """The model that made a stream of a video of a file; as `to_encode_picture` if it is coded with motion."""
        from josiecodec.coding.video_decoder import WITHOUT_MOTION, has_motion

        plain = None if has_motion(source) else WITHOUT_MOTION
        return self._pictures_without_torch(self._maker(info), lambda _: plain) or self.to_decode(info)

    def to_decode(self, info: Any) -> Any:
        """The model that made a stream."""
        return self._load(self._maker(info))

    def _maker(self, info: Any) -> str | Path:
        from josiecodec.shipped import find_fingerprint

        return self._names.get(info.kind) or find_fingerprint(info.fingerprint, info.model)

    def _without_torch(self, name: str | Path, reason: Callable[[Any], str | None]) -> Any:
        """The codec without torch if `reason` gives none against it; None if torch is to do it."""
        from josiecodec.runtime.choose import decide, has_onnx, model_reason
        from josiecodec.shipped import find_local

        if self.runtime == "torch" or (self.runtime == "auto" and not has_onnx()) or self.device != "cpu":
            decide(self.runtime, self.device, None)
            return None
        place = find_local(name)
        why = f"{name} needs torch" if place is None else model_reason(place)
        if why is None and place is not None:
            from josiecodec.runtime.audio_codec import AudioCodec

            codec = self._light.get(str(place)) or AudioCodec(place, self.threads)
            self._light[str(place)] = codec
            why = reason(codec)
        return self._light[str(place)] if decide(self.runtime, self.device, why) else None

    def _pictures_without_torch(self, name: str | Path, reason: Callable[[Any], str | None] = lambda _: None) -> Any:
        """The codec of pictures without torch if `reason` gives none against it; None if torch is to do it."""
        from josiecodec.runtime.choose import decide, has_onnx, picture_reason
        from josiecodec.shipped import find_local

        if self.runtime == "torch" or (self.runtime == "auto" and not has_onnx()) or self.device != "cpu":
            decide(self.runtime, self.device, None)
            return None
        place = find_local(name)
        why = f"{name} needs torch" if place is None else picture_reason(place)
        if why is None and place is not None:
            from josiecodec.runtime.picture_codec import PictureCodec

            codec = self._light.get(str(place)) or PictureCodec(place, self.threads)
            self._light[str(place)] = codec
            why = reason(codec)
        return self._light[str(place)] if decide(self.runtime, self.device, why) else None

    def _load(self, name: str | Path) -> Any:
        import josiecodec
        from josiecodec.runtime.choose import decide

        key = str(name)
        if key not in self._loaded:
            decide("torch" if self.runtime == "auto" else self.runtime, self.device, f"{Path(key).name} needs torch")
            self._loaded[key] = josiecodec.load(name, use_device(self.device, self.threads))
        return self._loaded[key]


def load_any(name: str | Path, device: str, threads: int | None = None) -> Any:
    """A model on a device; where torch is not installed one that does without.

    Raises:
        CodecError: if it needs torch, which is not installed.
    """
    from josiecodec.runtime.choose import decide, has_torch

    if has_torch():
        import josiecodec

        return josiecodec.load(name, use_device(device, threads))
    decide("auto", device, None)
    from josiecodec.runtime.light_models import light_model

    return light_model(name, threads)


def kind_of_model(name: str) -> str | None:
    """What a model is for, "audio" or "vision"; None if that is seen only when it is loaded.

    Raises:
        ModelError: if there is no such model.
    """
    from josiecodec.shipped import find_local, model_kind

    place = find_local(name)
    return None if place is None else model_kind(place)


def given_kinds(names: tuple[str, ...]) -> dict[str, str]:
    """Kinds ("audio", "vision") of the models that are named, with their names; without loading anything.

    Raises:
        ModelError: if there is no such model.
        click.UsageError: if two are of one kind.
    """
    kinds: dict[str, str] = {}
    for name in names:
        kind = kind_of_model(name)
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
