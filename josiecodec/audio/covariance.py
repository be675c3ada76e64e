"""What a decoded base foretells of the original's low band: a covariance for every segment of a frame's spectrum.

Original and base differ by a gain and an angle that neighbouring coefficients have in common, so what the original can
be lies mostly in few directions: those of the base's own coefficients and of their quadrature, the same with the hops
in opposition, and both times a ramp in time, which is another frequency. With M_d the sum of the squares of such a pair
(outer products of a column with itself),

    C = (sum over d of w_d M_d) * decay(distance in frequency) + w diag(v)

A network says all w and v from the base alone. The eigenvectors of C are the transform of the segment and its
eigenvalues the variances, so that nothing but codes is sent (a Karhunen-Loeve transform of the moment).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.linear import RowStableLinear, stable_linear
from ..nn.streaming import State, Streaming, with_past
from .variance import VarianceNetwork

PARTS = (0.45, 0.1, 0.05, 0.02, 0.4)  # weights before training: of the four M_d, and of the diagonal
DECAY = 10.0  # coefficients over which directions lose hold of each other, before training
RAMP = 1.7  # at the ends of a window
FLOOR = 1e-8
MAX_ENTRY = 1e12


def directions_matrix(hop: int, coefficients: int) -> Tensor:
    """Four transforms of a window [4 * coefficients, 2 * hop]: the MDCT, its quadrature, and both of a ramp in time."""
    n = torch.arange(2 * hop, dtype=torch.float64)[:, None] + 0.5
    k = torch.arange(coefficients, dtype=torch.float64) + 0.5
    window = torch.sin(math.pi / (2 * hop) * n) * (2 / hop) ** 0.5
    angle = math.pi / hop * (n + hop / 2) * k
    ramp = (n / hop - 1) * RAMP
    parts = [window * angle.cos(), window * angle.sin(), ramp * window * angle.cos(), ramp * window * angle.sin()]
    return torch.cat(parts, 1).t().float().contiguous()


class Segments:
    """Coefficients [B, F * hops, K] in segments [B * F, K / size, hops * size], and back."""

    def __init__(self, coefficients: int, hops: int, size: int):
        self.count, self.hops, self.size = coefficients // size, hops, size
        self.dim = hops * size

    def split(self, x: Tensor) -> Tensor:
        """To segments."""
        return x.reshape(-1, self.hops, self.count, self.size).transpose(1, 2).reshape(-1, self.count, self.dim)

    def join(self, x: Tensor) -> Tensor:
        """To coefficients of all hops in a row, [N * hops, K]."""
        parts = x.reshape(-1, self.count, self.hops, self.size).transpose(1, 2)
        return parts.reshape(-1, self.count * self.size)


class CovarianceNetwork(Streaming):
    """Low band of a base [B, F * hops * hop] -> covariances [B * F, K / segment, D, D], D being hops * segment.

    Args:
        hop, coefficients, width, blocks, expansion, kernel: of its `VarianceNetwork`.
        hops: of a frame.
        segment: coefficients of a hop in a segment.
    """

    directions: Tensor
    opposition: Tensor
    distance: Tensor

    def __init__(
        self,
        hop: int,
        coefficients: int,
        hops: int,
        segment: int,
        width: int,
        blocks: int,
        expansion: int,
        kernel: int,
    ):
        super().__init__()
        self.hop, self.hops = hop, hops
        self.segments = Segments(coefficients, hops, segment)
        self.variance = VarianceNetwork(hop, coefficients, width, blocks, expansion, kernel)
        self.norm = nn.LayerNorm(hops * width)
        self.hidden = RowStableLinear(hops * width, width)
        self.parts = RowStableLinear(width, self.segments.count * len(PARTS))
        self.gain = RowStableLinear(width, hops * coefficients)
        self.decay = nn.Parameter(torch.tensor(math.log(DECAY)))
        for layer in (self.parts, self.gain):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.parts.bias.copy_(torch.tensor(PARTS).log().repeat(self.segments.count))
        self.register_buffer("directions", directions_matrix(hop, coefficients), False)
        sign = torch.tensor([(-1.0) ** h for h in range(hops)]).repeat_interleave(segment)
        place = torch.arange(segment, dtype=torch.float32).repeat(hops)
        self.register_buffer("opposition", sign, False)
        self.register_buffer("distance", (place[:, None] - place).abs(), False)

    def forward(self, base: Tensor, state: State | None = None) -> Tensor:
        windows = with_past(self, base, self.hop, 1, state).unfold(1, 2 * self.hop, self.hop)
        features, log_power = self.variance.hear(base, state)
        log_variance = log_power + self.variance.told(features)
        split = self.segments.split
        told = F.gelu(self.hidden(self.norm(features.reshape(-1, self.norm.normalized_shape[0]))))
        parts = self.parts(told).float().view(-1, self.segments.count, len(PARTS), 1, 1).exp()
        more = split(self.gain(told).float().view(*log_variance.shape))
        gain = (0.5 * (split(log_variance - log_power) + more)).clamp(-6, 6).exp()
        pairs = stable_linear(windows, self.directions, None).chunk(4, -1)
        real, imag, ramp_real, ramp_imag = (split(part) * gain for part in pairs)
        total = torch.zeros_like(parts[:, :, 0])
        for part, (a, b) in enumerate(
            (
                (real, imag),
                (real * self.opposition, imag * self.opposition),
                (ramp_real, ramp_imag),
                (ramp_real * self.opposition, ramp_imag * self.opposition),
            )
        ):
            total = total + 0.5 * parts[:, :, part] * (_outer(a) + _outer(b))
        diagonal = parts[:, :, -1, :, 0] * split(log_variance).exp() + FLOOR
        total = total * (-self.distance / self.decay.exp()).exp() + torch.diag_embed(diagonal)
        return total.nan_to_num(0.0).clamp(-MAX_ENTRY, MAX_ENTRY)


def _outer(x: Tensor) -> Tensor:
    return x.unsqueeze(-1) * x.unsqueeze(-2)


def negative_log_likelihood(covariance: Tensor, segments: Tensor) -> Tensor:
    """Negative log likelihood of segments [N, S, D], in nats, less a constant: [N, S]."""
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, segments.unsqueeze(-1), upper=False)[..., 0]
    return root.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * white.square().sum(-1)


@dataclass
class FrameTransform:
    """The transform of N frames that both sides know.

    Attributes:
        segments: how coefficients are divided.
        weights: [N, S, D] of the coefficients, before the transform.
        vectors: [N, S, D, D], eigenvectors of weighted coefficients in columns.
        variance: [N, S, D] of the coefficients as they are.
        log_variance: [N, S * D] of transformed ones.
        frequency: [N, S * D] of transformed ones, in Hz.
    """

    segments: Segments
    weights: Tensor
    vectors: Tensor
    variance: Tensor
    log_variance: Tensor
    frequency: Tensor

    @staticmethod
    def of(covariance: Tensor, segments: Segments, frequency: Tensor, weighting: float) -> FrameTransform:
        """From covariances [N, S, D, D] and the frequency of coefficients [K].

        Weights are variances to the power of -weighting / 2: 0 for the least squared error, 1 for the same ratio of
        signal to noise everywhere.
        """
        variance = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(FLOOR)
        weights = (-0.5 * weighting * variance.log()).exp()
        weighted = (covariance * _outer(weights)).double()
        values, vectors = torch.linalg.eigh(weighted + FLOOR * 0.1 * torch.eye(segments.dim, device=weighted.device))
        # Eigenvectors have two signs, and libraries choose as they like; codes need one.
        reference = torch.cos(1 + 2.4 * torch.arange(segments.dim, device=vectors.device, dtype=vectors.dtype))
        sign = torch.where((vectors * reference.unsqueeze(-1)).sum(-2, keepdim=True) < 0, -1.0, 1.0)
        vectors = (vectors * sign).float().contiguous()
        places = segments.split(frequency.repeat(segments.hops, 1))[0]
        middle = (vectors.square() * places.unsqueeze(-1)).sum(-2).flatten(1)
        log_variance = values.float().clamp_min(1e-9).log().flatten(1)
        return FrameTransform(segments, weights, vectors, variance, log_variance, middle)

    def forward(self, coefficients: Tensor) -> Tensor:
        """[B, F * hops, K] -> [N, S * D]."""
        x = self.segments.split(coefficients) * self.weights
        return _summed(self.vectors.mT.contiguous(), x).flatten(1)

    def inverse(self, x: Tensor) -> Tensor:
        """[N, S * D] -> coefficients [N * hops, K]."""
        return self.segments.join(_summed(self.vectors, x.reshape(self.weights.shape)) / self.weights)

    def uncoded(self, left: Tensor) -> Tensor:
        """Share of the variance of each coefficient [N * hops, K], of what is left in each direction [N, S * D]."""
        rest = _summed(self.vectors.square(), left.reshape(self.weights.shape))
        return self.segments.join(rest / self.weights.square() / self.variance)


def _summed(matrix: Tensor, x: Tensor) -> Tensor:
    """Products of matrices [..., D, D] with vectors [..., D], each by itself."""
    return (matrix * x.unsqueeze(-2)).sum(-1)
