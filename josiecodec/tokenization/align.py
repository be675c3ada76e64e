"""Times of words for the lines of a manifest."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_bytes
from ..errors import CodecError
from ..hearing.mel import SAMPLE_RATE
from ..hearing.words import WHISPER, align_words, check_aligner
from ..media.apart import shared_pool
from .audio import load_clip, read_ahead
from .manifest import Item, manifest_lines

LONGEST = 600.0  # seconds of a clip


@dataclass
class Aligned:
    """What became of a manifest.

    Attributes:
        done: lines that have times of words now.
        kept: lines that had them before.
        textless: lines without a text.
        failed: why other lines have none, one entry each.
    """

    done: int
    kept: int
    textless: int
    failed: list[str]


def align_manifest(
    source: str | Path,
    target: str | Path,
    aligner: str = WHISPER,
    language: str | None = None,
    again: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Aligned:
    """Write a manifest again with `words` on each line that has a `text`: [word, from, to], in seconds of the clip.

    Args:
        source: the manifest, as `tokenize` reads it.
        target: the manifest to write; it may be the same file.
        aligner: see `hearing.words.check_aligner`.
        language: of lines that do not say theirs.
        again: align lines that have `words` already, too.
        progress: told how many of how many clips are done.

    Raises:
        CodecError: if the manifest cannot be read or written, a line says no language, or there is no aligner for one.
    """
    lines = list(manifest_lines(Path(source)))
    if not lines:
        raise CodecError(f"{source}: there is nothing in this manifest")
    kept = sum(bool(item.known.get("words")) and not again for _, item in lines)
    asked = [n for n, (_, item) in enumerate(lines) if _text(item) and (again or not item.known.get("words"))]
    languages: dict[int, str] = {}
    for n in asked:
        spoken = lines[n][1].known.get("language") or language
        if not isinstance(spoken, str):
            raise CodecError(f"{source}: {lines[n][1].id} says no language; --language gives that of all such lines")
        languages[n] = spoken.partition("-")[0].lower()
    check_aligner(aligner, sorted(set(languages.values())))
    result = Aligned(0, kept, sum(not _text(item) and not item.known.get("words") for _, item in lines), [])
    for count, (n, found) in enumerate(_found(lines, asked, languages, aligner), 1):
        if isinstance(found, str):
            result.failed.append(f"{lines[n][1].id}: {found}")
        else:
            _put(lines[n][0], found)
            result.done += 1
        if progress is not None:
            progress(count, len(asked))
    for values, _ in lines:
        _move(values, Path(source).parent, Path(target).parent)
    text = "".join(json.dumps(values, ensure_ascii=False) + "\n" for values, _ in lines)
    packed = str(target).lower().endswith(".gz")
    write_bytes(target, gzip.compress(text.encode(), mtime=0) if packed else text.encode())
    return result


def _text(item: Item) -> str:
    text = item.known.get("text")
    return text.strip() if isinstance(text, str) else ""


def _found(
    lines: list[tuple[dict[str, Any], Item]], asked: list[int], languages: dict[int, str], aligner: str
) -> Iterator[tuple[int, list[list[Any]] | str]]:
    """Words of each line that is asked for, or why there are none."""
    readers = shared_pool()
    clips = read_ahead(lambda n: load_clip(readers, lines[n][1], SAMPLE_RATE, LONGEST), asked, workers=1)
    for n, clip in zip(asked, clips):
        if clip.error is not None:
            yield n, str(clip.error)
        elif clip.wave is None:
            yield n, f"longer than {LONGEST:g} s, cut it first"
        else:
            try:
                yield n, [list(word) for word in align_words(clip.wave, _text(lines[n][1]), languages[n], aligner)]
            except ValueError as error:
                yield n, str(error)


def _put(values: dict[str, Any], words: list[list[Any]]) -> None:
    """Put words into a line, of a cut of Lhotse among its own fields."""
    if values.get("type") == "MonoCut":
        values["custom"] = {**(values.get("custom") or {}), "words": words}
    else:
        values["words"] = words


def _move(values: dict[str, Any], old: Path, new: Path) -> None:
    """Let the path of a line, if it is relative, be found from a manifest in another folder."""
    if old.resolve() == new.resolve():
        return
    place, key = values, "path"
    if values.get("type") == "MonoCut":
        place, key = values["recording"]["sources"][0], "source"
    elif "audio_filepath" in values or "audio_filename" in values:
        key = "audio_filepath" if "audio_filepath" in values else "audio_filename"
    name = place.get(key)
    if isinstance(name, str) and not os.path.isabs(os.path.expanduser(name)):
        place[key] = Path(os.path.relpath((old / name).resolve(), new.resolve())).as_posix()
