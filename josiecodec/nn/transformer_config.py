"""Settings of a `Transformer`; light, for what reads configurations alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError


@dataclass(frozen=True)
class TransformerConfig:
    """Settings of a `Transformer`.

    Attributes:
        dim: width D of the sequence.
        layers: number of blocks; 0 leaves the final norm alone.
        heads: attention heads; `dim // heads` channels each, so with heads that do not divide `dim`
            the attention is a little narrower than the sequence (as in the published decoder).
        hidden: width of the feed-forward layer.
        dropout: in attention and feed-forward.
        context: steps that a step can look back, itself included; 0 for all.
        causal: whether a step can see later ones.
        theta: base of the rotary frequencies.
        eps: of the norms.
        norm: "rms" (`RMSNorm`) or "layer" (`nn.LayerNorm`, with a bias).
        activation: of the feed-forward layer.
        layer_scale: initial value of a learnt scale of every channel that attention and feed-forward
            are multiplied by before they are added (Touvron et al. 2021, arXiv 2103.17239); 0 for none.
        final_norm: a norm after the last block.
    """

    dim: int = 512
    layers: int = 12
    heads: int = 16
    hidden: int = 2048
    dropout: float = 0.1
    context: int = 250
    causal: bool = True
    theta: float = 10000.0
    eps: float = 1e-5
    norm: Literal["rms", "layer"] = "rms"
    activation: Literal["silu", "gelu"] = "silu"
    layer_scale: float = 0.0
    final_norm: bool = True

    def __post_init__(self) -> None:
        if self.heads < 1 or (self.dim // self.heads) % 2:
            raise ConfigError(f"transformer: {self.dim} // {self.heads} heads must be even and positive")
        if self.context < 0 or self.layers < 0:
            raise ConfigError("transformer: context and layers must not be negative")
