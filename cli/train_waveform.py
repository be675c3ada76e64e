"""`train waveform`: the levels after a codec's base that code the waveform of the low band."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from .options import Path_, use_device

# Of new envelope layers: before those of the waveform, and after most of them.
ENVELOPE_POSITIONS = (0, 1, 23, 24, 25, 26)


@click.command("waveform")
@click.argument("model")
@click.argument("out", type=Path_)
@click.option("--data", type=Path_, required=True, help="Folder of recordings to learn from.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), required=True, help="Train for so long.")
@click.option(
    "--codebook-minutes", type=click.FloatRange(0), default=0.0, help="Learn codebooks for so long after that."
)
@click.option(
    "--filter-minutes", type=click.FloatRange(0), default=0.0, help="Train the filter for so long after that."
)
@click.option(
    "--envelope-minutes", type=click.FloatRange(0), default=0.0, help="Train an envelope layer for so long after that."
)
@click.option("--base-levels", type=click.IntRange(2), default=9, show_default=True, help="Levels that MODEL keeps.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the layer, as in TOML.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def waveform(
    model: str,
    out: Path,
    data: Path,
    minutes: float,
    codebook_minutes: float,
    filter_minutes: float,
    envelope_minutes: float,
    base_levels: int,
    changes: tuple[str, ...],
    device: str,
    threads: int | None,
) -> None:
    """Train a waveform layer on top of MODEL, and save both in the folder OUT.

    The layer that MODEL has is trained on; without one it gets one after its first --base-levels levels. The base is
    left as it is. With --envelope-minutes there are also levels that code when and how loud the upper bands are.
    Files that MODEL made cannot be decoded with the new model. `train entropy` makes the tables that tell frames of few
    levels from those of many; without them --kbps gives all frames as many.
    """
    from josiecodec.audio.envelope_layer import EnvelopeLayerConfig
    from josiecodec.audio.low_band_filter import LowBandFilterConfig
    from josiecodec.audio.waveform_layer import WaveformLayerConfig
    from josiecodec.coding.jodio import Jodio
    from josiecodec.config import from_dict, to_dict
    from josiecodec.hub.store import load_for_training, save
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.envelope_layer import add_envelope_layer, train_envelope
    from josiecodec.training.audio.low_band_filter import band_codes, train_filter
    from josiecodec.training.audio.waveform_layer import (
        LayerTraining,
        add_waveform_layer,
        learn_codebooks,
        low_bands,
        train_covariances,
    )
    from josiecodec.training.core.settings import with_changes

    place = use_device(device, threads)
    codec = load_for_training(model)
    if not isinstance(codec, Jodio):
        raise click.UsageError(f"{model} is not an audio codec")
    if codec.config.waveform is None:
        plain = WaveformLayerConfig(by_frame=True)
        if codebook_minutes:
            plain = dataclasses.replace(plain, codebooks="learned", books=plain.levels)
        if filter_minutes:
            plain = dataclasses.replace(plain, filter=LowBandFilterConfig())
        config = from_dict(WaveformLayerConfig, with_changes(to_dict(plain), changes))
        codec = add_waveform_layer(codec, config, base_levels)
    elif changes:
        raise click.UsageError("the settings of a layer that is there already stay as they are")
    codec = codec.requires_grad_(False).to(place)
    recordings = load_recordings(data, codec.sample_rate)
    bands = low_bands(codec, recordings, LayerTraining().frames, click.echo)
    train_covariances(codec, bands, minutes, report=click.echo)
    if codebook_minutes:
        learn_codebooks(codec, bands, codebook_minutes, report=click.echo)
    if filter_minutes and codec.waveform_layer is not None:
        codes = band_codes(codec.waveform_layer, bands, report=click.echo)
        train_filter(codec, bands, codes, filter_minutes, report=click.echo)
    if envelope_minutes:
        if codec.config.envelope is None:
            layer = codec.config.waveform
            positions = ENVELOPE_POSITIONS if layer and layer.levels > 20 else ENVELOPE_POSITIONS[:2]
            codec = add_envelope_layer(codec, EnvelopeLayerConfig(positions=positions))
        train_envelope(codec, recordings, envelope_minutes, report=click.echo)
    click.echo(f"model in {save(codec, out)}")
