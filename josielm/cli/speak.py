"""`josielm speak`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from josiecodec_cli.options import Path_, json_option, quiet_option, tell

from .options import refuse_to_replace

if TYPE_CHECKING:
    from josielm.speech.speak import Sentence, Speaker

MAX_TEXT = 1 << 24  # bytes of a file


@click.command()
@click.argument("text", required=False)
@click.argument("target", metavar="[OUT]", type=Path_, required=False)
@click.option("--file", "source", type=Path_, help='File of text to speak, UTF-8; "-" is standard input.')
@click.option("-o", "--output", type=Path_, help="The same as OUT.")
@click.option("--voice", default=None, help="Name or folder of a voice.  [default: the one of the package]")
@click.option("--speed", type=float, default=1.0, show_default=True, help="0.5 to 2; 2 is twice as fast.")
@click.option("--pitch", type=float, default=0.0, show_default=True, help="Semitones higher, -6 to 6.")
@click.option("--no-cmudict", is_flag=True, help="Read all words by their letters.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@quiet_option
@json_option
def speak(
    text: str | None,
    target: Path | None,
    source: Path | None,
    output: Path | None,
    voice: str | None,
    speed: float,
    pitch: float,
    no_cmudict: bool,
    threads: int | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Speak TEXT, English, in a synthetic voice; OUT is a .josie or audio file, by its suffix.

    With --file there is no TEXT, and OUT comes first. Nothing is random: the same text gives the same sound.
    """
    if source is not None and text and target is None:
        target, text = Path(text), None
    if (source is None) == (text is None):
        raise click.UsageError("give either a TEXT or --file")
    if target is not None and output is not None:
        raise click.UsageError("give the target either as OUT or with -o")
    place = output or target
    if place is None:
        raise click.UsageError("give an OUT, such as out.wav or out.josie")
    _check_suffix(place)
    refuse_to_replace(place, overwrite)
    said = _read(source) if source is not None else text or ""
    from josielm.speech.words import sentences

    sentences(said)  # what cannot be spoken is told before anything is loaded
    import torch

    from josielm.speech.speak import Speaker
    from josielm.speech.store import SHIPPED

    if threads:
        torch.set_num_threads(threads)
    speaker = Speaker(voice or SHIPPED, cmudict=not no_cmudict)
    began, words = time.monotonic(), []
    kept: list[Sentence] = []
    begin, first = 0.0, None

    def listed() -> Iterator[Sentence]:
        nonlocal begin
        for sentence in speaker.sentences(said, speed, pitch):
            words.extend([[w, round(a + begin, 3), round(b + begin, 3)] for w, a, b in sentence.words])
            begin += sentence.codes.shape[1] / speaker.codec.frame_rate
            kept.append(sentence)
            yield sentence

    if place.suffix.lower() == ".josie":
        _write_tokens(speaker, listed(), place)
    else:
        first = _write_sound(speaker, listed(), place, began)
    took = time.monotonic() - began
    entry: dict[str, Any] = {"output": str(place), "seconds": round(begin, 3), "sentences": len(kept)}
    entry |= {"words": words, "voice": speaker.config.name, "synthetic": True, "took": round(took, 3)}
    if first is not None:
        entry["first_sound"] = round(first, 3)
    text = f"{place}: {begin:.2f} s of synthetic speech in {took:.2f} s"
    if str(place) == "-":  # the sound is there
        with contextlib.redirect_stdout(sys.stderr):
            tell(entry, text, as_json, quiet)
    else:
        tell(entry, text, as_json, quiet)


def _check_suffix(place: Path) -> None:
    from josiecodec.media.audio_writer import WRITABLE

    suffix = place.suffix.lower()
    if suffix != ".josie" and suffix not in WRITABLE and str(place) != "-":
        raise click.UsageError(f"{place}: speech is written as .josie or as {', '.join(WRITABLE)}")


def _read(source: Path) -> str:
    try:
        if str(source) == "-":
            data = sys.stdin.buffer.read(MAX_TEXT + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(MAX_TEXT + 1)
        if len(data) > MAX_TEXT:
            raise click.UsageError(f"{source}: more than {MAX_TEXT >> 20} MB of text")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise click.UsageError(f"{source}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{source}: not a text in UTF-8") from None


def _write_tokens(speaker: Speaker, spoken: Iterator[Sentence], place: Path) -> None:
    import numpy as np
    import torch

    from josiecodec.bitstream.josie_file import TokenFile, TokenStream

    codes = torch.cat([sentence.codes for sentence in spoken], 1)
    info = replace(speaker.codec.stream_info(len(codes), codes.shape[1] * speaker.codec.frame_size), synthetic=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    TokenFile([TokenStream(info, codes.numpy().astype(np.uint16))]).write(place, speaker.codec.known_tables)


def _write_sound(speaker: Speaker, spoken: Iterator[Sentence], place: Path, began: float) -> float:
    """Write the waveform as it comes; seconds until the first of it."""
    from josiecodec.media.audio_writer import AudioWriter

    first = None
    if str(place) != "-":
        place.parent.mkdir(parents=True, exist_ok=True)
    with AudioWriter(place, speaker.sample_rate) as writer:
        for part in speaker.decoded(spoken):
            first = time.monotonic() - began if first is None else first
            writer.write(part[None])
    return first or 0.0
