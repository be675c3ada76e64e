"""Training an audio codec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...coding.jodio import Jodio
from ...errors import ConfigError
from ...hub.store import load
from ...quantization.rvq import ResidualVectorQuantizer
from ...quantization.vq import VectorQuantizer
from ..core.codec_loop import CodecTrainer
from .config import TrainConfig
from .data import CropSampler, Recordings, crop_frames
from .levels import bypass_share, draw_levels
from .objective import Objective
from .pitch import PitchLabels
from .semantic_anchor import SemanticAnchor
from .teacher import Teacher
from .validate import CEILING, choose_excerpts, spectrogram_picture, validate


class AudioTrainer(CodecTrainer):
    """Trains a `Jodio`.

    Args:
        config: the experiment.
        recordings: what to train on.
        folder: of the run; made if it is not there.
        teacher: of the semantic level, or None.
        minutes: length of the run in time; None for `config.steps`.
        valid: recordings to validate on, or None.
        pitch: of the recordings, for a decoder with a source, or None.
        device: where to train.
        report: receives lines meant for a person.
    """

    late = ("adversary",)

    def __init__(
        self,
        config: TrainConfig,
        recordings: Recordings,
        folder: str | Path,
        teacher: Teacher | None = None,
        minutes: float | None = None,
        valid: Recordings | None = None,
        pitch: PitchLabels | None = None,
        device: str | torch.device = "cpu",
        report: Callable[[str], None] = print,
    ):
        super().__init__(config, lambda: Jodio(config.model), folder, minutes, device, report)
        self.pitch = pitch
        self.latents: list[Tensor] = []  # of the last steps, until codebooks are placed over them
        self.objective = Objective(config, teacher).to(self.device)
        self.anchor = None
        if config.semantic_anchor:
            before = load(config.semantic_anchor, self.device)
            if not isinstance(before, Jodio):
                raise ConfigError("semantic_anchor: not a codec of audio")
            self.anchor = SemanticAnchor(before)
            self.anchor.take_over(self.model)
            self.average.quantizer.semantic_vq.load_state_dict(self.model.quantizer.semantic_vq.state_dict())
        if config.freeze_codes:
            self.freeze_codes()
        head, adversary = self.objective.head, self.objective.adversary
        self.make_optimizer([self.model] + ([head] if head is not None else []))
        if adversary is not None:
            self.adversary_optimizer = torch.optim.AdamW(
                adversary.parameters(), lr=config.adversary.lr, betas=(0.8, 0.99), fused=True
            )
        self.sampler = CropSampler(recordings, config.data, self.device, config.seed + 1000 * self.rank)
        torch.manual_seed(config.seed + 1000 * self.rank)
        self.length = crop_frames(config.seconds, config.model.sample_rate, config.model.frame_size)
        self.unit = ("audio_seconds_per_second", self.length / config.model.sample_rate)
        self.excerpts = choose_excerpts(valid) if valid is not None else []

    def quantizers(self, model: Jodio) -> list[VectorQuantizer | ResidualVectorQuantizer]:
        return [model.quantizer.semantic_vq, model.quantizer.acoustic_rvq]

    @property
    def default_levels(self) -> int:
        """Levels that the model is made for, of the base, which alone is trained here."""
        return min(self.config.model.encoding.n_q, self.config.model.base_levels)

    def validate(self) -> dict[str, float]:
        """Judge the averaged weights and log what comes out."""
        if not self.excerpts or not self.codebooks_ready:
            return {}
        levels = tuple(sorted({1, self.default_levels, self.config.model.base_levels}))
        scores = validate(self.average, self.excerpts, levels)
        self.log({"valid": scores})
        picture = self.folder / "spectrogram.png"
        waves = spectrogram_picture(self.average, self.excerpts[0].wave, picture, (levels[0], self.default_levels))
        rate = self.config.model.sample_rate
        self.show({"spectrogram": picture}, {f"excerpt/{name}": (wave, rate) for name, wave in waves.items()})
        shown = ("pesq_wb", "stoi", "mel", "si_sdr")
        for name, key in [(f"n_q {n:2d}", str(n)) for n in levels] + [(CEILING, CEILING)]:
            self.report(f"  {name}  " + "  ".join(f"{k} {scores.get(f'{k}@{key}', float('nan')):.3f}" for k in shown))
        return scores

    @torch.no_grad()
    def update_average(self) -> None:
        """As usual, but the sizes of what shared codebooks code are taken as they are: averages already."""
        super().update_average()
        for own, average in zip(
            self.model.quantizer.acoustic_rvq.buffers(False), self.average.quantizer.acoustic_rvq.buffers(False)
        ):
            average.copy_(own)

    def train_step(self) -> dict[str, Tensor]:
        config, progress = self.config, self.progress
        if not self.codebooks_ready and progress >= config.quantization.continuous:
            self._place_codebooks()
        x, first, speech = self.sampler.batch(config.batch, self.length)
        n_q = draw_levels(config.quantization, config.batch, self.default_levels, self.model.base_levels, self.random)
        share = bypass_share(config.quantization, progress) if self.codebooks_ready else 1.0
        quantize = torch.rand(config.batch, generator=self.random) >= share
        pitch, given = self._pitch(first, progress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            out = self.model(x, n_q, quantize, given)
        if not self.codebooks_ready:
            self._collect(out.latent)
        levels = torch.where(quantize, n_q, config.model.base_levels)
        terms = self.objective(out, x[:, 0], first, speech, progress, self.random, pitch, levels)
        if self.anchor is not None and not config.freeze_codes:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                kept = self.anchor(self.model, out.latent, x)
            terms["semantic_kept"] = kept
            terms["loss"] = terms["loss"] + config.loss.semantic * kept
        terms = self.descend(terms)
        if (
            self.objective.adversary is not None
            and progress >= config.adversary.start
            and not self.step % config.adversary.every
        ):
            terms["discriminator"] = self._train_adversary(out.audio[:, 0].detach().float(), x[:, 0])
        return terms

    def _collect(self, latent: Tensor) -> None:
        self.latents.append(latent.detach().reshape(-1, latent.shape[-1]).cpu())
        keep = self.config.quantization.buffer // (self.world * len(self.latents[0])) + 1
        del self.latents[:-keep]

    def _place_codebooks(self) -> None:
        """Place the codes by k-means over the latents of the last continuous steps."""
        self.codebooks_ready = True
        if not self.latents:
            return
        latents = torch.cat(self.latents).to(self.device)
        if self.world > 1:
            parts = [torch.empty_like(latents) for _ in range(self.world)]
            dist.all_gather(parts, latents)
            latents = torch.cat(parts)
        self.model.initialise_codebooks(latents, torch.Generator().manual_seed(self.config.seed))
        self.latents = []
        own = dict(self.model.named_parameters())
        for name, value in self.average.named_parameters():
            if "codebook" in name:
                value.copy_(own[name])
        self.report(f"codebooks placed over {len(latents)} vectors at step {self.step}")

    def _pitch(self, first: Tensor, progress: float) -> tuple[Tensor | None, Tensor | None]:
        """The true pitch of a batch, and what of it the source is given."""
        if self.pitch is None:
            return None, None
        decoder = self.config.model.decoder
        pitch = self.pitch.targets(first, self.length // getattr(decoder, "hop", 1)).to(self.device)
        fade = 2 * (1 - progress / max(self.config.pitch_given, 1e-9))
        given = torch.rand(len(pitch), 1, generator=self.random) < fade
        return pitch, pitch * given.to(pitch.device)

    def _train_adversary(self, decoded: Tensor, original: Tensor) -> Tensor:
        adversary = self.objective.adversary
        assert adversary is not None
        fake, real = self.objective.excerpt(decoded, original, self.random)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            loss = adversary.discriminator_loss(fake, real)
        self.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.update(self.adversary_optimizer, list(adversary.parameters()), 10.0)
        return loss

    def state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        modules, optimizers = super().state()
        if self.objective.head is not None:
            modules["head"] = self.objective.head
        if self.objective.adversary is not None:
            modules["adversary"] = self.objective.adversary
            optimizers["adversary_optimizer"] = self.adversary_optimizer
        return modules, optimizers

    def process_state(self) -> dict[str, Tensor]:
        own = super().process_state()
        if self.latents:  # of as many rows as their steps had; a resumed run may have another batch
            own |= {"latents": torch.cat(self.latents), "latent_rows": torch.tensor([len(z) for z in self.latents])}
        return own

    def restore_process(self, tensors: dict[str, Tensor]) -> None:
        super().restore_process(tensors)
        if "latents" in tensors:
            self.latents = list(tensors["latents"].split(tensors["latent_rows"].tolist()))
