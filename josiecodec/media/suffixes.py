"""Suffixes of files of sound, and of films that can be written; `kinds.py` has all."""

from __future__ import annotations

# fmt: off
AUDIO_SUFFIXES = frozenset([
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".mp2", ".mp1",
    ".mpga", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".m4a", ".m4b", ".m4r", ".aac", ".adts", ".wma", ".amr",
    ".awb", ".3ga", ".ac3", ".eac3", ".dts", ".mka", ".weba", ".ape", ".wv", ".tta", ".tak", ".mpc", ".dsf", ".dff",
    ".sph", ".nist", ".voc", ".gsm", ".ra", ".qta", ".loas", ".latm",
])
# fmt: on
WRITABLE_VIDEO = frozenset([".mp4", ".m4v", ".mov", ".mkv"])  # how each is made: `video_writer.py`
