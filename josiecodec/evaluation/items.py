"""What is judged: recordings, pictures and videos below a folder, each read when its turn comes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..errors import MediaError
from ..media.audio_reader import AUDIO_SUFFIXES, load_audio
from ..media.images import IMAGE_SUFFIXES, load_image
from ..media.video_reader import VIDEO_SUFFIXES, load_video

RATE = 24000  # at which recordings are compared


@dataclass(frozen=True)
class Item:
    """Something to be encoded.

    Attributes:
        kind: "sound", "picture" or "video".
        folder, path: of its file; the path is relative to the folder.
        offset, duration: of a recording, in seconds; a duration of 0 means to the end.
        label: what it is said to be (speech, music, env ...).
        language: as the manifest says.
    """

    kind: str
    folder: str
    path: str
    offset: float = 0.0
    duration: float = 0.0
    label: str = ""
    language: str = ""

    @property
    def name(self) -> str:
        """What it is called in tables: its path, and where in the file it begins if that is not at 0."""
        return self.path + (f"@{self.offset:g}" if self.offset else "")

    def stamp(self) -> str:
        """Something that changes when what is judged does."""
        try:
            stat = (Path(self.folder) / self.path).stat()
        except OSError:
            return ""  # it will fail when its turn comes
        return f"{stat.st_size} {stat.st_mtime_ns} {self.offset:g} {self.duration:g}"

    def sound(self) -> Tensor:
        """The recording as [T] at `RATE`."""
        samples = load_audio(Path(self.folder) / self.path, RATE).samples[0].clamp(-1, 1)
        first = round(self.offset * RATE)
        length = round(self.duration * RATE) or len(samples)
        return samples[first : first + length].clone()

    def picture(self) -> Tensor:
        """The picture [3, H, W]."""
        return load_image(Path(self.folder) / self.path)

    def video(self) -> tuple[Tensor, Fraction]:
        """The video [3, T, H, W] and its pictures per second."""
        return load_video(Path(self.folder) / self.path)


def find_sound(folder: Path, most: int | None = None) -> list[Item]:
    """Recordings of a folder: those of its `manifest.tsv` if there is one, else every file.

    Raises:
        MediaError: if there is nothing, or the manifest cannot be read.
    """
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
                items.append(Item("sound", str(folder), path, offset, duration, label, language))
    else:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
        items = [Item("sound", str(folder), str(p.relative_to(folder)), label="sound") for p in found]
    if not items:
        raise MediaError(f"no recordings in {folder}")
    return spread(items, most)


def find_vision(folder: Path, most: int | None = None) -> list[Item]:
    """Pictures and videos of a folder.

    Raises:
        MediaError: if there is nothing.
    """
    items = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            kind = "picture" if suffix in IMAGE_SUFFIXES else "video"
            items.append(Item(kind, str(folder), str(path.relative_to(folder)), label=kind))
    if not items:
        raise MediaError(f"no pictures in {folder}")
    return spread(items, most)


def spread(items: list[Item], most: int | None) -> list[Item]:
    """At most `most` of them, evenly chosen."""
    if most is None or most >= len(items):
        return items
    return [items[i * len(items) // most] for i in range(most)]


def fitted(decoded: Tensor, length: int) -> Tensor:
    """A decoded recording [T] cut or filled up with silence to `length`."""
    return torch.nn.functional.pad(decoded[:length], (0, max(0, length - len(decoded))))
