"""The semantic codebook and the acoustic stack taken together: latents [B, F, D] -> codes [B, K, F] -> vectors.

split      semantic(z) + acoustic(z)              each codes the latent itself (Mimi, Moshi table 3)
residual   semantic(z) + acoustic(z - semantic(z))
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .beam_search import encode as search
from .rvq import ResidualVectorQuantizer
from .vq import VectorQuantizer


@dataclass
class SplitQuantized:
    """What `SplitQuantizer.learn` returns.

    Attributes:
        vectors: for the decoder [B, F, D], with a straight-through gradient.
        semantic: the semantic level's part of them.
        codes: [B, K, F] of the levels used.
        loss: scalar, commitment and codebook losses.
    """

    vectors: Tensor
    semantic: Tensor
    codes: Tensor
    loss: Tensor


@dataclass(frozen=True)
class SplitQuantizer:
    """Both quantizers of a codec of sound.

    Attributes:
        semantic: the first level.
        acoustic: all others.
        residual: the acoustic stack codes what the semantic level left over.
        beams: sums of acoustic codes that are kept in the search.
    """

    semantic: VectorQuantizer
    acoustic: ResidualVectorQuantizer
    residual: bool
    beams: int

    def encode(self, z: Tensor, n_q: int) -> Tensor:
        """Latents -> codes of `n_q` levels, the semantic one first."""
        semantic = self.semantic.encode(z)
        rest = z - self.semantic.decode(semantic) if self.residual else z
        acoustic = search(self.acoustic, rest, n_q - 1, self.beams)
        return torch.cat([semantic.unsqueeze(-1), acoustic], -1).transpose(1, 2)

    def decode(self, codes: Tensor, n_q: Tensor | None = None) -> Tensor:
        """Codes -> vectors; of each item its first `n_q` [B] levels, or all."""
        codes = codes.transpose(1, 2)
        counts = None if n_q is None else n_q - 1
        return self.semantic.decode(codes[..., 0]) + self.acoustic.decode(codes[..., 1:], counts)

    def bypass(self, z: Tensor) -> Tensor:
        """What the decoder would get if every vector were its own code."""
        return z if self.residual else self.semantic.bypass(z) + self.acoustic.bypass(z)

    def initialise(self, latents: Tensor, generator: torch.Generator | None = None) -> None:
        """Place all codes by k-means over `latents` [N, D]."""
        self.semantic.initialise(latents, generator)
        if self.residual:
            latents = latents - self.semantic.decode(self.semantic.encode(latents[None]))[0]
        self.acoustic.initialise(latents, generator)

    def learn(self, z: Tensor, n_q: Tensor, quantize: Tensor) -> SplitQuantized:
        """Quantize for training.

        Codebooks that are in training mode learn, from the nearest codes; else the codes are those of the search, so
        that a decoder that is trained alone learns from what it meets in use.

        Args:
            z: latents.
            n_q: int [B] on the CPU, levels of each item.
            quantize: bool [B] on the CPU; items that are False skip the codebooks.
        """
        plain, smooth = self.bypass(z), self.semantic.bypass(z)
        if not bool(quantize.any()):
            codes = torch.zeros(len(z), 0, z.shape[1], dtype=torch.long, device=z.device)
            return SplitQuantized(plain, smooth, codes, z.new_zeros(()))
        if self.acoustic.training:
            semantic = self.semantic(z)
            rest = z - semantic.vectors if self.residual else z
            # Levels are told vector by vector, so that a vector is held to the sum of all of its levels, see there.
            acoustic = self.acoustic(rest, (n_q - 1).unsqueeze(-1).expand(-1, z.shape[1]))
            vectors, first = semantic.vectors + acoustic.vectors, semantic.vectors
            codes = torch.cat([semantic.codes, acoustic.codes], -1).transpose(1, 2)
            loss = semantic.loss + acoustic.loss
        else:
            with torch.no_grad():
                codes = self.encode(z, int(n_q.max()))
                vectors, first = self.decode(codes, n_q.to(z.device)), self.semantic.decode(codes[:, 0])
            vectors, first = plain + (vectors - plain).detach(), smooth + (first - smooth).detach()
            loss = z.new_zeros(())
        if not bool(quantize.all()):
            vectors = torch.where(quantize.to(z.device)[:, None, None], vectors, plain)
        return SplitQuantized(vectors, first, codes, loss)
