"""The input of tokenization: media files of a folder or glob, or lines of a JSONL manifest."""

from __future__ import annotations

import glob
import gzip
import itertools
import json
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..datasets.verify import MAX_SECONDS
from ..errors import CodecError, MediaError
from ..media.kinds import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, skipped, split_media
from .cut_lines import our_keys

KINDS = {"audio": AUDIO_SUFFIXES | VIDEO_SUFFIXES, "vision": IMAGE_SUFFIXES | VIDEO_SUFFIXES}
COPIED_KEYS = ("text", "words", "speaker", "group", "language")  # of a manifest, copied to the clip
_MANIFESTS = (".jsonl", ".json", ".jsonl.gz")


@dataclass(frozen=True)
class Item:
    """A clip to be encoded.

    Attributes:
        id: unique in a dataset.
        source: its file, as the folder or manifest names it.
        path: of the file.
        start, duration: of the part to be encoded, in seconds; a duration of None goes to the end of the file.
        channel: of the audio, from 0 on; None for the mean of all.
        audio_track: of the file, from 1 on; None for the one that it flags as default, else the first.
        known: further metadata.
        size, changed: bytes of the file, and its modification time (ns); 0 if there is none.
    """

    id: str
    source: str
    path: str
    start: float = 0.0
    duration: float | None = None
    channel: int | None = None
    known: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    changed: int = 0
    audio_track: int | None = None

    @property
    def weight(self) -> int:
        """Its approximate size in bytes, for shards of even size."""
        return self.size if self.duration is None else min(self.size, round(48000 * self.duration))

    def meta(self, measured: dict[str, Any]) -> dict[str, Any]:
        """Its metadata in the dataset; `measured` are those that come from reading and encoding it."""
        more: dict[str, Any] = {} if self.channel is None else {"channel": self.channel}
        if self.audio_track is not None:
            more["audio_track"] = self.audio_track
        if self.start or self.duration is not None:
            more["part"] = [self.start, self.duration]  # as requested; the file may end earlier
        return {"id": self.id, "source": self.source, "start": self.start, **measured, **more, **self.known}


def find_items(source: str | Path, kind: str | None = None) -> tuple[str, list[Item]]:
    """The clips of a folder, a glob or a JSONL manifest, sorted by id.

    Args:
        source: folder (searched recursively), pattern such as "talks/**/*.wav", media file, or manifest.
        kind: "audio" or "vision"; None for audio if there is any audio file, else vision. The audio of videos counts.

    Returns:
        the kind, and the clips.

    Raises:
        CodecError: if there is nothing of that kind, or the manifest is wrong.
    """
    path = Path(source)
    if path.name.lower().endswith(_MANIFESTS) and path.is_file():
        items = list(_of_manifest(path))  # one by one: then files with unknown suffixes are tried as well
        suffixes = {_suffix(i) for i in items}
        kind = kind or _usual_kind(suffixes)
        wanted = KINDS[kind] | (suffixes - KINDS["audio"] - KINDS["vision"])
        items = [i for i in items if _suffix(i) in wanted]
    elif path.is_file():
        items = [_of_file(path.name, path)]
        kind = kind or _usual_kind({_suffix(items[0])})
    else:
        files = _files(source)
        kind = kind or _usual_kind({p.suffix.lower() for _, p in files})
        used, left = split_media((p for _, p in files), KINDS[kind])
        message = skipped(left, "pictures or video" if kind == "vision" else "audio or video")
        if message:
            warnings.warn(f"{source}: {message}", stacklevel=2)
        chosen = set(used)
        items = [_of_file(name, p) for name, p in files if p in chosen]
    items = sorted(items, key=lambda i: i.id)
    if not items:
        raise MediaError(f"{source}: nothing to tokenize ({kind})")
    for before, after in itertools.pairwise(items):
        if before.id == after.id:
            raise CodecError(f"{source}: two clips have the id {after.id!r}")
    return kind, items


def _files(source: str | Path) -> list[tuple[str, Path]]:
    """Names and paths of the files of a folder or pattern."""
    path = Path(source)
    if path.is_dir():
        return [(p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file()]
    if not glob.has_magic(str(source)):
        raise MediaError(f"{source}: no such file or folder")
    root = _root(str(source))
    matches = (Path(p) for p in glob.glob(str(source), recursive=True))
    return [(p.relative_to(root).as_posix(), p) for p in matches if p.is_file()]


def _usual_kind(suffixes: set[str]) -> str:
    """What files with such suffixes are tokenized as if nobody says."""
    return "vision" if suffixes & KINDS["vision"] and not suffixes & AUDIO_SUFFIXES else "audio"


def _suffix(item: Item) -> str:
    return Path(item.path).suffix.lower()


def _root(pattern: str) -> Path:
    """The part of a pattern before its first wildcard: the folder that all its files lie below."""
    parts = Path(pattern).parts[:-1]
    literal = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:literal])


def printable(name: str) -> str:
    r"""A file's name as valid Unicode: bytes that are not UTF-8 become \xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _of_file(name: str, path: Path, **more: Any) -> Item:
    name = printable(name)
    try:
        stat = path.stat()
    except OSError:  # listed among the errors when it is read
        return Item(more.pop("id", name), name, str(path), **more)
    return Item(more.pop("id", name), name, str(path), **more, size=stat.st_size, changed=stat.st_mtime_ns)


def _of_manifest(path: Path) -> Iterator[Item]:
    return (item for _, item in manifest_lines(path))


def manifest_lines(path: Path) -> Iterator[tuple[dict[str, Any], Item]]:
    """The lines of a manifest as they are, each with its clip.

    Raises:
        CodecError: if it cannot be read.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
        lines = data.decode("utf-8").split("\n")  # no other line ends: texts may hold such characters
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CodecError(f"{path}: cannot be read ({error})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise CodecError(f"{path}, line {number}: not a JSON object")
        try:
            yield values, _of_line(path.parent, our_keys(values))
        except ValueError as error:
            raise CodecError(f"{path}, line {number}: {error}") from None


def _of_line(folder: Path, values: dict[str, Any]) -> Item:
    source = values.pop("path", None)
    if not isinstance(source, str) or not source:
        raise ValueError("no path")
    start, duration = seconds(values.pop("start", None), "start"), seconds(values.pop("duration", None), "duration")
    try:
        json.dumps([source, values], ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise ValueError("it holds NaN, Infinity or half a surrogate pair, which cannot be stored") from None
    channel = values.pop("channel", None)
    if channel is not None and (type(channel) is not int or channel < 0):
        raise ValueError(f"channel {channel!r} is not a number from 0 on")
    track = values.pop("audio_track", None)
    if track is not None and (type(track) is not int or track < 1):
        raise ValueError(f"audio_track {track!r} is not a number from 1 on")
    name = source + ("" if start is None else f"#{start!r}") + ("" if channel is None else f"@{channel}")
    name += "" if track is None else f"@track{track}"
    name = values.pop("id", name)
    if not isinstance(name, str) or not name:
        raise ValueError(f"id {name!r} is not a name")
    known = {key: values.pop(key) for key in COPIED_KEYS if values.get(key) is not None}
    if values:
        known["extra"] = values
    part = {} if start is None else {"start": start, "duration": duration}  # else it is the length of the whole file
    return _of_file(source, folder / source, id=name, channel=channel, audio_track=track, known=known, **part)


def seconds(value: object, name: str) -> float | None:
    """A time in a manifest as seconds; None stays None.

    Raises:
        ValueError: if it is not a number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < MAX_SECONDS:
        raise ValueError(f"{name} {value!r} is not a number of seconds")
    return float(value)
