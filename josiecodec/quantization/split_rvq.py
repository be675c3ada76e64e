"""The semantic codebook and the acoustic stack taken together: latents [B, F, D] -> codes [B, K, F] -> vectors.

split      semantic(z) + acoustic(z)              each codes the latent itself (Mimi, Moshi table 3)
residual   semantic(z) + acoustic(z - semantic(z))
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .beam_search import beam_encode
from .config import SplitQuantizerConfig
from .rvq import ResidualVectorQuantizer
from .vq import VectorQuantizer


@dataclass
class SplitQuantized:
    """What `SplitResidualVectorQuantizer.forward` returns.

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


class SplitResidualVectorQuantizer(nn.Module):
    """The semantic codebook (level 0) and the acoustic stack (all other levels) of an audio codec.

    Args:
        dim: size of the latents D that go in and of the vectors that come out.
        config: see `SplitQuantizerConfig`.
    """

    def __init__(self, dim: int, config: SplitQuantizerConfig):
        super().__init__()
        self.residual = config.mode == "residual"
        bias = config.mode != "mimi"
        semantic_dim = config.code_dim or config.semantic_dim or config.dim
        self.semantic_vq = VectorQuantizer(dim, code_dim=semantic_dim or None, bias=bias, **config.codebook)
        self.acoustic_rvq = ResidualVectorQuantizer(
            dim,
            config.acoustic_levels,
            rvq_dim=config.dim or None,
            shared_from=config.shared_from if config.shared_from >= 0 else None,
            bias=bias,
            code_dim=config.code_dim or None,
            **config.codebook,
        )

    def encode(self, z: Tensor, n_q: int, beams: int = 1) -> Tensor:
        """Latents -> codes of `n_q` levels, the semantic one first; of the others `beams` hypotheses are kept."""
        semantic = self.semantic_vq.encode(z)
        rest = z - self.semantic_vq.decode(semantic) if self.residual else z
        acoustic = beam_encode(self.acoustic_rvq, rest, n_q - 1, beams)
        return torch.cat([semantic.unsqueeze(-1), acoustic], -1).transpose(1, 2)

    def decode(self, codes: Tensor, n_q: Tensor | None = None) -> Tensor:
        """Codes -> vectors; of each item its first `n_q` [B] levels, or all."""
        codes = codes.transpose(1, 2)
        counts = None if n_q is None else n_q - 1
        return self.semantic_vq.decode(codes[..., 0]) + self.acoustic_rvq.decode(codes[..., 1:], counts)

    def bypass(self, z: Tensor) -> Tensor:
        """What the decoder would get if every vector were its own code."""
        return z if self.residual else self.semantic_vq.bypass(z) + self.acoustic_rvq.bypass(z)

    def initialise(self, latents: Tensor, generator: torch.Generator | None = None) -> None:
        """Place all codes by k-means over `latents` [N, D]."""
        self.semantic_vq.initialise(latents, generator)
        if self.residual:
            latents = latents - self.semantic_vq.decode(self.semantic_vq.encode(latents[None]))[0]
        self.acoustic_rvq.initialise(latents, generator)

    def forward(self, z: Tensor, n_q: Tensor, quantize: Tensor, beams: int = 1) -> SplitQuantized:
        """Quantize for training.

        Codebooks that are in training mode learn, from the nearest codes; else the codes are those of the search, so
        that a decoder that is trained alone learns from what it meets in use.

        Args:
            z: latents.
            n_q: int [B] on the CPU, levels of each item.
            quantize: bool [B] on the CPU; items that are False skip the codebooks.
            beams: hypotheses of the search for codes where codebooks do not learn.
        """
        plain, smooth = self.bypass(z), self.semantic_vq.bypass(z)
        if not bool(quantize.any()):
            codes = torch.zeros(len(z), 0, z.shape[1], dtype=torch.long, device=z.device)
            return SplitQuantized(plain, smooth, codes, z.new_zeros(()))
        if self.acoustic_rvq.training:
            semantic = self.semantic_vq(z)
            rest = z - semantic.vectors if self.residual else z
            # Numbers of levels vector by vector: the commitment loss then compares with the sum of all levels.
            acoustic = self.acoustic_rvq(rest, (n_q - 1).unsqueeze(-1).expand(-1, z.shape[1]))
            vectors, first = semantic.vectors + acoustic.vectors, semantic.vectors
            codes = torch.cat([semantic.codes, acoustic.codes], -1).transpose(1, 2)
            loss = semantic.loss + acoustic.loss
        else:
            with torch.no_grad():
                codes = self.encode(z, int(n_q.max()), beams)
                vectors, first = self.decode(codes, n_q.to(z.device)), self.semantic_vq.decode(codes[:, 0])
            vectors, first = plain + (vectors - plain).detach(), smooth + (first - smooth).detach()
            loss = z.new_zeros(())
        if not bool(quantize.all()):
            vectors = torch.where(quantize.to(z.device)[:, None, None], vectors, plain)
        return SplitQuantized(vectors, first, codes, loss)
