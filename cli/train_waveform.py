"""`train waveform`: the levels after a codec's base that code the waveform of the low band."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Path_, use_device

if TYPE_CHECKING:
    from josiecodec.coding.jodio import Jodio

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
@click.option("--overwrite", is_flag=True, help="Replace the model in OUT, if there is one, and its entropy tables.")
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
    overwrite: bool,
    device: str,
    threads: int | None,
) -> None:
    """Train a waveform layer on top of MODEL, and save both in the folder OUT.

    The layer that MODEL has is trained on; without one it gets one after its first --base-levels levels. The base is
    left as it is. With --envelope-minutes there are also levels that code when and how loud the upper bands are, and
    frames have as many levels as they deserve, as in every new layer. A layer that is there keeps its settings, but
    for --set by_frame and min_levels. Files that MODEL made cannot be decoded with the new model, which gets its own
    name. `train entropy` makes the tables that tell frames of few levels from those of many; without them --kbps gives
    all frames as many.
    """
    from josiecodec.coding.jodio import Jodio
    from josiecodec.hub.store import load_for_training, save
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.envelope_layer import train_envelope
    from josiecodec.training.audio.low_band_filter import band_codes, train_filter
    from josiecodec.training.audio.waveform_layer import LayerTraining, learn_codebooks, low_bands, train_covariances
    from josiecodec.training.core.codec_loop import run_name

    _check_target(out, overwrite)
    place = use_device(device, threads)
    codec = load_for_training(model)
    if not isinstance(codec, Jodio):
        raise click.UsageError(f"{model} is not an audio codec")
    codec = _with_layers(codec, base_levels, changes, bool(codebook_minutes), bool(filter_minutes))
    if envelope_minutes:
        codec = _with_envelope(codec)
    codec.config = dataclasses.replace(codec.config, name=run_name(codec.config.name, out))
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
        train_envelope(codec, recordings, envelope_minutes, report=click.echo)
    click.echo(f"model {codec.config.name} in {save(codec, out)}")


def _check_target(out: Path, overwrite: bool) -> None:
    """Refuse before any training what could not be saved after it."""
    from josiecodec.fingerprint import CONFIG_FILE, ENCODER_FILE, TABLES_FILE
    from josiecodec.weight_files import WEIGHTS_FILE

    files = (CONFIG_FILE, WEIGHTS_FILE, TABLES_FILE, ENCODER_FILE)
    existing = [name for name in files if (out / name).exists()]
    if existing and not overwrite:
        raise click.UsageError(f"{out / existing[0]} already exists; --overwrite replaces the model there")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{out} cannot be made: {error.strerror}") from None
    if not os.access(out, os.W_OK):
        raise click.UsageError(f"{out} cannot be written to")


def _with_layers(codec: Jodio, base_levels: int, changes: tuple[str, ...], books: bool, filtered: bool) -> Jodio:
    """A codec with a waveform layer of these settings, and with what is to be trained of it."""
    from josiecodec.audio.low_band_filter import LowBandFilterConfig
    from josiecodec.audio.waveform_layer import WaveformLayerConfig
    from josiecodec.config import from_dict, to_dict
    from josiecodec.training.audio.waveform_layer import add_waveform_layer, with_settings
    from josiecodec.training.core.settings import with_changes

    known = codec.config.waveform
    start = known or WaveformLayerConfig(by_frame=True)
    if books and known is None:
        start = dataclasses.replace(start, codebooks="learned", books=start.levels)
    if filtered and known is None:
        start = dataclasses.replace(start, filter=LowBandFilterConfig())
    config = from_dict(WaveformLayerConfig, with_changes(to_dict(start), changes))
    if books and config.codebooks != "learned":
        raise click.UsageError("--codebook-minutes: the codebooks of this layer are random, and stay so")
    if filtered and config.filter is None:
        raise click.UsageError("--filter-minutes: this layer has no filter")
    if known is None:
        return add_waveform_layer(codec, config, base_levels)
    if dataclasses.replace(config, by_frame=known.by_frame, min_levels=known.min_levels) != known:
        raise click.UsageError("the settings of a layer that is there already stay as they are")
    return with_settings(codec, config)


def _with_envelope(codec: Jodio) -> Jodio:
    """A codec by frame with an envelope layer."""
    from josiecodec.audio.envelope_layer import EnvelopeLayerConfig
    from josiecodec.training.audio.envelope_layer import add_envelope_layer
    from josiecodec.training.audio.waveform_layer import with_settings

    layer = codec.config.waveform
    assert layer is not None
    if not layer.by_frame:
        click.echo("frames can have different numbers of levels from now on")
        codec = with_settings(codec, dataclasses.replace(layer, by_frame=True))
    if codec.config.envelope is not None:
        return codec
    positions = ENVELOPE_POSITIONS if layer.levels > 20 else ENVELOPE_POSITIONS[:2]
    return add_envelope_layer(codec, EnvelopeLayerConfig(positions=positions))
