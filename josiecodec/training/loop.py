"""The training loop: one class, one method per thing that happens in a step.

A run is a folder: `config.json`, `log.jsonl` (and TensorBoard events), `checkpoint.safetensors`, the
averaged weights as a model folder `model/`, and `spectrogram.png` of the latest validation.

Schedules follow the run's progress, a number from 0 to 1: steps done of all steps, or minutes trained
of all minutes. So a run of 25 minutes is a complete run, whatever the machine manages in that time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

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
from .objective import Objective
from .pitch import PitchLessons
from .runlog import Means, RunLog
from .schedule import bypass_share, draw_levels, learning_rate
from .teacher import Teacher
from .validate import choose_excerpts, spectrogram_picture, validate

LOG_EVERY = 50


class Trainer:
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
        pitch: PitchLessons | None = None,
        device: str | torch.device = "cpu",
        say: Callable[[str], None] = print,
    ):
        self.config = config
        self.folder = Path(folder)
        self.minutes = minutes
        self.pitch = pitch
        self.device = torch.device(device)
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.say = say if self.rank == 0 else lambda _: None
        torch.manual_seed(config.seed)
        self.model = Jodio(config.model).to(self.device).train()
        self.average = Jodio(config.model).to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.objective = Objective(config, teacher).to(self.device)
        if config.freeze_codes:
            self._freeze()
        self._make_optimizers()
        self.sampler = CropSampler(recordings, config.data, self.device, config.seed + 1000 * self.rank)
        # The same in all processes: they must use the same levels to share statistics of codebooks.
        self.random = torch.Generator().manual_seed(config.seed + 1)
        torch.manual_seed(config.seed + 1000 * self.rank)
        self.length = crop_frames(config.seconds, config.model.sample_rate, config.model.frame_size)
        self.excerpts = choose_excerpts(valid) if valid is not None else []
        self.step = 0
        self.seconds = 0.0
        self.changed_at = 0  # step at which the schedule last changed
        self.codebooks_ready = False
        self.latents: list[Tensor] = []
        self._logged_at = 0.0
        self._log = RunLog(self.folder)
        self._forward = torch.compile(self.model) if config.compile else self.model

    # The run ------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """How far the run has come, 0 to 1."""
        done = self.seconds / (60 * self.minutes) if self.minutes else self.step / self.config.steps
        return min(done, 1.0)

    def run(self, until_step: int | None = None, stop_after: float | None = None) -> None:
        """Train to the end of the schedule, or until a step, or for `stop_after` minutes of this call."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rank == 0:
            text = json.dumps(to_dict(self.config), indent=1) + "\n"
            write_bytes(self.folder / "config.json", text.encode())
        begin = last = saved = validated = time.monotonic()
        means = Means()
        while self.progress < 1.0 and (until_step is None or self.step < until_step):
            if stop_after is not None and self._agreed(last - begin) > 60 * stop_after:
                break
            means.add(self._step())
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if self.minutes:
                self.seconds = self._agreed(self.seconds)
            if means.steps == LOG_EVERY:
                self._record(means)
            if now - saved > 60 * self.config.save_minutes:
                self.save()
                saved = now
            if now - validated > 60 * self.config.validate_minutes:
                self.validate()
                validated = last = time.monotonic()  # judging does not count as training
        if means.steps:
            self._record(means)
        self.save()
        self.validate()

    def validate(self) -> dict[str, float]:
        """Judge the averaged weights and log what comes out."""
        if self.rank or not self.excerpts or not self.codebooks_ready:
            return {}
        levels = tuple(sorted({1, self.config.model.default_n_q, self.config.model.n_q}))
        scores = validate(self.average, self.excerpts, levels)
        self._log.write({"step": self.step, "minutes": round(self.seconds / 60, 2), "valid": scores})
        spectrogram_picture(self.average, self.excerpts[0].wave, self.folder / "spectrogram.png")
        shown = ("pesq_wb", "stoi", "mel", "si_sdr")
        for n in levels:
            self.say(f"  n_q {n:2d}  " + "  ".join(f"{k} {scores.get(f'{k}@{n}', float('nan')):.3f}" for k in shown))
        return scores

    # One step -----------------------------------------------------------------------------------

    def _step(self) -> dict[str, Tensor]:
        config, progress = self.config, self.progress
        if not self.codebooks_ready and progress >= config.quantization.continuous:
            self._start_codebooks()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config.optimizer, progress, self.step - self.changed_at)
        x, first, speech = self.sampler.batch(config.batch, self.length)
        n_q = draw_levels(config.quantization, config.batch, config.model.default_n_q, config.model.n_q, self.random)
        share = bypass_share(config.quantization, progress) if self.codebooks_ready else 1.0
        quantize = torch.rand(config.batch, generator=self.random) >= share
        pitch, given = self._pitch(first, progress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            out = self._forward(x, n_q, quantize, given)
        if not self.codebooks_ready:
            self._remember(out.latent)
        terms = self.objective(out, x[:, 0], first, speech, progress, self.random, pitch)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        norm = self._update(self.optimizer, self.parameters, config.optimizer.clip)
        # One bad batch must not end the run.
        terms = {**terms, "grad_norm": norm} if bool(torch.isfinite(norm)) else {"skipped": torch.ones(())}
        if (
            self.objective.adversary is not None
            and progress >= config.adversary.start
            and not self.step % config.adversary.every
        ):
            terms["discriminator"] = self._train_adversary(out.audio[:, 0].detach().float(), x[:, 0])
        self._update_average()
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    def _pitch(self, first: Tensor, progress: float) -> tuple[Tensor | None, Tensor | None]:
        """The true pitch of a batch, and what of it the source is given."""
        if self.pitch is None:
            return None, None
        decoder = self.config.model.decoder
        pitch = self.pitch.targets(first, self.length // getattr(decoder, "hop", 1)).to(self.device)
        fade = 2 * (1 - progress / max(self.config.pitch_given, 1e-9))
        told = torch.rand(len(pitch), 1, generator=self.random) < fade
        return pitch, pitch * told.to(pitch.device)

    def _train_adversary(self, decoded: Tensor, original: Tensor) -> Tensor:
        adversary = self.objective.adversary
        assert adversary is not None
        fake, real = self.objective.excerpt(decoded, original, self.random)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            loss = adversary.discriminator_loss(fake, real)
        self.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._update(self.adversary_optimizer, list(adversary.parameters()), 10.0)
        return loss

    def _update(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], clip: float) -> Tensor:
        """Average gradients over all processes, clip, and step unless they are not finite."""
        if self.world > 1:
            for p in parameters:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
            flat = torch.cat([p.grad.flatten() for p in parameters])  # type: ignore[union-attr]
            dist.all_reduce(flat)
            flat /= self.world
            for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
                p.grad.copy_(part.view_as(p))  # type: ignore[union-attr]
        norm = nn.utils.clip_grad_norm_(parameters, clip)
        if bool(torch.isfinite(norm)):
            optimizer.step()
        return norm

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
        self.model.initialise_codebooks(latents, torch.Generator().manual_seed(self.config.seed))
        self.latents = []
        own = dict(self.model.named_parameters())
        for name, value in self.average.named_parameters():
            if "codebook" in name:
                value.copy_(own[name])
        self.say(f"codebooks placed over {len(latents)} vectors at step {self.step}")

    def _freeze(self) -> None:
        for name, parameter in self.model.named_parameters():
            if not name.startswith("decoder"):
                parameter.requires_grad_(False)
        for quantizer in (self.model.semantic_rvq, self.model.acoustic_rvq):
            quantizer.eval()  # no statistics, no restarts

    # Parameters ---------------------------------------------------------------------------------

    def _make_optimizers(self) -> None:
        config = self.config.optimizer
        modules = [self.model] + ([self.objective.head] if self.objective.head is not None else [])
        self.parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        betas = (config.betas[0], config.betas[1])
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True)
        if self.objective.adversary is not None:
            self.adversary_optimizer = torch.optim.AdamW(
                self.objective.adversary.parameters(), lr=self.config.adversary.lr, betas=(0.8, 0.99), fused=True
            )

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.optimizer.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def _agreed(self, seconds: float) -> float:
        """The first process's clock, so that all of them do the same."""
        if self.world == 1:
            return seconds
        clock = torch.tensor([seconds], dtype=torch.float64, device=self.device)
        dist.broadcast(clock, 0)
        return float(clock)

    # Records ------------------------------------------------------------------------------------

    def _record(self, means: Means) -> None:
        steps, values = means.take()
        audio = steps * self.config.batch * self.world * self.length / self.config.model.sample_rate
        speed = audio / max(self.seconds - self._logged_at, 1e-9)
        self._logged_at = self.seconds
        entry = {"step": self.step, "minutes": round(self.seconds / 60, 2), "audio_seconds_per_second": round(speed, 1)}
        if self.rank == 0:
            self._log.write(entry | {name: round(value, 5) for name, value in values.items()})
        shown = " ".join(f"{k} {v:.3f}" for k, v in values.items() if k != "grad_norm")
        self.say(f"step {self.step} {self.progress:6.1%} {speed:5.1f} x  {shown}")

    def save(self) -> None:
        """Write the checkpoint and the averaged weights as a model that `josiecodec.load` reads."""
        extra = {"torch": torch.get_rng_state(), "sampler": self.sampler.state(), "random": self.random.get_state()}
        if self.world > 1:  # every process goes on with its own row of random numbers
            checkpoint.write(self.folder, checkpoint.pack({}, {}, extra), {}, f"random{self.rank}")
        if self.rank == 0:
            self._save(extra)
        if self.world > 1:
            dist.barrier()

    def _save(self, extra: dict[str, Tensor]) -> None:
        if self.latents:
            extra["latents"] = torch.stack(self.latents)
        meta = {
            "step": self.step,
            "seconds": self.seconds,
            "changed_at": self.changed_at,
            "codebooks_ready": self.codebooks_ready,
            "plan": self._plan(),
        }
        checkpoint.write(self.folder, checkpoint.pack(*self._state(), extra), meta)
        save(self.average, self.folder / "model")

    def resume(self) -> None:
        """Continue the run in the folder from its checkpoint, exactly as if it had not stopped.

        If the length of the run was changed, the learning rate of the new plan is reached by a new
        linear rise.

        Raises:
            ModelError: if there is no checkpoint or it does not fit.
        """
        tensors, meta = checkpoint.read(self.folder)
        modules, optimizers = self._state()
        if not any(name.startswith("adversary/") for name in tensors):  # it sets in later
            modules.pop("adversary", None)
            optimizers.pop("adversary_optimizer", None)
        extra = checkpoint.unpack(tensors, modules, optimizers)
        if self.world > 1:
            extra |= checkpoint.unpack(checkpoint.read(self.folder, f"random{self.rank}")[0], {}, {})
        self.step, self.seconds = int(meta["step"]), float(meta["seconds"])
        self._logged_at = self.seconds
        self.codebooks_ready = bool(meta["codebooks_ready"])
        self.changed_at = int(meta["changed_at"]) if meta["plan"] == self._plan() else self.step
        torch.set_rng_state(extra["torch"])
        self.sampler.restore(extra["sampler"])
        self.random.set_state(extra["random"])
        self.latents = list(extra["latents"]) if "latents" in extra else []

    def start_from(self, model: Jodio) -> None:
        """Begin with the weights of a trained model of the same architecture (fine-tuning).

        Raises:
            ModelError: if its tensors do not fit.
        """
        try:
            self.model.load_state_dict(model.state_dict())
        except RuntimeError:
            raise ModelError("the model to start from has another architecture") from None
        self.average.load_state_dict(model.state_dict())
        self.model.semantic_rvq.reset_statistics()
        self.model.acoustic_rvq.reset_statistics()
        self.codebooks_ready = True

    def _state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        """What a checkpoint holds."""
        modules: dict[str, nn.Module] = {"model": self.model, "average": self.average}
        optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": self.optimizer}
        if self.objective.head is not None:
            modules["head"] = self.objective.head
        if self.objective.adversary is not None:
            modules["adversary"] = self.objective.adversary
            optimizers["adversary_optimizer"] = self.adversary_optimizer
        return modules, optimizers

    def _plan(self) -> list[float | None]:
        return [self.minutes, None if self.minutes else self.config.steps]


def distributed_device(device: str) -> str:
    """Join the process group if started by torchrun; the device this process should use."""
    if "LOCAL_RANK" not in os.environ:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return f"cuda:{os.environ['LOCAL_RANK']}" if device.startswith("cuda") else device


def leave_group() -> None:
    """End this process if it is one of a group, after all others have come so far.

    It ends at once, without the interpreter's tidying up, in which gloo's threads now and then abort and
    torchrun then takes a finished run for a failed one.
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
