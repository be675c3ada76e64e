"""Settings of a voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from josiecodec.errors import ConfigError

from .phones import SYMBOLS

FRAME_SECONDS = 0.08  # of the codec
STEPS = 4  # inner steps in a frame of the codec: 50 a second


@dataclass(frozen=True)
class VoiceConfig:
    """A voice.

    Attributes:
        kind: "voice".
        name: of the voice.
        codec: name of the codec whose latents it gives, and
        fingerprint: that codec's.
        symbols: what it reads, see `phones.SYMBOLS`.
        semantic, acoustic: numbers of the codec's latent ahead of its codebooks, of the semantic one and the others.
        dim, text_layers: of the blocks that read symbols.
        step_dim, step_layers: of the convolutions that run 50 times a second.
        frame_dim, frame_layers: of the blocks that run with the frames of the codec.
        heads: of all attention.
        rank: of the attention's short vectors.
        expansion: how much wider than a block its inside is.
        kernel: symbols, steps or frames that the convolution of a block sees, odd.
        context: symbols or frames that attention sees on either side.
        dropout: of each block's answer, in training.
        synthetic: whether the voice was trained on synthetic speech.
    """

    kind: Literal["voice"] = "voice"
    name: str = "voice"
    codec: str = "jodio-24k-v4"
    fingerprint: str = ""
    symbols: tuple[str, ...] = SYMBOLS
    semantic: int = 48
    acoustic: int = 96
    dim: int = 240
    text_layers: int = 3
    step_dim: int = 256
    step_layers: int = 2
    frame_dim: int = 272
    frame_layers: int = 4
    heads: int = 4
    rank: int = 96
    expansion: int = 3
    kernel: int = 7
    context: int = 512
    dropout: float = 0.05
    synthetic: bool = False

    def __post_init__(self) -> None:
        sizes = (self.dim, self.step_dim, self.frame_dim, self.rank, self.context, self.semantic, self.acoustic)
        if not all(1 <= n <= 4096 for n in sizes):
            raise ConfigError("voice: dims, rank, context, semantic and acoustic are 1 to 4096")
        if not all(0 <= n <= 64 for n in (self.text_layers, self.step_layers, self.frame_layers)):
            raise ConfigError("voice: layers are 0 to 64")
        if not 1 <= self.expansion <= 16 or not 1 <= self.heads <= 64 or not 0 <= self.dropout < 1:
            raise ConfigError("voice: expansion is 1 to 16, heads 1 to 64, dropout from 0 to below 1")
        if self.dim % (2 * self.heads) or self.frame_dim % (2 * self.heads):
            raise ConfigError("voice: dim and frame_dim must be multiples of twice the heads")
        if not 1 <= self.kernel <= 99 or self.kernel % 2 == 0:
            raise ConfigError("voice: kernel is an odd number from 1 to 99")
        if len(set(self.symbols)) != len(self.symbols) or not self.symbols:
            raise ConfigError("voice: symbols are different from each other, at least one")

    @property
    def latent(self) -> int:
        """Numbers of a frame: what the codec quantizes."""
        return self.semantic + self.acoustic


PRESETS = {
    "small": VoiceConfig(),
    "tiny": VoiceConfig(
        dim=32, text_layers=1, step_dim=32, step_layers=1, frame_dim=32, frame_layers=1, heads=2, rank=16
    ),
}
