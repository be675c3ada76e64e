"""A vector quantizer: one codebook. Stacks of them are in `rvq.py`.

A codebook is learnt in one of two ways behind one interface:

* `ema`: each code is the moving average of the vectors that chose it (van den Oord et al. 2017,
  appendix A.1); codes that nothing chooses are restarted at recent inputs (Jukebox, SoundStream);
* `gradient`: codes are parameters with a codebook loss, best with a low `code_dim` and `normalize`
  (factorised, l2-normalised codes: Yu et al. 2021, DAC).

Gradients reach the encoder by the straight-through estimator. Distances are computed in fp32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.linear import RowStableLinear, exporting, stable_linear
from .kmeans import kmeans


@dataclass
class Quantized:
    """What a quantizer's `forward` returns in training.

    Attributes:
        vectors: quantized vectors [B, T, D], with a straight-through gradient.
        codes: chosen entries [B, T, K] (int64).
        loss: scalar, commitment (+ codebook) loss, weighted as the quantizer's arguments say.
    """

    vectors: Tensor
    codes: Tensor
    loss: Tensor


class VectorQuantizer(nn.Module):
    """One codebook: [B, T, dim] -> codes [B, T] and back.

    Args:
        dim: size of the vectors that go in and come out.
        codebook_size: number of codes.
        code_dim: size of the codes; if it is not `dim`, a linear map leads in and another out.
        normalize: compare directions only (both sides l2-normalised).
        update: "ema" or "gradient".
        decay: of the moving averages, per step.
        window: vectors per code that the averages reach back over at least, however few a step brings (deep levels
            of a stack may see few); 0 to leave that to `decay`.
        restart_below: a code used less than this fraction of its fair share is restarted (ema).
        commitment: weight of the commitment loss; the codebook loss (gradient) has weight 1.
        bias: of the linear maps.
    """

    cluster_size: Tensor
    embed_sum: Tensor
    usage: Tensor

    def __init__(
        self,
        dim: int,
        codebook_size: int = 2048,
        code_dim: int | None = None,
        normalize: bool = False,
        update: str = "ema",
        decay: float = 0.99,
        window: int = 0,
        restart_below: float = 0.1,
        commitment: float = 0.25,
        bias: bool = True,
    ):
        super().__init__()
        code_dim = code_dim or dim
        self.projected = code_dim != dim
        self.normalize = normalize
        self.ema = update == "ema"
        self.decay = decay
        self.window = window
        self.restart_below = restart_below
        self.commitment = commitment
        if self.projected:
            self.project_in = RowStableLinear(dim, code_dim, bias=bias)
            self.project_out = RowStableLinear(code_dim, dim, bias=bias)
        self.codebook = nn.Embedding(codebook_size, code_dim)
        self.codebook.weight.requires_grad_(not self.ema)
        self._cache: tuple[tuple[int, int] | None, tuple[Tensor, Tensor, Tensor]] | None = None
        # Statistics of training; not saved with the weights that ship.
        self.register_buffer("usage", torch.full((codebook_size,), 1 / codebook_size), False)
        if self.ema:
            self.register_buffer("cluster_size", torch.ones(codebook_size), False)
            self.register_buffer("embed_sum", self.codebook.weight.detach().clone(), False)

    @property
    def codebook_size(self) -> int:
        return self.codebook.num_embeddings

    def to_code_space(self, x: Tensor) -> Tensor:
        """[..., dim] -> fp32 [..., code_dim], as compared with the codes."""
        if self.projected:
            x = self.project_in(x)
        x = x.float()
        return F.normalize(x, dim=-1) if self.normalize else x

    def bypass(self, x: Tensor) -> Tensor:
        """What would come out if every vector were its own code: [..., dim] -> [..., dim]."""
        z = self.to_code_space(x)
        return self.project_out(z) if self.projected else z

    def codes_in_use(self) -> Tensor:
        """The codes as compared with inputs [codebook_size, code_dim]."""
        weight = self.codebook.weight.float()
        return F.normalize(weight, dim=-1) if self.normalize else weight

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the nearest code of each vector of `to_code_space`, [..., code_dim] -> [...]."""
        center, codes, bias = self.table()
        with torch.autocast(z.device.type, enabled=False):
            return stable_linear(z.detach() - center, codes, bias, exact=not self.training).argmax(-1)

    @torch.no_grad()
    def table(self) -> tuple[Tensor, Tensor, Tensor]:
        """What distances are computed from; cached while the codes stay as they are.

        argmin |z - c|^2 = argmax z.c - |c|^2 / 2, and with both taken from the middle of the codes: else a
        common offset eats the digits that tell close codes apart.
        """
        weight = self.codebook.weight
        # Not cached while training: a fused optimizer changes weights without counting it as a change.
        key = None if self.training or weight.is_inference() or exporting() else (weight.data_ptr(), weight._version)
        if key is None or self._cache is None or self._cache[0] != key:
            codes = self.codes_in_use()
            center = codes.mean(0)
            codes = codes - center
            table = center, codes, -0.5 * codes.square().sum(-1)
            if exporting():
                return table
            self._cache = (key, table)
        return self._cache[1]

    def encode(self, x: Tensor) -> Tensor:
        """[B, T, dim] -> codes [B, T]."""
        return self.nearest(self.to_code_space(x))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, T] -> vectors [B, T, dim]. Codes must be in range."""
        vectors = F.embedding(codes, self.codes_in_use())
        return self.project_out(vectors) if self.projected else vectors

    def forward(self, x: Tensor, active: Tensor | None = None) -> Quantized:
        """Quantize for training, update statistics.

        Args:
            x: [B, T, dim].
            active: bool [B, 1] or [B, T]; only these vectors count in losses and statistics.
        """
        z = self.to_code_space(x)
        codes = self.nearest(z)
        if active is None:
            active = torch.ones(len(x), 1, dtype=torch.bool, device=x.device)
        vectors = F.embedding(codes, self.codes_in_use())
        if self.training:  # afterwards: codes that have just moved to these inputs would flatter them
            self._learn(z.detach(), codes, active)
        loss = self.commitment * masked_mse(z, vectors.detach(), active)
        if not self.ema:
            loss = loss + masked_mse(vectors, z.detach(), active)
        vectors = z + (vectors - z).detach()
        if self.projected:
            vectors = self.project_out(vectors)
        return Quantized(vectors, codes.unsqueeze(-1), loss)

    @torch.no_grad()
    def initialise(self, x: Tensor, generator: torch.Generator | None = None) -> None:
        """Place the codes by k-means over `x` [N, dim] (at least some 10 vectors a code)."""
        z = self.to_code_space(x)
        centers, counts = kmeans(z, self.codebook_size, generator=generator)
        self.codebook.weight.copy_(centers)
        self.usage.copy_(counts / counts.sum())
        if self.ema:
            self.cluster_size.copy_((counts / counts.mean()).clamp_min(self.restart_below * 2))
            self.embed_sum.copy_(centers * self.cluster_size[:, None])

    @torch.no_grad()
    def reset_statistics(self) -> None:
        """Take the present codes as the outcome of averaging (after loading shipped weights)."""
        if self.ema:
            self.cluster_size.fill_(1.0)
            self.embed_sum.copy_(self.codebook.weight)

    @torch.no_grad()
    def _learn(self, z: Tensor, codes: Tensor, active: Tensor) -> None:
        """Update statistics (and, with `ema`, the codes). No values travel back from a GPU here."""
        z = z.reshape(-1, z.shape[-1])
        weight = active.expand(codes.shape).reshape(-1).to(z.dtype)
        codes = codes.reshape(-1)
        size = self.codebook_size
        counts = z.new_zeros(size).index_add_(0, codes, weight)
        sums = z.new_zeros(size, z.shape[1])
        if self.ema:
            sums.index_add_(0, codes, z * weight[:, None])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        total = counts.sum()
        any_vector = (total > 0).to(z.dtype)
        total = total.clamp_min(1)
        rate = (1 - self.decay) * any_vector
        if self.window:
            rate = torch.minimum(rate, total / (size * self.window))
        self.usage.lerp_(counts / total, rate)
        if not self.ema:
            return
        # In units of the fair share, so that the threshold does not depend on the batch size.
        fair = total / size
        self.cluster_size.lerp_(counts / fair, rate)
        self.embed_sum.lerp_(sums / fair, rate)
        self._restart(z, weight)
        self.codebook.weight.copy_(self.embed_sum / self.cluster_size[:, None].clamp_min(1e-5))

    def _restart(self, z: Tensor, weight: Tensor) -> None:
        """Move codes that are hardly used to inputs of this batch, as if averagely used."""
        dead = self.cluster_size < self.restart_below
        pick = z[torch.multinomial(weight + 1e-12, len(dead), replacement=True)]
        if dist.is_available() and dist.is_initialized():
            dist.broadcast(pick, 0)
        self.embed_sum.copy_(torch.where(dead[:, None], pick, self.embed_sum))
        self.cluster_size.copy_(torch.where(dead, torch.ones_like(self.cluster_size), self.cluster_size))


def codebook_statistics(usage: Tensor) -> dict[str, float]:
    """How a codebook is used, from the frequencies of its codes.

    Args:
        usage: counts or frequencies [codebook_size].

    Returns:
        `used`: fraction of the codes that occur at all; `entropy_bits`: order-0 entropy;
        `perplexity`: 2 ** entropy_bits.
    """
    p = usage.double() / usage.sum().clamp_min(1e-12)
    entropy = float(-(p * p.clamp_min(1e-12).log2()).sum())
    return {"used": float((usage > 0).double().mean()), "entropy_bits": entropy, "perplexity": 2**entropy}


def masked_mse(a: Tensor, b: Tensor, active: Tensor) -> Tensor:
    """Mean squared difference [B, T, D] over the vectors that `active` [B, 1] or [B, T] names."""
    weight = active.expand(a.shape[:-1]).to(a.dtype)
    return ((a - b).square().mean(-1) * weight).sum() / weight.sum().clamp_min(1)
