"""Training a vision codec.

It starts as a linear codec (`vision/convnet.py`): principal components of patches, codebooks placed by k-means over
what they leave. Everything is trained from there; in the last part of the run the decoder alone, while the encoder
and the codebooks, and so the codes, stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...coding.jovio import Jovio
from ...coding.rdo import best_level_count, level_bits, rd_level_counts, search_intra
from ...quantization.rvq import ResidualVectorQuantizer
from ...quantization.vq import VectorQuantizer
from ...vision.convnet import ConvDecoder, ConvEncoder, start_linear
from ..core.codec_loop import CodecTrainer
from .config import TrainConfig
from .data import Pictures, PictureSampler
from .losses import losses
from .validate import choose_pictures, contact_sheet, validate

REMEMBERED = 32  # batches with their codes


class VisionTrainer(CodecTrainer):
    """Trains a `Jovio`.

    Args:
        config: the experiment.
        pictures: what to train on.
        folder: of the run; made if it is not there.
        minutes: length of the run in time; None for `config.steps`.
        valid: pictures to validate on, or None.
        device: where to train.
        report: receives lines meant for a person.
    """

    def __init__(
        self,
        config: TrainConfig,
        pictures: Pictures,
        folder: str | Path,
        minutes: float | None = None,
        valid: Pictures | None = None,
        device: str | torch.device = "cpu",
        report: Callable[[str], None] = print,
    ):
        super().__init__(config, lambda: Jovio(config.model), folder, minutes, device, report)
        self.make_optimizer([self.model])
        self.sampler = PictureSampler(pictures, config.data, config.model.group, config.seed + 1000 * self.rank)
        torch.manual_seed(config.seed + 1000 * self.rank)
        self.unit = ("pictures_per_second", 1.0)
        self.valid = choose_pictures(valid) if valid is not None else []
        self.encoding, self.frozen = True, False  # what still learns
        self.pool: list[tuple[Tensor, Tensor, Tensor]] = []  # batches with their codes, while the decoder alone learns

    def quantizers(self, model: Jovio) -> list[VectorQuantizer | ResidualVectorQuantizer]:
        return [model.rvq]

    def train_step(self) -> dict[str, Tensor]:
        config = self.config
        self._settle()
        for group in self.optimizer.param_groups:
            group["lr"] *= group.get("share", 1.0)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            if self.frozen and config.levels.beams > 1:
                groups, quantized, counts = self._coded()
                decoded, vq = self.model.synthesize(quantized, counts), torch.zeros((), device=groups.device)
            else:
                groups = self.sampler.batch(config.batch, self.random).to(self.device)
                out = self.model(groups, self.level_counts)
                decoded, vq = out.groups, out.vq_loss
        return self.descend(losses(config.loss, decoded, groups, vq))

    def make_optimizer(self, modules: list[nn.Module]) -> None:
        """As usual, but the encoder moves more slowly than the decoder: codebooks have to follow it."""
        super().make_optimizer(modules)
        slow = {id(p) for n, p in self.model.named_parameters() if not n.startswith("decoder")}
        groups = []
        for group in self.optimizer.param_groups:
            for share, chosen in ((1.0, False), (self.config.levels.slow, True)):
                params = [p for p in group["params"] if (id(p) in slow) == chosen]
                if params:
                    groups.append({"params": params, "weight_decay": group["weight_decay"], "share": share})
        betas = (self.config.optimizer.betas[0], self.config.optimizer.betas[1])
        self.optimizer = torch.optim.AdamW(groups, lr=self.config.optimizer.lr, betas=betas, fused=True)

    def level_counts(self, z: Tensor) -> Tensor:
        """Levels of each patch of latents [B, G, h, w, D]: [B, G, h, w].

        For some items the same in all patches, drawn evenly on a logarithmic scale; for the others what the rate
        control would choose, see `rdo.rd_level_counts`.
        """
        whole, adaptive, rd_lambdas = self._draw_levels(len(z))
        counts = whole.view(-1, 1, 1, 1).repeat(1, *z.shape[1:-1])
        if bool(adaptive.any()):
            chosen = z[adaptive.to(z.device)]
            each = rd_lambdas[adaptive].to(z.device).view(-1, 1, 1, 1).expand(chosen.shape[:-1]).flatten()
            with torch.autocast(z.device.type, enabled=False):
                best = rd_level_counts(self.model, chosen.flatten(0, -2), each)
            counts[adaptive] = best.view(chosen.shape[:-1]).cpu()
        return counts

    def _coded(self) -> tuple[Tensor, Tensor, Tensor]:
        """Frame groups, quantized latents and level counts: of a new batch or, with `reuse`, of an earlier one."""
        reuse = self.config.levels.reuse
        if self.step % reuse == 0 or not self.pool:
            groups = self.sampler.batch(self.config.batch, self.random).to(self.device)
            self.pool = [*self.pool[-(REMEMBERED - 1) :], (groups, *self._searched(groups))]
        if reuse == 1:
            return self.pool[-1]
        return self.pool[int(torch.randint(len(self.pool), (), generator=self.random))]

    def _searched(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Quantized latents of frame groups with the codes that a beam search gives, and levels of each patch."""
        model, levels = self.model, self.config.levels
        with torch.no_grad(), torch.autocast(groups.device.type, enabled=False):
            z = model.latent(groups).float()
            counts = torch.zeros(z.shape[:-1], dtype=torch.long, device=z.device)
            quantized = torch.zeros_like(z)
            drawn = zip(*(part.tolist() for part in self._draw_levels(len(z))))
            for item, (whole, adaptive, rd_lambda) in enumerate(drawn):
                max_levels = model.n_q if adaptive else whole
                min_lambda = rd_lambda if adaptive else -1.0
                intra = search_intra(model, z[item], max_levels, min_lambda, beams=levels.beams, tables=model.tables)
                errors = intra.result.errors
                taken = torch.full_like(errors[:, 0], max_levels, dtype=torch.long)
                if adaptive:
                    taken = best_level_count(model, errors, rd_lambda * intra.lambda_scale.unsqueeze(-1))
                codes = intra.result.path(taken)
                codes[torch.arange(codes.shape[1], device=z.device) >= taken.unsqueeze(-1)] = -1
                counts[item] = taken.view(counts.shape[1:])
                quantized[item] = model.dequantize(codes, 0).view(z.shape[1:])
        return quantized, counts

    def _draw_levels(self, items: int) -> tuple[Tensor, Tensor, Tensor]:
        """For each item: levels of all patches; whether they vary instead; and the lambda if they do."""
        random = self.random
        whole = (torch.rand(items, generator=random) * math.log(self.model.n_q + 0.5)).exp().floor().long()
        adaptive = torch.rand(items, generator=random) < self.config.levels.adaptive
        return whole.clamp(1, self.model.n_q), adaptive, self._lambdas(items)

    def _lambdas(self, count: int) -> Tensor:
        """Random lambdas [count]."""
        low, high = (math.log(w) for w in self.config.levels.rd_lambda)
        return (low + torch.rand(count, generator=self.random) * (high - low)).exp()

    def prepare(self) -> None:
        """Begin as the linear codec."""
        if self.codebooks_ready:
            return
        self.codebooks_ready = True
        patches = self.sampler.patches(self.config.levels.start_patches, self.model.patch).to(self.device)
        if self.world > 1:
            dist.broadcast(patches, 0)
        if isinstance(self.model.encoder, ConvEncoder) and isinstance(self.model.decoder, ConvDecoder):
            start_linear(self.model.encoder, self.model.decoder, patches)
        latents = self._latents(patches)
        # As in training: some patches have all levels, others as many as rate-distortion optimisation gives them.
        enough = self._lambdas(len(latents)) * level_bits(self.model)
        enough[torch.rand(len(latents), generator=self.random) > self.config.levels.adaptive] = 0.0
        generator = torch.Generator().manual_seed(self.config.seed)
        self.model.rvq.initialise(latents, generator, enough.to(latents.device))
        self.average.load_state_dict(self.model.state_dict())
        self.report(f"codebooks placed over {len(latents)} patches")

    def _settle(self) -> None:
        """When its time has come, keep the encoder as it is on average, and later the codebooks, too."""
        levels = self.config.levels
        if self.encoding and self.progress >= min(levels.encoder_until, levels.freeze_after):
            self.encoding = False
            self.model.encoder.load_state_dict(self.average.encoder.state_dict())
            self.model.encoder.requires_grad_(False)
        if not self.frozen and self.progress >= levels.freeze_after:
            self.frozen = True
            self.freeze_codes()

    @torch.no_grad()
    def _latents(self, patches: Tensor) -> Tensor:
        """Latents of patches that stand alone [N, D]."""
        groups = torch.cat([patches, torch.zeros_like(patches)], 1)[:, None]
        parts = [self.model.latent(p).reshape(len(p), -1) for p in groups.split(4096)]
        return torch.cat(parts).float()

    def validate(self) -> dict[str, float]:
        if not self.valid or not self.codebooks_ready:
            return {}
        levels = [n for n in (1, 2, 4, 8, 16, 32) if n <= self.model.n_q]
        scores = validate(self.average, self.valid, tuple(levels))
        self.log({"valid": scores})
        contact_sheet(self.average, self.valid[:4], self.folder / "pictures.png", tuple(levels[::2]))
        self.show({"pictures": self.folder / "pictures.png"}, {})
        self.report("  psnr  " + "  ".join(f"n_q {n}: {scores[f'psnr@{n}']:.2f}" for n in levels))
        return scores

    @torch.no_grad()
    def update_average(self) -> None:
        """As usual, but the codebooks are taken as they are: those are averages already."""
        super().update_average()
        own = dict(self.model.rvq.named_buffers()) | dict(self.model.rvq.named_parameters())
        for name, value in [*self.average.rvq.named_buffers(), *self.average.rvq.named_parameters()]:
            value.copy_(own[name])

    def restore_progress(self, values: dict[str, Any]) -> None:
        super().restore_progress(values)
        self._settle()
