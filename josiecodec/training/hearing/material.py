"""What networks that hear are trained on: voices and texts of a folder of recordings."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

from ...errors import CodecError, MediaError
from ...hearing.conformer import FRAME_RATE, ConformerConfig
from ...hearing.spelling import spelled, written_words
from ..audio.data import Recordings
from .features import Bands
from .letters import PER_FRAME, Utterance, spread

LEAD = 0.1  # seconds of silence before a first word whose given time begins with the recording
Key = tuple[str, int]  # file, and hundredths of a second of the segment's begin in it
Times = list[tuple[float, float]]


def voices_of(recordings: Recordings, left_out: set[str]) -> list[int]:
    """The voice of each segment of speech as a number, -1 of others and of speakers that are left out."""
    names = sorted({s.speaker for s in recordings.segments if s.kind == "speech"} - left_out)
    numbers = {name: number for number, name in enumerate(names)}
    return [numbers.get(s.speaker, -1) if s.kind == "speech" else -1 for s in recordings.segments]


def noises_of(recordings: Recordings) -> list[int]:
    """Segments that can be put under speech: music and environment.

    Raises:
        CodecError: if there are none.
    """
    found = [n for n, s in enumerate(recordings.segments) if s.kind != "speech"]
    if not found:
        raise CodecError("the recordings have neither music nor environment to put under speech")
    return found


def key_of(path: str, seconds: float) -> Key:
    """What finds a segment in tables of texts and times."""
    return path, round(100 * seconds)


def segment_keys(recordings: Recordings) -> dict[Key, int]:
    """The number of each segment by its file and begin."""
    rate = recordings.sample_rate
    return {key_of(s.path, (s.start - recordings.files[s.path]) / rate): n for n, s in enumerate(recordings.segments)}


def read_texts(path: Path) -> dict[Key, dict[str, str]]:
    """Rows of a table with the columns path, offset_s, language and text, tabs between them.

    Raises:
        MediaError: if it cannot be read so.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        return {key_of(row["path"], float(row["offset_s"])): row for row in rows if row["text"] and row["language"]}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise MediaError(f"{path}: no table of path, offset_s, language and text ({error})") from None


def read_times(path: Path) -> dict[Key, list[dict[str, Any]]]:
    """Lines of JSON with path, offset_s and items of text, start and end, in seconds of the segment.

    Raises:
        MediaError: if they cannot be read so.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {key_of(line["path"], float(line["offset_s"])): line["items"] for line in lines}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise MediaError(f"{path}: no lines of path, offset_s and items ({error})") from None


def word_times(words: list[str], items: list[dict[str, Any]], language: str) -> Times | None:
    """Seconds of words, from items of one word or more, which are shared out by letters; None if they differ."""
    times: Times = []
    for item in items:
        parts = written_words(str(item["text"]), language) or [str(item["text"])]
        letters, at = sum(map(len, parts)), float(item["start"])
        for part in parts:
            behind = at + (float(item["end"]) - float(item["start"])) * len(part) / letters
            times.append((at, behind))
            at = behind
    return times if len(times) == len(words) else None


def sound_of(bands: Bands, segment: int) -> tuple[int, int]:
    """First frame of 20 ms with sound, and the frame behind the last one: half between quiet and loud."""
    level = bands.piece(segment, 0, bands.length(segment)).mean(1)
    quiet, loud = level.quantile(0.05), level.quantile(0.9)
    heard = (level > (quiet + loud) / 2).nonzero()[:, 0]
    return int(heard[0]) // PER_FRAME, int(heard[-1]) // PER_FRAME + 1


def evenly(words: list[list[int]], part: tuple[int, int]) -> Times:
    """Times of words that share out a part of a recording by their letters."""
    step = (part[1] - part[0]) / sum(map(len, words))
    ends = [part[0] + step * n for n in itertools.accumulate(map(len, words), initial=0)]
    return list(itertools.pairwise(ends))


def utterances(
    recordings: Recordings,
    bands: Bands,
    texts: dict[Key, dict[str, str]],
    times: dict[Key, list[dict[str, Any]]],
    config: ConformerConfig,
    left_out: set[Key] | None = None,
) -> list[Utterance]:
    """Recordings with a text in a language of the conformer.

    Raises:
        CodecError: if there are none.
    """
    found = []
    for key, segment in segment_keys(recordings).items():
        row = texts.get(key)
        if row is None or row["language"] not in config.languages or key in (left_out or ()):
            continue
        language = row["language"]
        words = written_words(row["text"], language)
        frames = bands.length(segment) // PER_FRAME
        letters = spelled(words, config.letters, language)
        if not words or sum(map(len, letters)) > frames:
            continue
        seconds = word_times(words, times[key], language) if key in times else None
        known = None
        if seconds is not None:
            known = [(FRAME_RATE * (a or min(LEAD, b / 2)), FRAME_RATE * b) for a, b in seconds]
        labels = spread(letters, known or evenly(letters, sound_of(bands, segment)), frames)
        found.append(Utterance(bands, segment, config.languages.index(language), letters, known, labels))
    if not found:
        raise CodecError("none of the recordings has a text in a language of the conformer")
    return found
