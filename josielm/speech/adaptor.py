"""The variance adaptor: how long, how high and how loud each symbol is, and symbols spread over time accordingly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .blocks import Predictor
from .config import FRAME_SECONDS, STEPS, VoiceConfig

STEP_SECONDS = FRAME_SECONDS / STEPS
LONGEST = 2.0  # seconds of one symbol


@dataclass
class Variance:
    """How symbols are spoken, each [B, L].

    Attributes:
        seconds: of each.
        pitch: octaves above 100 Hz, of what is voiced.
        voiced: share of a symbol that is, 0 to 1.
        energy: logarithm of the level, e-fold.
    """

    seconds: Tensor
    pitch: Tensor
    voiced: Tensor
    energy: Tensor


class VarianceAdaptor(nn.Module):
    """Predicts `Variance` from what symbols became, and adds what it is told to them (FastSpeech 2, FastPitch)."""

    centre: Tensor
    scale: Tensor

    def __init__(self, config: VoiceConfig):
        super().__init__()
        self.predictor = Predictor(config.dim, 4)
        self.embed = nn.Conv1d(4, config.dim, 3, padding=1)
        # Of logarithms of seconds, pitch, voiced and energy, so that all of them are about -1 to 1.
        self.register_buffer("centre", torch.tensor([-2.6, 1.0, 0.5, -4.0]))
        self.register_buffer("scale", torch.tensor([0.6, 0.3, 0.5, 1.5]))

    def normal(self, v: Variance) -> Tensor:
        """[B, L, 4], about -1 to 1."""
        numbers = [v.seconds.clamp(min=1e-3).log(), v.pitch, v.voiced, v.energy]
        return (torch.stack(numbers, -1) - self.centre) / self.scale

    def predict(self, x: Tensor, keep: Tensor) -> Tensor:
        """Normal numbers [B, L, 4] of encoded symbols; they do not teach the encoder much."""
        return self.predictor(0.9 * x.detach() + 0.1 * x, keep)

    def variance(self, normal: Tensor) -> Variance:
        """What `normal` numbers mean."""
        seconds, pitch, voiced, energy = (normal * self.scale + self.centre).unbind(-1)
        return Variance(seconds.exp().clamp(0.0, LONGEST), pitch, voiced.clamp(0, 1), energy)

    def forward(self, x: Tensor, v: Variance, keep: Tensor) -> Tensor:
        """Encoded symbols with what they are told."""
        normal = self.normal(v)
        voiced = v.voiced
        numbers = torch.stack([normal[..., 0], normal[..., 1] * voiced, normal[..., 2], normal[..., 3]], -1) * keep
        return x + self.embed(numbers.transpose(1, 2)).transpose(1, 2)


def spread(seconds: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """How much of each step belongs to each symbol, and where in their symbols steps are.

    Args:
        seconds: of the symbols [B, L]; 0 for padding.
        steps: of `STEP_SECONDS`.

    Returns:
        shares [B, steps, L], each step's adding up to 1 up to the end of the last symbol; and [B, steps, 3]: the place
        in the symbol from 0 to 1, and the logarithms of the seconds since its begin and to its end.
    """
    ends = (seconds / STEP_SECONDS).cumsum(1)[:, None]
    begins = torch.cat([torch.zeros_like(ends[..., :1]), ends[..., :-1]], -1)
    time = torch.arange(steps, device=seconds.device, dtype=seconds.dtype)[None, :, None]
    shares = (torch.minimum(ends, time + 1) - torch.maximum(begins, time)).clamp(min=0)
    middle = time + 0.5
    since, until = (middle - begins).clamp(min=0), (ends - middle).clamp(min=0)
    place = since / (since + until).clamp(min=1e-3)
    where = torch.stack([place, torch.log1p(since), torch.log1p(until)], -1)
    return shares, (shares[..., None] * where).sum(2)
