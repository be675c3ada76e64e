"""What the codec is trained to minimise: all terms in one place, weighted and named."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...audio.network import JodioOutput
from ..core.schedule import ramp
from .config import TrainConfig
from .discriminators import Adversary, same_excerpt
from .losses import PesqTerm, SpectralLoss, StoiTerm
from .pitch import pitch_loss
from .teacher import SemanticHead, Teacher


class Objective(nn.Module):
    """The loss of the codec, and the networks that belong to it and not to the codec.

    Args:
        config: the experiment.
        teacher: of the semantic level, or None.
    """

    def __init__(self, config: TrainConfig, teacher: Teacher | None):
        super().__init__()
        self.config = config
        self.teacher = teacher
        rate = config.model.sample_rate
        self.spectral = SpectralLoss(rate, overlap=config.loss.overlap)
        self.pesq = PesqTerm(rate) if config.loss.pesq else None
        self.stoi = StoiTerm(rate) if config.loss.stoi else None
        self.head = SemanticHead(config.model.latent_dim, teacher, config.teacher) if teacher else None
        self.adversary = Adversary(config.adversary) if config.adversary.start < 1 else None

    def forward(
        self,
        out: JodioOutput,
        original: Tensor,
        first: Tensor,
        speech: Tensor,
        progress: float,
        random: torch.Generator,
        pitch: Tensor | None = None,
        n_q: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """All terms of one batch.

        Args:
            out: of the codec.
            original: [B, T].
            first, speech: as `CropSampler.batch` gives them.
            progress: of the run.
            random: decides which excerpts the adversary sees.
            pitch: true pitch of each window of the source [B, windows], or None.
            n_q: levels of each item [B]; None if all have enough for all terms.

        Returns:
            the terms by name, unweighted, and `loss`, their weighted sum.
        """
        weights = self.config.loss
        decoded = out.audio[:, 0].float()
        terms: dict[str, Tensor] = {**self.spectral(decoded, original), "vq": out.vq_loss}
        total: list[Tensor] = [getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name)]
        if progress >= weights.pesq_start:
            grow = ramp(progress, weights.pesq_start)
            for name, term in self._perceptual(decoded, original, speech, n_q).items():
                terms[name] = term
                total.append(grow * getattr(weights, name) * term)
        if pitch is not None and out.pitch_logits is not None:
            terms["pitch"], terms["pitch_right"] = pitch_loss(out.pitch_logits, pitch)
            total.append(weights.pitch * terms["pitch"])
        if self.teacher is not None and self.head is not None:
            frames = out.semantic.shape[1]
            targets = self.teacher.feature_targets(first, frames), self.teacher.phone_targets(first, frames)
            semantic = self.head(out.semantic, *targets)
            total.append(semantic.pop("semantic_loss"))
            terms |= semantic
        if self.adversary is not None and progress >= self.config.adversary.start:
            fake, real = self.excerpt(decoded, original, random)
            terms["adversarial"], terms["matching"] = self.adversary.codec_loss(fake, real)
            grow = ramp(progress, self.config.adversary.start)
            total.append(grow * self.config.adversary.weight * terms["adversarial"])
            total.append(grow * self.config.adversary.feature_weight * terms["matching"])
        terms["loss"] = torch.stack(total).sum()
        return terms

    def _perceptual(self, decoded: Tensor, original: Tensor, speech: Tensor, n_q: Tensor | None) -> dict[str, Tensor]:
        """Terms that model hearing, over the items that are audible speech."""
        heard = speech.to(original.device) & (original.square().mean(1) > 1e-7)
        enough = heard if n_q is None else heard & (n_q.to(heard.device) >= self.config.loss.pesq_from)
        chosen: dict[str, tuple[Any, Tensor]] = {"pesq": (self.pesq, enough), "stoi": (self.stoi, heard)}
        found = {}
        for name, (term, which) in chosen.items():
            rows = which.nonzero()[:, 0]
            if term is not None and len(rows):
                # An exact zero has no direction to be loud in; a faint hiss has.
                y = decoded[rows] + 1e-6 * torch.randn_like(decoded[rows])
                found[name] = term(y, original[rows]).mean()
        return found

    def excerpt(self, decoded: Tensor, original: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the adversary is shown of a batch."""
        length = round(self.config.adversary.seconds * self.config.model.sample_rate)
        return same_excerpt(decoded, original, length, random)
