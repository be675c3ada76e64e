"""Between what a voice gives and the codes of the codec: latents as its codebooks see them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from josiecodec.errors import ModelError

from .config import VoiceConfig


class LatentCodes:
    """Latents ahead of the codebooks, of the semantic one and then of the others, and codes.

    Args:
        codec: a `Jodio` with a split quantizer that compares vectors as they are.

    Raises:
        ModelError: if the codec is of another kind.
    """

    def __init__(self, codec: Any):
        quantizer = codec.quantizer
        vqs = quantizer.semantic_vq, quantizer.acoustic_rvq
        if quantizer.residual or not all(hasattr(vq, "project_in") for vq in vqs):
            raise ModelError(f"{codec.config.name}: voices need a codec whose semantic level is beside the others")
        self.codec = codec
        self.sizes = [vq.project_in.weight.shape[0] for vq in vqs]
        self.weight = torch.cat([vq.project_in.weight for vq in vqs]).detach().float()
        biases = [vq.project_in.bias for vq in vqs]
        self.bias = torch.cat([b if b is not None else torch.zeros(n) for b, n in zip(biases, self.sizes, strict=True)])
        self.bias = self.bias.detach().float()
        self.inverse = torch.linalg.pinv(self.weight)

    def check(self, config: VoiceConfig) -> None:
        """Make sure that a voice gives what this codec takes.

        Raises:
            ModelError: if it does not.
        """
        if config.fingerprint and config.fingerprint != self.codec.fingerprint:
            raise ModelError(f"the voice {config.name} speaks codes of {config.codec}, not of {self.codec.config.name}")
        if [config.semantic, config.acoustic] != self.sizes:
            raise ModelError(f"the voice {config.name} does not fit {self.codec.config.name}")

    @torch.inference_mode()
    def latents(self, wave: Tensor) -> Tensor:
        """Latents [F, semantic + acoustic] of a waveform [T] at the codec's rate, filled up to whole frames."""
        wave = torch.nn.functional.pad(wave, (0, -len(wave) % self.codec.frame_size))
        z = self.codec.latent(self.codec.prepared(wave[None, None]))[0]
        return torch.nn.functional.linear(z, self.weight, self.bias)

    @torch.inference_mode()
    def codes(self, latents: Tensor) -> Tensor:
        """The nearest codes [levels of the base, F], found by the codec's own search."""
        z = (latents - self.bias) @ self.inverse.T
        codes: Tensor = self.codec.quantizer.encode(z[None], self.codec.base_levels, self.codec.settings.beams)[0]
        return codes
