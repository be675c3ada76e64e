"""Who speaks: a voice as 256 numbers of length 1, so that a dot product says how alike two voices are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .mel import BANDS, HOP, LogMel

SHORTEST = 0.5  # seconds below which nobody knows a voice
PIECE = 400  # frames that are embedded at once; the voice of a longer recording is the mean of its pieces
REACH = 2  # frames before and behind a frame that its slope is taken from


@dataclass(frozen=True)
class SpeakerConfig:
    """A speaker encoder.

    Attributes:
        kind: "speaker".
        cepstra: numbers that a spectrum is described by, and as many of its slope.
        centres: kinds of sound that a voice is compared in.
        sharpness: how much nearer a centre has to be for a frame to be of its kind.
        patience: frames of a kind that it takes to believe half of what they say.
        size: numbers of an embedding.
    """

    kind: Literal["speaker"] = "speaker"
    cepstra: int = 20
    centres: int = 128
    sharpness: float = 0.5
    patience: float = 4.0
    size: int = 256

    def __post_init__(self) -> None:
        if not (1 <= self.cepstra < BANDS and 1 <= self.centres <= 4096 and 1 <= self.size <= 4096):
            raise ConfigError(f"speaker: cepstra are 1 to {BANDS - 1}, centres and size 1 to 4096")
        if not (0 < self.sharpness < math.inf and 0 < self.patience < math.inf):
            raise ConfigError("speaker: sharpness and patience must be positive")


class SpeakerEncoder(nn.Module):
    """Cepstra, how far they lie from the centre of each kind of sound on the mean, and a projection of that.

    The deviations from centres are those of a Gaussian supervector (Campbell et al. 2006) and of NetVLAD (Arandjelovic
    et al. 2016, arXiv 1511.07247); the projection is one of linear discriminants. All of it follows from sums over
    frames, without descent, so that training takes seconds.
    """

    cosines: Tensor
    scale: Tensor
    centres: Tensor
    mean: Tensor

    def __init__(self, config: SpeakerConfig | None = None):
        super().__init__()
        self.config = config = config or SpeakerConfig()
        self.mel = LogMel()
        k, n = torch.arange(1, config.cepstra + 1)[:, None], torch.arange(BANDS)
        cosines = torch.cos(math.pi * k * (n + 0.5) / BANDS) * (2 / BANDS) ** 0.5
        self.register_buffer("cosines", cosines, persistent=False)
        width = 2 * config.cepstra
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("centres", torch.randn(config.centres, width))
        self.register_buffer("mean", torch.zeros(config.centres * width))
        self.output_proj = nn.Linear(config.centres * width, config.size, bias=False)

    def cepstra(self, mel: Tensor) -> Tensor:
        """Cepstra and their slopes of logarithms of mel bands [B, 80, T], scaled: [B, T, 2 * cepstra]."""
        c = self.cosines @ mel
        slope = F.pad(c[:, :, 2 * REACH :] - c[:, :, : -2 * REACH], (REACH, REACH))
        return torch.cat([c, slope], 1).transpose(1, 2) / self.scale

    def deviations(self, mel: Tensor) -> Tensor:
        """How a voice differs from each centre, [B, centres * 2 * cepstra], of mel bands [B, 80, T], T 5 or more."""
        x = self.cepstra(mel)
        near = x @ self.centres.t() - self.centres.square().sum(1) / 2
        share = (self.config.sharpness * near).softmax(-1)
        count = share.sum(1)[:, :, None]
        return ((share.transpose(1, 2) @ x - count * self.centres) / (count + self.config.patience)).flatten(1)

    def forward(self, mel: Tensor) -> Tensor:
        """Logarithms of mel bands [B, 80, T], as `LogMel` gives them -> embeddings [B, 256] of length 1."""
        return F.normalize(self.output_proj(self.deviations(mel) - self.mean), dim=-1)

    @torch.inference_mode()
    def embed(self, wave: Tensor) -> Tensor:
        """The voice of a waveform [T] at 16 kHz, at least half a second: [256] of length 1.

        Raises:
            ValueError: if it is shorter.
        """
        if len(wave) < SHORTEST * 100 * HOP:
            raise ValueError(f"a voice needs {SHORTEST} s at least")
        mel = self.mel(wave[None, : len(wave) // HOP * HOP])
        count = max(1, round(mel.shape[2] / PIECE))
        edges = [round(i * mel.shape[2] / count) for i in range(count + 1)]
        pieces = torch.cat([self(mel[:, :, a:b]) for a, b in pairwise(edges)])
        lengths = torch.tensor([b - a for a, b in pairwise(edges)], device=pieces.device)
        return F.normalize((pieces * lengths[:, None]).sum(0), dim=0)
