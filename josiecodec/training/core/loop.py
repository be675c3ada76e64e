"""What every training run does, whatever it trains: the clock, steps, averaged weights, checkpoints, records.

A run is a folder: `config.json`, `log.jsonl` (and TensorBoard events), `checkpoint.safetensors`, the
averaged weights as a model folder `model/`, and a picture of the latest validation.

Schedules follow the run's progress, a number from 0 to 1: steps done of all steps, or minutes trained
of all minutes. So a run of 25 minutes is a complete run, whatever the machine manages in that time.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...atomic import write_bytes
from ...coding.codec import TokenCodec
from ...config import to_dict
from ...errors import ModelError
from ...hub.store import save
from ...quantization.rvq import ResidualVectorQuantizer
from ...quantization.vq import VectorQuantizer
from . import checkpoint
from .distributed import agreed, average_gradients, group_place
from .runlog import Means, RunLog
from .schedule import learning_rate

LOG_EVERY = 50


class Trainer(ABC):
    """Trains a codec. See `AudioTrainer` and `VisionTrainer`.

    Args:
        config: the experiment.
        make: makes the model of the experiment.
        folder: of the run; made if it is not there.
        minutes: length of the run in time; None for `config.steps`.
        device: where to train.
        say: receives lines meant for a person.
    """

    sampler: Any  # gives batches; has `state()` and `restore()`
    late: tuple[str, ...] = ()  # parts that an earlier checkpoint may not have yet
    unit = ("items_per_second", 1.0)  # name of the speed in the log, and what an item counts

    def __init__(
        self,
        config: Any,
        make: Callable[[], TokenCodec],
        folder: str | Path,
        minutes: float | None = None,
        device: str | torch.device = "cpu",
        say: Callable[[str], None] = print,
    ):
        self.config = config
        self.folder = Path(folder)
        self.minutes = minutes
        self.device = torch.device(device)
        self.rank, self.world = group_place()
        self.say = say if self.rank == 0 else lambda _: None
        torch.manual_seed(config.seed)
        self.model: Any = make().to(self.device).train()
        self.average: Any = make().to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        # The same in all processes: they must use the same levels to share statistics of codebooks.
        self.random = torch.Generator().manual_seed(config.seed + 1)
        self.step = 0
        self.seconds = 0.0
        self.changed_at = 0  # step at which the schedule last changed
        self.codebooks_ready = False
        self.latents: list[Tensor] = []
        self._logged_at = 0.0
        self._log = RunLog(self.folder)

    @abstractmethod
    def train_step(self) -> dict[str, Tensor]:
        """Do one step; returns the terms of the loss, and more that is worth a record, by name."""

    def prepare(self) -> None:
        """What comes before the first step and does not count as training."""
        return

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Judge the averaged weights and log what comes out."""

    @abstractmethod
    def quantizers(self, model: Any) -> list[VectorQuantizer | ResidualVectorQuantizer]:
        """The stacks of codebooks of a model."""

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
        self.prepare()
        begin = last = saved = validated = time.monotonic()
        means = Means()
        while self.progress < 1.0 and (until_step is None or self.step < until_step):
            if stop_after is not None and self._agreed(last - begin) > 60 * stop_after:
                break
            means.add(self.advance())
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if self.minutes:
                self.seconds = self._agreed(self.seconds)
            if means.steps == LOG_EVERY:
                self._record(means)
            if self._agreed(now - saved) > 60 * self.config.save_minutes:
                self.save()
                saved = now
            if now - validated > 60 * self.config.validate_minutes:
                self.validate()
                validated = last = time.monotonic()  # judging does not count as training
        if means.steps:
            self._record(means)
        self.save()
        self.validate()

    def advance(self) -> dict[str, Tensor]:
        """Do one step and all that goes with it; returns what `train_step` does."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.optimizer, self.progress, self.step - self.changed_at)
        terms = self.train_step()
        self.update_average()
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    def descend(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Step down `terms["loss"]`; one bad batch does not end the run."""
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        norm = self.update(self.optimizer, self.parameters, self.config.optimizer.clip)
        return {**terms, "grad_norm": norm} if bool(torch.isfinite(norm)) else {"skipped": torch.ones(())}

    def update(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], clip: float) -> Tensor:
        """Average gradients over all processes, clip, and step unless they are not finite."""
        parameters = [p for p in parameters if p.requires_grad]  # zeros would let momentum move what is frozen
        average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, clip)
        if bool(torch.isfinite(norm)):
            optimizer.step()
        return norm

    # Codebooks ----------------------------------------------------------------------------------

    def remember(self, latent: Tensor) -> None:
        self.latents.append(latent.detach().reshape(-1, latent.shape[-1]).cpu())
        keep = self.config.quantization.buffer // (self.world * len(self.latents[0])) + 1
        del self.latents[:-keep]

    def start_codebooks(self) -> None:
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

    def freeze_codes(self) -> None:
        """Train the decoder alone from now on: encoder and codebooks stay as they are."""
        for name, parameter in self.model.named_parameters():
            if not name.startswith("decoder"):
                parameter.requires_grad_(False)
        for quantizer in self.quantizers(self.model):
            quantizer.eval()  # no statistics, no restarts

    # Parameters ---------------------------------------------------------------------------------

    def make_optimizer(self, modules: list[nn.Module]) -> None:
        """AdamW over what can be trained in `modules`."""
        config = self.config.optimizer
        self.parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        betas = (config.betas[0], config.betas[1])
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True)

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the averaged weights a little towards the present ones."""
        decay = min(self.config.optimizer.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def _agreed(self, seconds: float) -> float:
        """The first process's clock, so that all of them do the same."""
        return agreed(seconds, self.device)

    # Records ------------------------------------------------------------------------------------

    def _record(self, means: Means) -> None:
        steps, values = means.take()
        done = steps * self.config.batch * self.world * self.unit[1]
        speed = done / max(self.seconds - self._logged_at, 1e-9)
        self._logged_at = self.seconds
        entry = {"step": self.step, "minutes": round(self.seconds / 60, 2), self.unit[0]: round(speed, 1)}
        if self.rank == 0:
            self._log.write(entry | {name: round(value, 5) for name, value in values.items()})
        shown = " ".join(f"{k} {v:.3f}" for k, v in values.items() if k != "grad_norm")
        self.say(f"step {self.step} {self.progress:6.1%} {speed:5.1f}/s  {shown}")

    def record_scores(self, scores: dict[str, float]) -> None:
        """Log what a validation gave."""
        self._log.write({"step": self.step, "minutes": round(self.seconds / 60, 2), "valid": scores})

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
        checkpoint.write(self.folder, checkpoint.pack(*self.state(), extra), meta)
        save(self.average, self.folder / "model")

    def resume(self) -> None:
        """Continue the run in the folder from its checkpoint, exactly as if it had not stopped.

        If the length of the run was changed, the learning rate of the new plan is reached by a new
        linear rise.

        Raises:
            ModelError: if there is no checkpoint or it does not fit.
        """
        tensors, meta = checkpoint.read(self.folder)
        modules, optimizers = self.state()
        for key in self.late:
            if not any(name.startswith(f"{key}/") for name in tensors):
                modules.pop(key, None)
                optimizers.pop(f"{key}_optimizer", None)
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

    def start_from(self, model: TokenCodec) -> None:
        """Begin with the weights of a trained model of the same architecture (fine-tuning).

        Raises:
            ModelError: if its tensors do not fit.
        """
        try:
            self.model.load_state_dict(model.state_dict())
        except RuntimeError:
            raise ModelError("the model to start from has another architecture") from None
        self.average.load_state_dict(model.state_dict())
        for quantizer in self.quantizers(self.model):
            quantizer.reset_statistics()
        self.codebooks_ready = True

    def state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        """What a checkpoint holds."""
        return {"model": self.model, "average": self.average}, {"optimizer": self.optimizer}

    def _plan(self) -> list[float | None]:
        return [self.minutes, None if self.minutes else self.config.steps]
