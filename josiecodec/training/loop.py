"""The training loop: one class, one method per thing that happens in a step.

A run is a folder: `config.json`, `log.jsonl` (and TensorBoard events), `checkpoint.safetensors`, the
averaged weights as a model folder `model/`, and `spectrogram.png` of the latest validation.

Schedules follow the run's progress, a number from 0 to 1: steps done of all steps, or minutes trained
of all minutes. So a run of 25 minutes is a complete run, whatever the machine manages in that time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..audio.jodio import Jodio
from ..config import to_dict
from ..errors import ModelError
from ..hub import save, write_bytes
from . import checkpoint
from .config import TrainConfig
from .data import CropSampler, Recordings, crop_frames
from .discriminators import Adversary, same_excerpt
from .losses import PesqTerm, SpectralLoss, StoiTerm
from .schedule import bypass_share, draw_levels, learning_rate, ramp
from .teacher import SemanticHead, Teacher
from .validate import choose_excerpts, spectrogram_picture, validate


class Trainer:
    """Trains a `Jodio`.

    Args:
        config: the experiment.
        recordings: what to train on.
        teacher: of the semantic level, or None.
        folder: of the run; made if it is not there.
        minutes: length of the run in time; None for `config.steps`.
        valid: recordings to validate on, or None.
        device: where to train.
        say: receives lines meant for a person.
    """

    def __init__(
        self,
        config: TrainConfig,
        recordings: Recordings,
        folder: str | Path,
        teacher: Teacher | None = None,
        minutes: float | None = None,
        valid: Recordings | None = None,
        device: str | torch.device = "cpu",
        say: Callable[[str], None] = print,
    ):
        self.config = config
        self.folder = Path(folder)
        self.teacher = teacher
        self.minutes = minutes
        self.device = torch.device(device)
        self.say = say
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        torch.manual_seed(config.seed)
        self.model = Jodio(config.model).to(self.device).train()
        self.average = Jodio(config.model).to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.head: nn.Module = nn.Module()
        if teacher is not None:
            self.head = SemanticHead(config.model.latent_dim, teacher, config.teacher).to(self.device)
        self.adversary = Adversary(config.adversary).to(self.device) if config.adversary.start < 1 else None
        self.spectral = SpectralLoss(config.model.sample_rate, overlap=config.loss.overlap).to(self.device)
        self.pesq = PesqTerm(config.model.sample_rate).to(self.device) if config.loss.pesq else None
        self.stoi = StoiTerm(config.model.sample_rate).to(self.device) if config.loss.stoi else None
        self.sampler = CropSampler(recordings, config.data, self.device, config.seed + 1000 * self.rank)
        self.random = torch.Generator().manual_seed(config.seed + 1000 * self.rank + 1)
        self.length = crop_frames(config.seconds, config.model.sample_rate, config.model.frame_size)
        if config.freeze_codes:
            self._freeze()
        self._make_optimizers()
        self.excerpts = choose_excerpts(valid) if valid is not None else []
        self.step = 0
        self.seconds = 0.0
        self.changed_at = 0  # step at which the schedule last changed
        self.codebooks_ready = False
        self.latents: list[Tensor] = []
        self._forward = torch.compile(self.model) if config.compile else self.model

    # The run ------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """How far the run has come, 0 to 1."""
        done = self.seconds / (60 * self.minutes) if self.minutes else self.step / self.config.steps
        return min(done, 1.0)

    def run(self, until_step: int | None = None, stop_after: float | None = None) -> None:
        """Train to the end of the schedule, or until a step, or for `stop_after` minutes of this call."""
        config = self.config
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rank == 0:
            text = json.dumps(to_dict(config), indent=1) + "\n"
            write_bytes(self.folder / "config.json", text.encode())
        begin = last = time.monotonic()
        saved = validated = begin
        sums: dict[str, Tensor] = {}
        counted = 0
        while self.progress < 1.0 and (until_step is None or self.step < until_step):
            if stop_after is not None and time.monotonic() - begin > 60 * stop_after:
                break
            for name, value in self._step().items():
                sums[name] = sums.get(name, 0.0) + value  # type: ignore[operator]
            counted += 1
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if self.minutes and self.world > 1:
                self._agree_on_time()
            if counted == 50:
                self._log({name: float(v) / counted for name, v in sums.items()}, counted)
                sums, counted = {}, 0
            if now - saved > 60 * config.save_minutes:
                self.save()
                saved = time.monotonic()
            if self.excerpts and self.codebooks_ready and now - validated > 60 * config.validate_minutes:
                self.validate()
                last = validated = time.monotonic()
        if counted:
            self._log({name: float(v) / counted for name, v in sums.items()}, counted)
        self.save()
        if self.excerpts and self.codebooks_ready:
            self.validate()

    def validate(self) -> dict[str, float]:
        """Judge the averaged weights and log what comes out."""
        if self.rank:
            return {}
        most = self.config.model.n_q
        levels = tuple(sorted({1, self.config.model.default_n_q, most}))
        scores = validate(self.average, self.excerpts, levels)
        self._write_log({"step": self.step, "minutes": round(self.seconds / 60, 2), "valid": scores})
        spectrogram_picture(self.average, self.excerpts[0].wave, self.folder / "spectrogram.png")
        shown = ("pesq_wb", "stoi", "mel", "si_sdr")
        for n in levels:
            self.say(f"  n_q {n:2d}  " + "  ".join(f"{k} {scores.get(f'{k}@{n}', float('nan')):.3f}" for k in shown))
        return scores

    # One step -----------------------------------------------------------------------------------

    def _step(self) -> dict[str, Tensor]:
        config, progress = self.config, self.progress
        continuous = config.quantization.continuous
        if not self.codebooks_ready and progress >= continuous:
            self._start_codebooks()
        rate = learning_rate(config.optimizer, progress, self.step - self.changed_at)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        x, first, speech = self.sampler.batch(config.batch, self.length)
        n_q = draw_levels(
            config.quantization, config.batch, config.model.default_n_q, config.model.n_q, self.random
        )
        share = bypass_share(config.quantization, progress) if self.codebooks_ready else 1.0
        quantize = torch.rand(config.batch, generator=self.random) >= share
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            out = self._forward(x, n_q, quantize)
        if not self.codebooks_ready:
            self._remember(out.latent)
        decoded, original = out.audio[:, 0].float(), x[:, 0]
        terms = self._terms(out, decoded, original, first, speech, progress)
        loss = sum(terms.pop("total"), torch.zeros((), device=self.device))  # type: ignore[call-overload]
        terms["loss"] = loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._share_gradients(self.parameters)
        terms["grad_norm"] = nn.utils.clip_grad_norm_(self.parameters, config.optimizer.clip)
        self.optimizer.step()
        if self.adversary is not None and progress >= config.adversary.start:
            if self.step % config.adversary.every == 0:
                terms["discriminator"] = self._train_adversary(decoded.detach(), original)
        self._update_average()
        self.step += 1
        return {name: torch.as_tensor(value).detach() for name, value in terms.items()}

    def _terms(
        self, out: Any, decoded: Tensor, original: Tensor, first: Tensor, speech: Tensor, progress: float
    ) -> dict[str, Any]:
        """The parts of the loss; `total` holds the weighted ones."""
        weights = self.config.loss
        mel, complex_ = self.spectral(decoded, original)
        total = [weights.mel * mel, weights.complex * complex_, weights.vq * out.vq_loss]
        terms: dict[str, Any] = {"mel": mel, "complex": complex_, "vq": out.vq_loss}
        if progress >= weights.pesq_start:
            loud = original.square().mean(1) > 1e-7
            count = (speech.to(loud.device) & loud).float()
            grow = ramp(progress, weights.pesq_start)
            for name, term, weight in (("pesq", self.pesq, weights.pesq), ("stoi", self.stoi, weights.stoi)):
                if term is not None:
                    terms[name] = (torch.nan_to_num(term(decoded, original)) * count).sum() / count.sum().clamp_min(1)
                    total.append(weight * grow * terms[name])
        if self.teacher is not None:
            frames = out.semantic.shape[1]
            lesson = self.head(
                out.semantic, self.teacher.feature_targets(first, frames), self.teacher.phone_targets(first, frames)
            )
            total.append(lesson.pop("semantic_loss"))
            terms.update(lesson)
        if self.adversary is not None and progress >= self.config.adversary.start:
            config = self.config.adversary
            length = round(config.seconds * self.config.model.sample_rate)
            fake, real = same_excerpt(decoded, original, length, self.random)
            terms["adversarial"], terms["matching"] = self.adversary.codec_loss(fake, real)
            grow = ramp(progress, config.start)
            total.append(grow * config.weight * terms["adversarial"])
            total.append(grow * config.feature_weight * terms["matching"])
        terms["total"] = total
        return terms

    def _train_adversary(self, decoded: Tensor, original: Tensor) -> Tensor:
        assert self.adversary is not None
        length = round(self.config.adversary.seconds * self.config.model.sample_rate)
        fake, real = same_excerpt(decoded, original, length, self.random)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            loss = self.adversary.discriminator_loss(fake, real)
        self.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = list(self.adversary.parameters())
        self._share_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 10.0)
        self.adversary_optimizer.step()
        return loss

    # Codebooks ----------------------------------------------------------------------------------

    def _remember(self, latent: Tensor) -> None:
        self.latents.append(latent.detach().reshape(-1, latent.shape[-1]).cpu())
        keep = self.config.quantization.buffer // (self.world * len(self.latents[0])) + 1
        del self.latents[:-keep]

    def _start_codebooks(self) -> None:
        """Place the codes by k-means over the latents of the last continuous steps."""
        self.codebooks_ready = True
        if not self.latents:
            return
        latents = torch.cat(self.latents).to(self.device)
        if self.world > 1:
            parts = [torch.empty_like(latents) for _ in range(self.world)]
            dist.all_gather(parts, latents)
            latents = torch.cat(parts)
        generator = torch.Generator().manual_seed(self.config.seed)
        self.model.initialise_codebooks(latents, generator)
        self.latents = []
        self._copy_codebooks_to_average()
        self.say(f"codebooks placed over {len(latents)} vectors at step {self.step}")

    def _copy_codebooks_to_average(self) -> None:
        own = dict(self.model.named_parameters())
        for name, value in self.average.named_parameters():
            if "codebook" in name:
                value.copy_(own[name])

    def _freeze(self) -> None:
        for name, parameter in self.model.named_parameters():
            if not name.startswith("decoder"):
                parameter.requires_grad_(False)
        for quantizer in (self.model.semantic_rvq, self.model.acoustic_rvq):
            quantizer.eval()  # no statistics, no restarts

    # Parameters ---------------------------------------------------------------------------------

    def _make_optimizers(self) -> None:
        config = self.config.optimizer
        self.parameters = [p for m in (self.model, self.head) for p in m.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas[:2], fused=True)  # type: ignore[arg-type]
        if self.adversary is not None:
            self.adversary_optimizer = torch.optim.AdamW(
                self.adversary.parameters(), lr=self.config.adversary.lr, betas=(0.8, 0.99), fused=True
            )

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.optimizer.ema, (1 + self.step) / (10 + self.step))
        mine = list(self.average.parameters())
        theirs = list(self.model.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)

    def _share_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Average gradients over all processes (in one message)."""
        if self.world == 1:
            return
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.flatten() for p in parameters])  # type: ignore[union-attr]
        dist.all_reduce(flat)
        flat /= self.world
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
            p.grad.copy_(part.view_as(p))  # type: ignore[union-attr]

    def _agree_on_time(self) -> None:
        clock = torch.tensor([self.seconds], dtype=torch.float64, device=self.device)
        dist.broadcast(clock, 0)
        self.seconds = float(clock)

    # Records ------------------------------------------------------------------------------------

    def _log(self, means: dict[str, float], steps: int) -> None:
        if self.rank:
            return
        audio = steps * self.config.batch * self.world * self.length / self.config.model.sample_rate
        elapsed = self.seconds - getattr(self, "_logged_at", 0.0)
        self._logged_at = self.seconds
        speed = audio / max(elapsed, 1e-9)
        entry = {"step": self.step, "minutes": round(self.seconds / 60, 2), "audio_seconds_per_second": round(speed, 1)}
        entry |= {name: round(value, 5) for name, value in means.items()}
        self._write_log(entry)
        shown = " ".join(f"{k} {v:.3f}" for k, v in means.items() if k not in ("grad_norm",))
        self.say(f"step {self.step} {self.progress:6.1%} {speed:5.1f} x  {shown}")

    def _write_log(self, entry: dict[str, Any]) -> None:
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(entry) + "\n")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        if not hasattr(self, "_board"):
            self._board = SummaryWriter(str(self.folder))
        for name, value in {**entry, **entry.get("valid", {})}.items():
            if isinstance(value, (int, float)) and name != "step":
                self._board.add_scalar(name, value, entry["step"])

    def save(self) -> None:
        """Write the checkpoint and the averaged weights as a model that `josiecodec.load` reads."""
        if self.rank:
            return
        modules = {"model": self.model, "average": self.average, "head": self.head}
        optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": self.optimizer}
        if self.adversary is not None:
            modules["adversary"] = self.adversary
            optimizers["adversary_optimizer"] = self.adversary_optimizer
        extra = {
            "torch_random": torch.get_rng_state(),
            "sampler_random": self.sampler.state(),
            "random": self.random.get_state(),
        }
        if self.latents:
            extra["latents"] = torch.stack(self.latents)
        meta = {
            "step": self.step,
            "seconds": self.seconds,
            "changed_at": self.changed_at,
            "codebooks_ready": self.codebooks_ready,
            "plan": self._plan(),
        }
        checkpoint.write(self.folder, checkpoint.pack(modules, optimizers, extra), meta)
        save(self.average, self.folder / "model")

    def resume(self) -> None:
        """Continue the run in the folder from its checkpoint, exactly as if it had not stopped.

        If the length of the run was changed, the learning rate of the new plan is reached by a new
        linear rise.

        Raises:
            ModelError: if there is no checkpoint or it does not fit.
        """
        tensors, meta = checkpoint.read(self.folder)
        modules = {"model": self.model, "average": self.average, "head": self.head}
        optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": self.optimizer}
        if self.adversary is not None and any(name.startswith("adversary/") for name in tensors):
            modules["adversary"] = self.adversary
            optimizers["adversary_optimizer"] = self.adversary_optimizer
        extra = checkpoint.unpack(tensors, modules, optimizers)
        self.step, self.seconds = int(meta["step"]), float(meta["seconds"])
        self._logged_at = self.seconds
        self.codebooks_ready = bool(meta["codebooks_ready"])
        self.changed_at = int(meta["changed_at"]) if meta["plan"] == self._plan() else self.step
        torch.set_rng_state(extra["torch_random"])
        if self.rank == 0:
            self.sampler.restore(extra["sampler_random"])
            self.random.set_state(extra["random"])
        self.latents = list(extra["latents"]) if "latents" in extra else []

    def start_from(self, model: Jodio) -> None:
        """Begin with the weights of a trained model of the same configuration (fine-tuning)."""
        if model.config != self.config.model:
            raise ModelError("the model to start from has another configuration")
        tensors = model.state_dict()
        self.model.load_state_dict(tensors)
        self.average.load_state_dict(tensors)
        self.model.semantic_rvq.reset_statistics()
        self.model.acoustic_rvq.reset_statistics()
        self.codebooks_ready = True

    def _plan(self) -> list[float | None]:
        return [self.minutes, self.config.steps if not self.minutes else None]


def distributed_device(device: str) -> str:
    """Join the process group if started by torchrun; the device this process should use."""
    if "LOCAL_RANK" not in os.environ:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return f"cuda:{os.environ['LOCAL_RANK']}" if device.startswith("cuda") else device
