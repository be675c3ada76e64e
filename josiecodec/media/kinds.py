"""What a media file is (audio, an image or a video): by its content, whatever its name says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ..errors import MediaError
from .image_open import HEAD, IMAGE_SUFFIXES, is_animation, opened
from .image_refused import refused_kind
from .signatures import is_image_start, is_media_start, is_raw_mjpeg, is_sound_start
from .suffixes import AUDIO_SUFFIXES, WRITABLE_VIDEO
from .video_file import VIDEO_SUFFIXES, holds_video

__all__ = [
    "AUDIO_SUFFIXES",
    "IMAGE_SUFFIXES",
    "MEDIA_SUFFIXES",
    "VIDEO_SUFFIXES",
    "WRITABLE_VIDEO",
    "kind_of",
    "skipped",
    "split_media",
]

MEDIA_SUFFIXES = AUDIO_SUFFIXES | IMAGE_SUFFIXES | VIDEO_SUFFIXES
Kind = Literal["audio", "image", "video"]

_QUIET = (".josie", ".tmp")  # this toolkit's own


def kind_of(path: str | Path) -> Kind:
    """What a media file is, by its content; by its suffix if there is no such file or nobody knows it.

    Animated images count as video, a song with a cover as audio, a film without pictures too.

    Raises:
        MediaError: if it is no media file.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        return "image" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else "audio"
    head = _head(path)
    if is_raw_mjpeg(suffix, head):
        return "video"
    if is_image_start(head) or refused_kind(head) or (suffix in IMAGE_SUFFIXES and not is_media_start(head)):
        return "video" if _is_animated(path) else "image"
    if is_sound_start(head):  # the most frequent ones, without opening them
        return "audio"
    try:
        return "video" if holds_video(path) else "audio"
    except MediaError:
        if suffix in AUDIO_SUFFIXES:  # libsndfile may know it
            return "audio"
        raise


def split_media(files: Iterable[Path], suffixes: frozenset[str]) -> tuple[list[Path], list[Path]]:
    """Sort files into those to be used and those that are skipped.

    Used is what has one of the suffixes, and what has no suffix of any media file but begins like one. Hidden files
    and `.josie` files are in neither list.
    """
    used, left = [], []
    for path in files:
        suffix = path.suffix.lower()
        if path.name.startswith(".") or suffix in _QUIET:
            continue
        if suffix in suffixes or (suffix not in MEDIA_SUFFIXES and _begins_like(path, suffixes)):
            used.append(path)
        else:
            left.append(path)
    return used, left


def skipped(left: Iterable[Path], wanted: str = "media") -> str | None:
    """A line on files of a folder that are not used, with their number and suffixes; None if there is none."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in left)
    if not counts:
        return None
    total = counts.total()
    shown = [f"{suffix} ({count})" for suffix, count in counts.most_common(8)]
    more = [] if len(counts) <= 8 else ["..."]
    return f"{total} file{'s' * (total != 1)} skipped, not {wanted}: {', '.join(shown + more)}"


def _begins_like(path: Path, suffixes: frozenset[str]) -> bool:
    try:
        head = _head(path)
    except (MediaError, OSError):
        return False
    kinds = IMAGE_SUFFIXES if is_image_start(head) else AUDIO_SUFFIXES | VIDEO_SUFFIXES
    return is_media_start(head) and bool(kinds & suffixes)


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror or error})") from None


def _is_animated(path: Path) -> bool:
    try:
        with opened(path) as image:
            return is_animation(image)
    except MediaError:  # told when it is read
        return False
