"""Which runtime does what: what the one without torch covers, and what is said where neither can."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from ..audio.config import JodioConfig
from ..audio.layer_configs import EnvelopeLayerConfig, LowBandFilterConfig, WaveformLayerConfig
from ..audio.network_configs import SpectralDecoderConfig, SpectralEncoderConfig
from ..bitstream.header import AudioInfo
from ..errors import CodecError
from ..vision.detail_shapes import KNOWN_STEPS, filter_graph, shapes_of
from .audio_codec import AudioCodec
from .graphs import misfits, unlike
from .layers import needed_graphs, needed_weights
from .model_files import Weights, audio_config, vision_config, weights_of

Runtime = Literal["auto", "torch", "onnx"]
RUNTIMES: tuple[Runtime, ...] = ("auto", "torch", "onnx")
# Phases of the runtimes drift apart by their rounding, and levels after the base are relative to the encoder's. In
# files without marks PESQ is lower by 0.02 on average after eight minutes; in the first one it was the same to 0.001.
MAX_LAYERED_SECONDS = 60.0
WITHOUT_TORCH = "pip install torch (its site shows the command for CPUs alone)"


def has_torch() -> bool:
    """Whether torch is installed; it is not imported."""
    return _installed("torch")


def has_onnx() -> bool:
    """Whether onnxruntime is installed; it is not imported."""
    return _installed("onnxruntime")


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # it stands in `sys.modules` as one that must not be imported
        return False


def decide(runtime: Runtime, device: str, reason: str | None) -> bool:
    """Whether something is done without torch.

    Args:
        runtime: that was asked for; "auto" takes onnxruntime where it is installed and can do it.
        device: where networks are to run.
        reason: why it cannot be done without torch, as in "...: pictures need torch"; None if it can.

    Raises:
        CodecError: if the runtime that was asked for cannot do it, or none that is installed; the text says what to
            install.
    """
    if reason is None and device != "cpu":
        reason = f"device {device!r} needs torch"
    if runtime == "torch" or reason is not None:
        if runtime == "onnx":
            raise CodecError(f"{reason}; --runtime onnx cannot do it")
        if not has_torch():
            why = reason or "--runtime torch was asked for"
            raise CodecError(f"{why}, which is not installed: {WITHOUT_TORCH}")
        return False
    if has_onnx():
        return True
    if runtime == "onnx" or not has_torch():
        raise CodecError("--runtime onnx needs the package onnxruntime: pip install onnxruntime")
    return False


def model_reason(folder: Path) -> str | None:
    """Why a model cannot be run without torch; None if it can.

    Raises:
        ModelError: if its files cannot be read.
    """
    config = audio_config(folder)
    if config is None:
        return f"{folder.name} is no model of audio in our layout: it needs torch"
    other = f"{config.name} has networks of other shapes than the package's: it needs torch"
    if not _usual(config):
        return other
    weights = weights_of(folder)
    fits = not misfits("encoder", weights) and not misfits("decoder", weights) and not _others(config, weights)
    return None if fits else other


def picture_reason(folder: Path) -> str | None:
    """Why still pictures cannot be coded with a model without torch; None if they can.

    Raises:
        ModelError: if its files cannot be read.
    """
    config = vision_config(folder)
    if config is None:
        return f"{folder.name} has networks that only torch runs"
    weights, q = weights_of(folder), config.quantizer
    own = q.levels if q.shared_from < 0 else min(q.levels, q.shared_from + 1)
    shapes = {f"rvq.quantizers.{k}.codebook.weight": [q.codebook_size, config.latent_dim] for k in range(own)}
    shapes["decoder.linear.weight"] = [3 * config.patch**2, config.latent_dim]
    shapes["decoder.linear.bias"] = [3 * config.patch**2]
    if own < q.levels:
        shapes["rvq.size"] = [q.levels]
    graphs, whole = ["picture_encoder", "picture_hidden", "picture_fine"], {}
    if config.detail is not None:
        graphs.append(filter_graph(config.detail))
        width = config.detail.filter_channels
        shapes["detail.step_embedding.weight"] = [KNOWN_STEPS, width]
        if config.detail.strengths > 1:
            shapes["detail.strength_embedding.weight"] = [config.detail.strengths, width]
        whole = shapes_of(config.detail, config.latent_dim, config.patch)
    fits = not unlike(shapes, weights) and not any(misfits(name, weights) for name in graphs)
    for name, shape in whole.items():
        value = weights.get(f"detail.{name.replace('.', '_')}")
        fits = fits and value is not None and value.shape == shape and value.dtype == np.int32
    return None if fits else f"{config.name} has networks of other shapes than the package's: it needs torch"


def _others(config: JodioConfig, weights: Weights) -> list[str]:
    """What of the weights outside of the graphs is not as the configuration says."""
    q = config.quantizer
    own = q.acoustic_levels if q.shared_from < 0 else min(q.acoustic_levels, q.shared_from + 1)
    shapes = {f"acoustic_rvq.quantizers.{k}.codebook.weight": [q.codebook_size, q.dim] for k in range(own)}
    shapes["semantic_rvq.codebook.weight"] = [q.codebook_size, q.semantic_dim or q.dim]
    shapes["decoder.coarseness.weight"] = [1 + config.base_levels, config.latent_dim]
    if own < q.acoustic_levels:
        shapes["acoustic_rvq.size"] = [q.acoustic_levels]
    return unlike(shapes, weights)


def _usual(config: JodioConfig) -> bool:
    """Whether a model has those parts that the graphs and the NumPy code around them know."""
    q, encoder, decoder = config.quantizer, config.encoder, config.decoder
    if not isinstance(encoder, SpectralEncoderConfig) or not isinstance(decoder, SpectralDecoderConfig):
        return False
    return (
        config.adapted is None
        and (encoder.hop, encoder.window, encoder.fine) == (480, 960, 240)
        and (decoder.hop, decoder.window, config.sample_rate) == (240, 960, 24000)
        and decoder.source
        and decoder.level_conditioned
        and not config.encoder_transformer
        and not config.decoder_transformer
        and (q.mode, q.code_dim, q.normalize) == ("split", 0, False)
        and q.dim != config.latent_dim
    )


def better_with_torch(
    info: AudioInfo, levels: int, base_levels: int, salvage: bool, marked: Callable[[], bool]
) -> bool:
    """Whether a stream that both runtimes decode is left to torch where that is installed.

    Args:
        info: header of the stream.
        levels: that are to be used.
        base_levels: of its model.
        salvage: whether there may be gaps, behind which torch looks for the phase of levels after the base.
        marked: says whether the file has marks of that phase, which keep both runtimes together.
    """
    if levels <= base_levels or not has_torch():
        return False
    seconds = math.inf if info.length is None else info.length / info.sample_rate
    return salvage or (seconds > MAX_LAYERED_SECONDS and not marked())


def _usual_layers(config: JodioConfig) -> bool:
    """Whether the layers after the base are those that the NumPy code knows; others could ask for any memory."""
    waveform, envelope = config.waveform, config.envelope
    if waveform is None:
        return False
    usual = WaveformLayerConfig()
    names = ("decimation", "hops", "cutoff", "taper", "segment", "codebooks", "books", "after_envelope")
    fits = all(getattr(waveform, name) == getattr(usual, name) for name in names)
    if waveform.filter is not None:
        plain = LowBandFilterConfig()
        fits = fits and (waveform.filter.window, waveform.filter.hop) == (plain.window, plain.hop)
    if envelope is not None:
        known = EnvelopeLayerConfig()
        bands = (envelope.hop, envelope.heard, envelope.coded)
        fits = fits and bands == (known.hop, known.heard, known.coded)
    return fits


def _layers_reason(codec: AudioCodec) -> str | None:
    """Why the levels after the base of a model need torch; None if they do not."""
    config, weights = codec.config, codec.weights
    fits = _usual_layers(config) and not unlike(needed_weights(config), weights)
    if not fits or any(misfits(name, weights) for name in needed_graphs(config)):
        return f"levels above {codec.base_levels} of {codec.config.name} need torch"
    return None


def levels_reason(codec: AudioCodec, levels: int) -> str | None:
    """Why so many levels cannot be encoded or decoded without torch; None if they can."""
    return None if levels <= codec.base_levels else _layers_reason(codec)
