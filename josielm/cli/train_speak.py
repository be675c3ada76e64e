"""`josielm train speak`: a voice of one's own, from recordings with texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from josiecodec_cli.options import Path_

from .options import AMOUNT

CHECKPOINT = "checkpoint.safetensors"  # of a training that has not ended


@click.command("speak")
@click.option("--data", type=Path_, required=True, help="Manifest: JSON lines with path and text, one speaker.")
@click.option("--out", type=Path_, required=True, help="Folder of the voice.")
@click.option("--minutes", type=AMOUNT, default=50.0, show_default=True, help="Processor time of the voice.")
@click.option("--align-minutes", type=AMOUNT, default=8.0, show_default=True, help="Processor time for alignment.")
@click.option("--preset", type=click.Choice(["small", "tiny"]), default="small", show_default=True, help="Its size.")
@click.option("--start", help="Voice to begin with, by name or folder; few recordings are enough then.")
@click.option("--name", default="voice", show_default=True, help="Of the voice.")
@click.option("--codec", help="Name or folder of the codec.  [default: the one of the package]")
@click.option("--synthetic", is_flag=True, help="The recordings are synthetic speech; the voice then says so.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
@click.option("--overwrite", is_flag=True, help="Replace a voice in OUT.")
def train_speak(
    data: Path,
    out: Path,
    minutes: float,
    align_minutes: float,
    preset: str,
    start: str | None,
    name: str,
    codec: str | None,
    synthetic: bool,
    seed: int,
    threads: int | None,
    overwrite: bool,
) -> None:
    """Train a voice on recordings of one speaker with their texts, for `josielm speak --voice`.

    The texts are English. Clips that cannot be used are named and left out. Have the consent of whoever speaks.
    """
    if not data.is_file():
        raise click.UsageError(f"{data}: no such file; --data takes a manifest (JSON lines with path and text)")
    if (out / "config.json").exists() and not overwrite:
        raise click.UsageError(f"{out} already holds a voice; --overwrite replaces it")
    import torch

    import josiecodec
    from josielm.speech.codes import LatentCodes
    from josielm.speech.config import PRESETS
    from josielm.speech.lexicon import Lexicon, dictionary
    from josielm.speech.store import SHIPPED, load_voice, save_voice
    from josielm.speech.voice import Voice
    from josielm.training.recordings import read_recordings, spoken
    from josielm.training.voice import VoiceTraining, fit_statistics, train_voice

    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{out}: cannot be made ({error.strerror})") from None
    begun = load_voice(start or SHIPPED)
    latent_codes = LatentCodes(josiecodec.load(codec) if codec else josiecodec.load())
    lexicon = Lexicon(begun.letters.read, dictionary())
    recorded = list(read_recordings(data, lexicon, latent_codes.codec.sample_rate, click.echo))
    items = spoken(recorded, latent_codes, align_minutes, seed, click.echo)
    size = begun.voice.config if start else PRESETS[preset]
    semantic, acoustic = latent_codes.sizes
    about = {"codec": latent_codes.codec.config.name, "fingerprint": latent_codes.codec.fingerprint, "name": name}
    voice = Voice(replace(size, semantic=semantic, acoustic=acoustic, synthetic=synthetic, **about))
    if start:
        latent_codes.check(begun.voice.config)
        voice.load_state_dict(begun.voice.state_dict())
    fit_statistics(voice, items)
    place = out / CHECKPOINT
    total = sum(len(item.latents) for item in items) / latent_codes.codec.frame_rate / 60
    click.echo(f"{len(items)} clips, {total:.1f} minutes")
    train_voice(voice, items, VoiceTraining(minutes=minutes, seed=seed), place, click.echo)
    click.echo(f"voice in {save_voice(out, voice, begun.letters)}")
    place.unlink(missing_ok=True)
