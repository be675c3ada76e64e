"""What a media file is: audio, an image or a video."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .audio_reader import AUDIO_SUFFIXES
from .images import IMAGE_SUFFIXES
from .video_reader import VIDEO_SUFFIXES, holds_video

MEDIA_SUFFIXES = AUDIO_SUFFIXES | IMAGE_SUFFIXES | VIDEO_SUFFIXES


def kind_of(path: str | Path) -> Literal["audio", "image", "video"]:
    """What a media file is.

    The suffix decides, and for files that can be of more than one kind what is in them.

    Raises:
        MediaError: if the file has to be opened and is no media file.
    """
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in AUDIO_SUFFIXES or suffix not in VIDEO_SUFFIXES or not Path(path).is_file():
        return "audio"
    return "video" if holds_video(path) else "audio"
