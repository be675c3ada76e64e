"""The media of a comparison: recordings, images and videos below a folder, each read when it is used."""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..errors import MediaError
from ..media.audio_reader import Reading, load_audio
from ..media.images import load_image
from ..media.kinds import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, kind_of, skipped, split_media
from ..media.video_reader import load_video

SAMPLE_RATE = 24000  # at which audio is compared


@dataclass(frozen=True)
class Item:
    """Something to be encoded.

    Attributes:
        kind: "audio", "image" or "video".
        folder, path: of its file; the path is relative to the folder.
        offset, duration: of a recording, in seconds; a duration of 0 means to the end.
        label: its content by the manifest (speech, music, env ...); else its kind.
        language: by the manifest.
        text: spoken, by the manifest.
        audio_track: of the file, from 1 on; None for the one that it flags as default, else the first.
    """

    kind: str
    folder: str
    path: str
    offset: float = 0.0
    duration: float = 0.0
    label: str = ""
    language: str = ""
    audio_track: int | None = None
    text: str = ""

    @property
    def name(self) -> str:
        """Its name in tables: its path, and its offset in the file if that is not 0."""
        return self.path + (f"@{self.offset:g}" if self.offset else "")

    @property
    def may_be_speech(self) -> bool:
        """Whether words are looked for, of whatever language."""
        return self.label in ("speech", "audio")

    @property
    def may_be_english_speech(self) -> bool:
        """Whether words are looked for: not in what a manifest says is something else, or another language."""
        return self.may_be_speech and self.language in ("", "en")

    def version_key(self) -> str:
        """A key that changes when the file does."""
        try:
            stat = (Path(self.folder) / self.path).stat()
        except OSError:
            return ""  # reported when it is read
        track = "" if self.audio_track is None else f" track {self.audio_track}"
        return f"{stat.st_size} {stat.st_mtime_ns} {self.offset:g} {self.duration:g}{track}"

    def load(self) -> tuple[Tensor, int | Fraction]:
        """Samples [T], an image [3, H, W] or a video [3, T, H, W]; and samples or pictures per second, 0 of an image.

        Raises:
            MediaError: if the file cannot be read.
        """
        path = Path(self.folder) / self.path
        if self.kind == "image":
            return load_image(path), Fraction(0)
        if self.kind == "video":
            return load_video(path)
        samples = load_audio(path, SAMPLE_RATE, Reading(self.audio_track)).samples[0].clamp(-1, 1)
        first = round(self.offset * SAMPLE_RATE)
        length = round(self.duration * SAMPLE_RATE) or len(samples)
        return samples[first : first + length].clone(), SAMPLE_RATE


def find_audio(folder: Path, max_files: int | None = None, audio_track: int | None = None) -> list[Item]:
    """Recordings of a folder: those of its `manifest.tsv` if there is one, else every file.

    Args:
        folder: of the recordings.
        max_files: use at most so many, evenly spaced.
        audio_track: number of the track to read, from 1 on.

    Raises:
        MediaError: if there is nothing, it is no folder, or the manifest cannot be read.
    """
    _check_folder(folder)
    manifest = folder / "manifest.tsv"
    items = []
    if manifest.exists():
        with open(manifest, newline="", encoding="utf-8") as f:
            for line, row in enumerate(csv.DictReader(f, delimiter="\t"), 2):
                try:
                    offset, duration = float(row.get("offset_s") or 0), float(row.get("duration_s") or 0)
                    path = row["path"]
                except (ValueError, KeyError):
                    raise MediaError(f"{manifest}, line {line}: path, offset_s or duration_s is missing") from None
                label, language = row.get("kind") or "speech", row.get("language") or ""
                items.append(
                    Item(
                        "audio",
                        str(folder),
                        path,
                        offset,
                        duration,
                        label,
                        language,
                        audio_track,
                        row.get("text") or "",
                    )
                )
    else:
        paths = _used(folder, AUDIO_SUFFIXES, "recordings")
        items = [
            Item("audio", str(folder), str(p.relative_to(folder)), label="audio", audio_track=audio_track)
            for p in paths
        ]
    if not items:
        raise MediaError(f"no recordings in {folder}")
    return evenly_spaced(items, max_files)


def find_vision(folder: Path, max_files: int | None = None) -> list[Item]:
    """Images and videos of a folder.

    Raises:
        MediaError: if there is nothing, or it is no folder.
    """
    _check_folder(folder)
    items = []
    for path in _used(folder, IMAGE_SUFFIXES | VIDEO_SUFFIXES, "pictures or video"):
        kind = _kind(path)
        items.append(Item(kind, str(folder), str(path.relative_to(folder)), label=kind))
    if not items:
        raise MediaError(f"no images or videos in {folder}")
    return evenly_spaced(items, max_files)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise MediaError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")


def _used(folder: Path, suffixes: frozenset[str], wanted: str) -> list[Path]:
    """Files of a folder that are compared; others are told of."""
    used, left = split_media(sorted(p for p in folder.rglob("*") if p.is_file()), suffixes)
    message = skipped(left, wanted)
    if message and used:
        warnings.warn(f"{folder}: {message}", stacklevel=3)
    return used


def _kind(path: Path) -> str:
    """Image or video, by what is in the file."""
    try:
        return "image" if kind_of(path) == "image" else "video"
    except MediaError:  # told when it is read
        return "image" if path.suffix.lower() in IMAGE_SUFFIXES else "video"


def evenly_spaced(items: list[Item], max_items: int | None) -> list[Item]:
    """At most `max_items` of them, evenly spaced."""
    if max_items is None or max_items >= len(items):
        return items
    return [items[i * len(items) // max_items] for i in range(max_items)]


def fit_length(decoded: Tensor, length: int) -> Tensor:
    """A decoded waveform [T], cut or zero-padded to `length`."""
    return torch.nn.functional.pad(decoded[:length], (0, max(0, length - len(decoded))))
