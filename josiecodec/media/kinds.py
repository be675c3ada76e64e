"""What a media file is (audio, an image or a video): by its content, whatever its name says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ..errors import MediaError
from .audio_reader import AUDIO_SUFFIXES
from .image_open import HEAD, IMAGE_SUFFIXES, is_animation, is_heif, is_jxl, opened
from .video_file import VIDEO_SUFFIXES, holds_video

__all__ = ["AUDIO_SUFFIXES", "IMAGE_SUFFIXES", "MEDIA_SUFFIXES", "VIDEO_SUFFIXES", "kind_of", "skipped", "split_media"]

MEDIA_SUFFIXES = AUDIO_SUFFIXES | IMAGE_SUFFIXES | VIDEO_SUFFIXES
Kind = Literal["audio", "image", "video"]

_IMAGE_STARTS = tuple(
    b"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF87a|GIF89a|II*\x00|MM\x00*|II+\x00|MM\x00+|\x00\x00\x00\x0cjP  \r\n\x87\n|"
    b"\xff\x4f\xff\x51|8BPS|qoif|DDS |\x00\x00\x01\x00|P1\n|P2\n|P3\n|P4\n|P5\n|P6\n|Pf\n|P5 |P6 ".split(b"|")
)
_SOUND_STARTS = tuple(b"fLaC|FORM|.snd|caff|riff\x2e\x91\xcf\x11|NIST_1A|#!AMR|wvpk|MAC |TTA1|ID3|\x0b\x77".split(b"|"))
_FILM_STARTS = tuple(
    b"OggS|\x1a\x45\xdf\xa3|\x30\x26\xb2\x75\x8e\x66\xcf\x11|FLV\x01|\x00\x00\x01\xba|\x00\x00\x01\xb3|\x06\x0e\x2b\x34|"
    b"YUV4MPEG2|DKIF|.RMF".split(b"|")
)
_RIFF_FILMS, _RIFF_SOUND = (b"AVI ", b"AVIX"), b"WAVE"
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
    if _is_image(head) or (suffix in IMAGE_SUFFIXES and not is_media_start(head)):
        return "video" if _is_animated(path) else "image"
    if head.startswith(b"fLaC") or (head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == _RIFF_SOUND):
        return "audio"  # the most frequent ones, without opening them
    try:
        return "video" if holds_video(path) else "audio"
    except MediaError:
        if suffix in AUDIO_SUFFIXES:  # libsndfile may know it
            return "audio"
        raise


def is_media_start(head: bytes) -> bool:
    """Whether a file that begins so is a sound, picture or film, as far as its first bytes show it for certain."""
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] in (*_RIFF_FILMS, _RIFF_SOUND):
        return True
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or head.startswith((*_SOUND_STARTS, *_FILM_STARTS)):
        return True
    for size, first in ((188, 0), (192, 4)):  # packets of an MPEG transport stream
        if len(head) > 4 * size and all(head[first + n * size] == 0x47 for n in range(4)):
            return True
    return _is_image(head)


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
    kinds = IMAGE_SUFFIXES if _is_image(head) else AUDIO_SUFFIXES | VIDEO_SUFFIXES
    return is_media_start(head) and bool(kinds & suffixes)


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror or error})") from None


def _is_image(head: bytes) -> bool:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[4:8] == b"ftyp":
        return is_heif(head) or head[8:12] in (b"avif", b"avis") or b"avif" in head[8 : int.from_bytes(head[:4], "big")]
    bitmap = head.startswith(b"BM") and head[6:10] == bytes(4)
    return bitmap or head.startswith(_IMAGE_STARTS) or is_jxl(head)


def _is_animated(path: Path) -> bool:
    try:
        with opened(path) as image:
            return is_animation(image)
    except MediaError:  # told when it is read
        return False
