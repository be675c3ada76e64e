"""What there is to tokenize: the media files of a folder or glob, or the lines of a JSONL manifest."""

from __future__ import annotations

import glob
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..datasets.verify import MOST_SECONDS
from ..errors import CodecError, MediaError
from ..media.audio_reader import AUDIO_SUFFIXES
from ..media.images import IMAGE_SUFFIXES
from ..media.video_reader import VIDEO_SUFFIXES

KINDS = {"audio": AUDIO_SUFFIXES | VIDEO_SUFFIXES, "visual": IMAGE_SUFFIXES | VIDEO_SUFFIXES}
KEPT = ("text", "words", "speaker", "group", "language")  # keys of a manifest that a clip has, too
_OTHER_NAMES = {"audio_filepath": "path", "offset": "start", "lang": "language"}


@dataclass(frozen=True)
class Item:
    """A clip to be made.

    Attributes:
        id: its name, of which there is one in a dataset.
        source: its file, as the folder or manifest names it.
        path: where that is.
        start, duration: of the part of the file that is meant, in seconds; a duration of None goes to its end.
        channel: of the sound, from 0 on; None for the mean of all.
        known: what else is known of it.
        size, changed: bytes of the file, and when it was written last (ns); 0 if there is none.
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

    @property
    def weight(self) -> int:
        """About how many bytes of sound it is, for shards of even size."""
        return self.size if self.duration is None else min(self.size, round(48000 * self.duration))

    def meta(self, found: dict[str, Any]) -> dict[str, Any]:
        """Its line of the dataset; `found` is what reading and encoding it told."""
        more: dict[str, Any] = {} if self.channel is None else {"channel": self.channel}
        if self.start or self.duration is not None:
            more["part"] = [self.start, self.duration]  # as it was asked for; what was found can be shorter
        return {"id": self.id, "source": self.source, "start": self.start, **found, **more, **self.known}


def find_items(source: str | Path, kind: str | None = None) -> tuple[str, list[Item]]:
    """The clips of a folder, a glob or a JSONL manifest, in an order that depends on their names alone.

    Args:
        source: folder (searched to its bottom), pattern such as "talks/**/*.wav", media file, or manifest.
        kind: "audio" or "visual"; None for audio if there is any, else visual. The sound of films is audio.

    Returns:
        the kind, and the clips.

    Raises:
        CodecError: if there is nothing of that kind, or the manifest is wrong.
    """
    path = Path(source)
    named = False  # each by itself, so that not even one that looks like no medium is left out
    if path.is_dir():
        files = ((p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file())
        items = [_of_file(name, p) for name, p in files]
    elif path.suffix.lower() in (".jsonl", ".json") and path.is_file():
        items, named = list(_of_manifest(path)), True
    elif path.is_file():
        items = [_of_file(path.name, path)]
    elif glob.has_magic(str(source)):
        root = _root(str(source))
        found = (Path(p) for p in glob.glob(str(source), recursive=True))
        items = [_of_file(p.relative_to(root).as_posix(), p) for p in found if p.is_file()]
    else:
        raise MediaError(f"{source}: no such file or folder")
    suffixes = {_suffix(i) for i in items}
    kind = kind or ("visual" if suffixes & KINDS["visual"] and not suffixes & AUDIO_SUFFIXES else "audio")
    wanted = KINDS[kind] | (suffixes - KINDS["audio"] - KINDS["visual"] if named else set())
    items = sorted((i for i in items if _suffix(i) in wanted), key=lambda i: i.id)
    if not items:
        raise MediaError(f"{source}: nothing to tokenize ({kind})")
    for before, after in itertools.pairwise(items):
        if before.id == after.id:
            raise CodecError(f"{source}: two clips are called {after.id!r}")
    return kind, items


def _suffix(item: Item) -> str:
    return Path(item.path).suffix.lower()


def _root(pattern: str) -> Path:
    """The folder that all files of a pattern lie below."""
    parts = Path(pattern).parts[:-1]
    plain = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:plain])


def printable(name: str) -> str:
    r"""A file's name as it can be stored: bytes of it that are not UTF-8 are written as \xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _of_file(name: str, path: Path, **more: Any) -> Item:
    name = printable(name)
    try:
        stat = path.stat()
    except OSError:  # it will be listed among the errors when its turn comes
        return Item(more.pop("id", name), name, str(path), **more)
    return Item(more.pop("id", name), name, str(path), **more, size=stat.st_size, changed=stat.st_mtime_ns)


def _of_manifest(path: Path) -> Iterator[Item]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # no other line ends: texts may hold such characters
    except (OSError, UnicodeDecodeError) as error:
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
            yield _of_line(path.parent, {_OTHER_NAMES.get(key) or key: value for key, value in values.items()})
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
        raise ValueError(f"channel {channel!r} is no number from 0 on")
    name = source + ("" if start is None else f"#{start!r}") + ("" if channel is None else f"@{channel}")
    name = values.pop("id", name)
    if not isinstance(name, str) or not name:
        raise ValueError(f"id {name!r} is no name")
    known = {key: values.pop(key) for key in KEPT if values.get(key) is not None}
    if values:
        known["extra"] = values
    part = {} if start is None else {"start": start, "duration": duration}  # else the length of the whole file
    return _of_file(source, folder / source, id=name, channel=channel, known=known, **part)


def seconds(value: object, name: str) -> float | None:
    """A time of a manifest; None stays None.

    Raises:
        ValueError: if it is no number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < MOST_SECONDS:
        raise ValueError(f"{name} {value!r} is no number of seconds")
    return float(value)
