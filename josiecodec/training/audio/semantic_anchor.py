"""Keeping the semantic level of a trained model while the rest is trained further.

A semantic level that was taught once need not be taught again, and files made before and after then mean the same by
it: its codebook stays, and the encoder is held to the vectors that the earlier encoder gives it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...coding.jodio import Jodio
from ...errors import ConfigError


class SemanticAnchor(nn.Module):
    """The semantic level of a model as it was.

    Args:
        before: the model whose level is kept.
    """

    size: Tensor

    def __init__(self, before: Jodio):
        super().__init__()
        self.before = before.eval().requires_grad_(False)
        # The scale of its vectors, so that the distance has a unit.
        codes = self.before.quantizer.semantic_vq.codes_in_use()
        self.register_buffer("size", codes.var(0).mean(), False)

    def take_over(self, model: Jodio) -> None:
        """Give `model` the semantic level as it was, for good.

        Raises:
            ConfigError: if the two models' levels differ in shape.
        """
        try:
            model.quantizer.semantic_vq.load_state_dict(self.before.quantizer.semantic_vq.state_dict())
        except RuntimeError:
            raise ConfigError("semantic_anchor: that model's semantic level has another shape") from None
        model.quantizer.semantic_vq.requires_grad_(False)
        model.quantizer.semantic_vq.train(False)

    def forward(self, model: Jodio, latent: Tensor, x: Tensor) -> Tensor:
        """How far the latents [B, F, D] of waveforms [B, 1, T] lie from those of the model before, a scalar.

        Only what the semantic level sees of them counts; 1 is the variance of its codes.
        """
        with torch.no_grad():
            wanted = self.before.quantizer.semantic_vq.to_code_space(self.before.latent(x))
        return (model.quantizer.semantic_vq.to_code_space(latent) - wanted).square().mean() / self.size


__all__ = ["SemanticAnchor"]
