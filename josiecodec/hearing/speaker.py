"""Who speaks: a voice as 256 numbers of length 1, so that a dot product says how alike two voices are."""

from __future__ import annotations

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


@dataclass(frozen=True)
class SpeakerConfig:
    """A speaker encoder.

    Attributes:
        kind: "speaker".
        channels: of the convolutions and of the recurrent layer.
        kernel: frames that a convolution sees, odd.
        strides: of the convolutions, one after another.
        size: numbers of an embedding.
    """

    kind: Literal["speaker"] = "speaker"
    channels: int = 256
    kernel: int = 5
    strides: tuple[int, ...] = (2, 2, 1)
    size: int = 256

    def __post_init__(self) -> None:
        if not 1 <= len(self.strides) <= 16 or not all(1 <= s <= 8 for s in self.strides):
            raise ConfigError("speaker: strides are one to sixteen numbers from 1 to 8")
        if not (1 <= self.channels <= 4096 and 1 <= self.size <= 4096):
            raise ConfigError("speaker: channels and size are 1 to 4096")
        if not 1 <= self.kernel <= 99 or self.kernel % 2 == 0:
            raise ConfigError("speaker: kernel is an odd number from 1 to 99")


class SpeakerEncoder(nn.Module):
    """Convolutions over mel bands, a GRU, and the mean of what it says in all frames.

    After the speaker encoder of J.O.S.I.E. (Gülmez 2025) and GE2E (Wan et al. 2018, arXiv 1710.10467); the mean stands
    where these have the last state, which forgets the beginning.
    """

    def __init__(self, config: SpeakerConfig | None = None):
        super().__init__()
        self.config = config or SpeakerConfig()
        self.mel = LogMel()
        inputs = [BANDS, *[self.config.channels] * (len(self.config.strides) - 1)]
        self.frame_encoder = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(width, self.config.channels, self.config.kernel, stride, self.config.kernel // 2),
                    nn.ReLU(),
                    nn.BatchNorm1d(self.config.channels),
                )
                for width, stride in zip(inputs, self.config.strides, strict=True)
            )
        )
        self.gru = nn.GRU(self.config.channels, self.config.channels, batch_first=True)
        self.output_proj = nn.Linear(self.config.channels, self.config.size)

    def forward(self, mel: Tensor) -> Tensor:
        """Logarithms of mel bands [B, 80, T], as `LogMel` gives them -> embeddings [B, 256] of length 1."""
        x = (mel - mel.mean((1, 2), keepdim=True)) / 3  # whatever the level; bands differ by about 3
        states, _ = self.gru(self.frame_encoder(x).transpose(1, 2))
        return F.normalize(self.output_proj(states.mean(1)).float(), dim=-1)

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
