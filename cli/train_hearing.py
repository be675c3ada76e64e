"""`train speaker` and `train aligner`: networks that hear, on recordings with a manifest.tsv."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Path_

DATA = click.option("--data", type=Path_, required=True, help="Folder of recordings with a manifest.tsv.")
OUT = click.option("--out", type=Path_, required=True, help="Folder of the network.")
MINUTES = click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True, help="Processor time."
)
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
LEFT_OUT = click.option("--left-out", type=Path_, help="File of what is not learned from, a line each.")


@click.command()
@DATA
@OUT
@LEFT_OUT
@SEED
def speaker(data: Path, out: Path, left_out: Path | None, seed: int) -> None:
    """Fit a speaker encoder to the voices of a folder.

    Its manifest.tsv says who speaks (speaker), and what is speech (kind). --left-out names speakers. Pieces of the
    voices as the shipped codec decodes them, at different numbers of levels, are learned from, too.
    """
    import torch

    from josiecodec.hearing.speaker import SpeakerEncoder
    from josiecodec.hearing.store import save
    from josiecodec.hub.store import load
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.hearing.codec_bands import decoded_bands
    from josiecodec.training.hearing.features import bands_of
    from josiecodec.training.hearing.material import voices_of
    from josiecodec.training.hearing.speaker import SpeakerTraining, fit_speakers, pieces_of

    torch.manual_seed(seed)
    config = SpeakerTraining(seed=seed)
    recordings = load_recordings(data, 16000)
    voices = voices_of(recordings, set(_lines(left_out)))
    sources = [(bands_of(recordings), voices), decoded_bands(load(), recordings, voices, seed)]
    encoder = SpeakerEncoder()
    fit_speakers(encoder, pieces_of(sources, config), config, report=click.echo)
    click.echo(f"network in {save(encoder, out)}")


@click.command()
@DATA
@OUT
@click.option("--texts", type=Path_, required=True, help="Table of path, offset_s, language and text.")
@click.option("--times", type=Path_, help="Lines of JSON with path, offset_s and items of text, start and end.")
@MINUTES
@LEFT_OUT
@SEED
def aligner(
    data: Path, out: Path, texts: Path, times: Path | None, minutes: float, left_out: Path | None, seed: int
) -> None:
    """Train a conformer to hear letters, on recordings with texts, some of them with times of words.

    --left-out names segments: file and begin in seconds, with a tab between.
    """
    import torch

    from josiecodec.hearing.conformer import Conformer
    from josiecodec.hearing.store import save
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.hearing.features import bands_of
    from josiecodec.training.hearing.letters import LetterTraining, fit_bands, train_letters
    from josiecodec.training.hearing.material import key_of, noises_of, read_texts, read_times, utterances

    torch.manual_seed(seed)
    said, known = read_texts(texts), read_times(times) if times else {}
    try:
        rows = [line.split("\t") for line in _lines(left_out)]
        out_of_it = {key_of(path, float(begin)) for path, begin in rows}
    except ValueError:
        raise click.UsageError(
            f"{left_out}: each line is a file and its begin in seconds, with a tab between"
        ) from None
    recordings = load_recordings(data, 16000)
    noises, bands = noises_of(recordings), bands_of(recordings)
    network = Conformer()
    fit_bands(network, bands)
    items = utterances(recordings, bands, said, known, network.config, out_of_it)
    config = LetterTraining(minutes=minutes, seed=seed)
    train_letters(network, items, (bands, noises), config, report=click.echo)
    click.echo(f"network in {save(network, out)}")


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from None
