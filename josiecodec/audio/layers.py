"""Encoding with the levels after the base: how much each matters, and codes for any numbers of them in each frame.

A frame in which nothing is to be heard has none of them in a model by frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..nn.streaming import State, Streaming, with_past
from ..settings import EncoderSettings
from .bit_plan import ShapedVectors
from .envelope_layer import EnvelopeLayer, EnvelopeVectors
from .waveform_layer import WaveformLayer

QUIET = 1e-8  # mean square, 80 dB below full scale: frames that stay below have no levels after the base
MOMENTS = 8  # of a frame, of which the loudest counts


class Loudness(Streaming):
    """[B, 1, F * frame_size] -> mean square of the loudest moment of each frame and the one before, [B, F].

    The one before counts, too, as the layers' windows reach into it.
    """

    def __init__(self, frame_size: int):
        super().__init__()
        self.moment = frame_size // MOMENTS

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        power = x[:, 0].float().unflatten(1, (-1, self.moment)).square().mean(-1)
        loudest = with_past(self, power.unflatten(1, (-1, MOMENTS)).amax(-1), 1, 1, state)
        return torch.maximum(loudest[:, 1:], loudest[:, :-1])


class Layered(Protocol):
    """A network with layers after its base; `loudness` is None where all frames have as many levels."""

    @property
    def frame_size(self) -> int: ...
    @property
    def base_levels(self) -> int: ...
    @property
    def waveform_layer(self) -> WaveformLayer | None: ...
    @property
    def envelope_layer(self) -> EnvelopeLayer | None: ...
    @property
    def loudness(self) -> Loudness | None: ...
    def layer_rows(self, n_q: int) -> tuple[list[int], list[int]]: ...


@dataclass
class LayerInput:
    """A piece of a recording as the layers after the base see it.

    Attributes:
        codes: of the base, [B, base_levels, F].
        waveform, envelope: how much each level of the layers matters, [B, L, F] and [B, E, F]; minus infinity in frames
            where nothing is to be heard.
        vectors: what the waveform layer and the envelope layer (None without one) code.
        phase: of the pulse train of the decoded base after this piece, see `audio/resume.py`; None without one.
    """

    codes: Tensor
    waveform: Tensor
    envelope: Tensor
    vectors: tuple[ShapedVectors, EnvelopeVectors | None]
    phase: int | None = None


def encode_layers(
    network: Layered, x: Tensor, base: Tensor, n_q: int, state: State | None, settings: EncoderSettings
) -> Tensor:
    """Waveform and decoded base, both [B, 1, F * frame_size] -> codes [B, n_q - base_levels, F]."""
    layer, envelope_layer = network.waveform_layer, network.envelope_layer
    assert layer is not None
    envelope, waveform = network.layer_rows(n_q)
    frames = x.shape[-1] // network.frame_size
    rest = torch.zeros(len(x), n_q - network.base_levels, frames, dtype=torch.long, device=x.device)
    if envelope_layer is not None and envelope:
        rest[:, envelope] = envelope_layer.encode(
            x, base, len(envelope), settings.beams, state, settings.envelope_threshold
        )
    if waveform:
        rest[:, waveform] = layer.encode(x, base, len(waveform), settings.beams, state, settings.water_level)
    quiet = quiet_frames(network, x, state)
    return rest if quiet is None else rest * ~quiet.unsqueeze(1)


def analyse_layers(network: Layered, x: Tensor, base: Tensor, codes: Tensor, state: State) -> LayerInput:
    """Waveform and decoded base of codes -> what there is to code. See `LayerInput`."""
    layer, envelope_layer = network.waveform_layer, network.envelope_layer
    assert layer is not None
    vectors, waveform = layer.vectors(x, base, state)
    envelope, envelope_vectors = waveform[:, :0], None
    if envelope_layer is not None:
        envelope_vectors, envelope = envelope_layer.vectors(x, base, state)
    quiet = quiet_frames(network, x, state)
    if quiet is not None:
        waveform, envelope = (p.masked_fill(quiet.unsqueeze(1), -torch.inf) for p in (waveform, envelope))
    return LayerInput(codes, waveform, envelope, (vectors, envelope_vectors))


@torch.no_grad()
def search_layers(
    network: Layered, piece: LayerInput, waveform: Tensor, envelope: Tensor, beams: int
) -> tuple[Tensor, Tensor]:
    """Codes with every number of levels of the layers up to those given for each frame.

    Args:
        network: whose layers.
        piece: what `analyse_layers` gave, of one waveform.
        waveform, envelope: the most levels of each frame, [F].
        beams: hypotheses kept.

    Returns:
        of the waveform layer [F, L, L], with c levels in row c - 1, and of the envelope layer [F, E, E].
    """
    layer, envelope_layer = network.waveform_layer, network.envelope_layer
    assert layer is not None
    vectors, envelope_vectors = piece.vectors
    found = layer.paths(vectors, waveform, beams)
    if envelope_layer is None or envelope_vectors is None:
        return found, found[:, :0, :0]
    return found, envelope_layer.paths(envelope_vectors, envelope, beams)


def quiet_frames(network: Layered, x: Tensor, state: State | None) -> Tensor | None:
    """Frames in which nothing is to be heard, [B, F]; None of models whose frames all have as many levels."""
    if network.loudness is None:
        return None
    return network.loudness(x, state) < QUIET
