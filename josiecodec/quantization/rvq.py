"""A residual stack of codebooks, each coding what the ones before left over (SoundStream, 2021)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import CodesError
from ..nn.linear import RowStableLinear
from .vq import Quantized, VectorQuantizer, masked_mse

MIN_VECTORS = 4096  # that codes are placed over, rather than leave out those that need no further levels


class ResidualVectorQuantizer(nn.Module):
    """A stack of codebooks, each coding what the ones before left over (SoundStream, 2021).

    Args:
        dim: size of the vectors that go in and come out.
        levels: number of codebooks K.
        shared_from: from this level on all use one codebook, each with a scale of its own (the leftovers of
            deep levels differ in size, hardly in shape, and few data cannot fill a codebook for each); None
            for a codebook a level.
        rvq_dim: size of the space that the stack works in; if it is not `dim`, one linear map leads
            in and one out (as in Mimi), else the stack works on the input itself.
        bias: of the linear map in.
        settings: the arguments of each `VectorQuantizer` but `dim` and `bias`.
    """

    size: Tensor

    def __init__(
        self,
        dim: int,
        levels: int,
        rvq_dim: int | None = None,
        shared_from: int | None = None,
        bias: bool = True,
        **settings: Any,
    ):
        super().__init__()
        rvq_dim = rvq_dim or dim
        self.projected = rvq_dim != dim
        if self.projected:
            self.project_in = RowStableLinear(dim, rvq_dim, bias=bias)
            self.project_out = RowStableLinear(rvq_dim, dim, bias=False)  # no levels: zeros
        self.levels = levels
        own = levels if shared_from is None else min(levels, shared_from + 1)
        self.quantizers = nn.ModuleList(VectorQuantizer(rvq_dim, **settings) for _ in range(own))
        if own < levels:
            self.register_buffer("size", torch.ones(levels))  # mean squares, of the levels that share

    def _stack(self) -> list[VectorQuantizer]:
        return list(self.quantizers)  # type: ignore[arg-type]

    @property
    def supports_beam_search(self) -> bool:
        """Whether codebooks compare vectors of the stack's space as they are, neither projected nor normalised."""
        return not any(quantizer.projected or quantizer.normalize for quantizer in self._stack())

    def level(self, k: int) -> tuple[VectorQuantizer, Tensor | float]:
        """The codebook of level k, and the size of what it codes in units of that codebook."""
        own = len(self.quantizers)
        quantizer = self._stack()[min(k, own - 1)]
        if k < own:
            return quantizer, 1.0
        size = self.size.clamp_min(1e-12)  # nothing at all is left over of too few vectors
        return quantizer, (size[k] / size[own - 1]).sqrt()

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """[B, T, dim] -> codes [B, T, levels]."""
        residual = self.enter(x)
        codes = []
        for k in range(min(levels, self.levels)):
            quantizer, scale = self.level(k)
            codes.append(quantizer.encode(residual / scale))
            residual = residual - quantizer.decode(codes[-1]) * scale
        if not codes:
            return torch.zeros(*x.shape[:2], 0, dtype=torch.long, device=x.device)
        return torch.stack(codes, -1)

    def decode(self, codes: Tensor, counts: Tensor | None = None) -> Tensor:
        """Codes [B, T, n] of the first n levels -> [B, T, dim]. No levels at all give zeros.

        With `counts` [B] only so many levels of each item count.
        """
        if codes.shape[-1] > self.levels:
            raise CodesError(f"{codes.shape[-1]} levels of codes for a stack of {self.levels}")
        weight = self._stack()[0].codebook.weight
        dim = self.project_out.in_features if self.projected else self._dim()
        total = torch.zeros(*codes.shape[:2], dim, dtype=weight.dtype, device=codes.device)
        for k in range(codes.shape[-1]):
            quantizer, scale = self.level(k)
            vectors = quantizer.decode(codes[..., k]) * scale
            total = total + (vectors if counts is None else vectors * (counts > k)[:, None, None])
        return self.project_out(total) if self.projected else total

    def forward(self, x: Tensor, n_q: Tensor) -> Quantized:
        """Quantize for training.

        Args:
            x: [B, T, dim].
            n_q: int [B] or [B, T] on the CPU, levels to use for each item or vector (quantizer dropout is
                the caller's choice).
        """
        n_q = n_q.reshape(len(x), -1)
        z = self.enter(x)
        plain = not self._stack()[0].projected
        residual, total = z, torch.zeros_like(z)
        codes, losses = [], []
        used = self._max_levels(int(n_q.max()), z.device)
        for k in range(used):
            active = (n_q > k).to(z.device, non_blocking=True)
            quantizer, scale = self.level(k)
            if self.training and k >= len(self.quantizers) - 1 and len(self.quantizers) < self.levels:
                self._track_size(k, residual, active)
            if plain and active.shape[1] > 1:
                step = self._active_only(quantizer, residual / scale, active)
            else:
                step = quantizer(residual / scale, active)
            vectors = step.vectors * active.unsqueeze(-1) * scale
            residual = residual - (vectors.detach() if plain else vectors)
            total = total + (vectors.detach() if plain else vectors)
            codes.append(step.codes)
            losses.append(step.loss)
        loss = torch.stack(losses).mean() if losses else z.new_zeros(())
        if plain:  # straight through once, over the sum of all levels
            if self._stack()[0].ema and n_q.shape[1] > 1:
                # Each vector is compared with the sum of all of its levels. Compared with the sums on the way there,
                # too, the encoder would learn to leave deep levels nothing.
                loss = self._stack()[0].commitment * masked_mse(z, total.detach(), (n_q > 0).to(z.device))
            total = z + (total - z).detach()
        total = total * (n_q > 0).to(z.device).unsqueeze(-1)
        out = self.project_out(total) if self.projected else total
        stacked = torch.cat(codes, -1) if codes else torch.zeros(*x.shape[:2], 0, dtype=torch.long, device=z.device)
        return Quantized(out, stacked, loss)

    def _max_levels(self, used: int, device: torch.device) -> int:
        """The greatest number of levels that a process uses: all meet at every level, to share statistics."""
        if not (self.training and dist.is_available() and dist.is_initialized()):
            return used
        greatest = torch.tensor(used, device=device)
        dist.all_reduce(greatest, dist.ReduceOp.MAX)
        return int(greatest)

    @staticmethod
    def _active_only(quantizer: VectorQuantizer, x: Tensor, active: Tensor) -> Quantized:
        """Quantize nothing but the active vectors, which are few at deep levels."""
        rows = active.flatten().nonzero()[:, 0]
        if not len(rows):
            return quantizer(x, active)
        flat = x.reshape(-1, x.shape[-1])
        step = quantizer(flat[rows][None])
        vectors = torch.zeros_like(flat).index_copy(0, rows, step.vectors[0].to(flat.dtype))
        codes = rows.new_zeros(len(flat)).index_copy(0, rows, step.codes[0, :, 0])
        return Quantized(vectors.view_as(x), codes.view(*x.shape[:2], 1), step.loss)

    def bypass(self, x: Tensor) -> Tensor:
        """The way of `x` without quantization: [B, T, dim] -> [B, T, dim]."""
        z = self.enter(x)
        return self.project_out(z) if self.projected else z

    @torch.no_grad()
    def initialise(self, x: Tensor, generator: torch.Generator | None = None, stop_below: Tensor | None = None) -> None:
        """Place the codes of every level by k-means over `x` [N, dim] and its residuals.

        With `stop_below` [N] a vector is left out of further levels once its squared error is below that, as it
        would be where every vector gets as many levels as it is worth.
        """
        residual = self.enter(x)
        for k in range(self.levels):
            if stop_below is not None:
                goes_on = residual.square().sum(-1) > stop_below
                if int(goes_on.sum()) >= MIN_VECTORS:
                    residual, stop_below = residual[goes_on], stop_below[goes_on]
            if k < len(self.quantizers):
                self._stack()[k].initialise(residual, generator)
            if len(self.quantizers) < self.levels:
                self.size[k] = residual.square().mean()
            quantizer, scale = self.level(k)
            residual = residual - quantizer.decode(quantizer.encode(residual[None] / scale))[0] * scale

    @torch.no_grad()
    def _track_size(self, k: int, residual: Tensor, active: Tensor) -> None:
        """Update the mean square of what a level with the shared codebook codes."""
        weight = active.expand(residual.shape[:-1]).to(residual.dtype)
        sums = torch.stack([(residual.square().mean(-1) * weight).sum(), weight.sum()])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
        moved = self.size[k].lerp(sums[0] / sums[1].clamp_min(1), 0.01)
        self.size[k] = torch.where(sums[1] > 0, moved, self.size[k])

    def reset_statistics(self) -> None:
        """`VectorQuantizer.reset_statistics` on every level."""
        for quantizer in self._stack():
            quantizer.reset_statistics()

    def enter(self, x: Tensor) -> Tensor:
        """[..., dim] -> fp32 in the stack's own space."""
        return (self.project_in(x) if self.projected else x).float()

    def _dim(self) -> int:
        first = self._stack()[0]
        return first.project_in.in_features if first.projected else first.codebook.embedding_dim
