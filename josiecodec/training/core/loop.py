"""The loop of every training run, whatever is trained: the clock, steps, checkpoints, validation and the log.

A run is a folder: `config.json`, `log.jsonl` (and TensorBoard events), `checkpoint.safetensors`, the model as a folder
`model/`, and whatever a kind of training adds.

Schedules follow the run's progress, a number from 0 to 1: steps done of all steps, or minutes trained of all minutes.
So a run of 25 minutes is a complete run, whatever the machine manages in that time.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...errors import ModelError
from . import checkpoint
from .distributed import agreed, average_gradients, rank_and_world
from .legend import legend
from .precision import advice
from .run_settings import check_settings, write_settings
from .runlog import Means, RunLog
from .schedule import learning_rate

CHECKPOINT_VERSION = 2


class Trainer(ABC):
    """Trains a model. See `CodecTrainer` for codecs, and `josielm.training.trainer`.

    Args:
        config: the experiment; a `RunConfig` with `optimizer`, a `DescentConfig`.
        make: makes the model of the experiment.
        folder: of the run; made if it is not there.
        minutes: length of the run in time; None for `config.steps`.
        device: where to train.
        report: receives lines meant for a person.

    Attributes:
        step: steps done.
        seconds: time spent on them; saving and validation do not count.
        changed_at: step at which the schedule last changed.
        stopped: whether the last `run` ended because of `stop`.
    """

    late: tuple[str, ...] = ()  # parts that an earlier checkpoint may not have yet

    def __init__(
        self,
        config: Any,
        make: Callable[[], nn.Module],
        folder: str | Path,
        minutes: float | None = None,
        device: str | torch.device = "cpu",
        report: Callable[[str], None] = print,
    ):
        self.config = config
        self.folder = Path(folder)
        self.minutes = minutes
        self.device = torch.device(device)
        self.rank, self.world = rank_and_world()
        self.report = report if self.rank == 0 else lambda _: None
        torch.manual_seed(config.seed)
        self.model: Any = make().to(self.device).train()
        self.step = 0
        self.seconds = 0.0
        self.changed_at = 0
        self.stopped = False
        self._stop_asked = False
        self._changed: dict[str, list[Any]] = {}  # settings, since the run was begun or last resumed
        self._logged_at = 0.0
        self._explained: set[str] = set()
        self._log = RunLog(self.folder)

    # What a kind of training has to define ------------------------------------------------------

    @abstractmethod
    def train_step(self) -> dict[str, Tensor]:
        """Do one step; returns the terms of the loss, and more that is worth a record, by name."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Judge the model and log what comes out; only the first process is asked to."""

    @abstractmethod
    def save_model(self) -> None:
        """Write the model to `model/` in the folder of the run; only the first process is asked to."""

    @abstractmethod
    def entry(self, steps: int, seconds: float, values: dict[str, float]) -> tuple[dict[str, Any], str]:
        """What is logged: an entry, and its gist for a person.

        Args:
            steps: done since the last entry.
            seconds: that they took.
            values: means of what `train_step` gave.
        """

    # What it may define -------------------------------------------------------------------------

    def prepare(self) -> None:
        """What comes before the first step and does not count as training."""
        return

    def after_step(self) -> None:
        """What follows each step."""
        return

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Whether weight decay is for this parameter."""
        return parameter.dim() > 1

    def state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        """What a checkpoint holds."""
        return {"model": self.model}, {"optimizer": self.optimizer}

    def progress_state(self) -> dict[str, Any]:
        """Plain values that a checkpoint holds."""
        plan = [self.minutes, None if self.minutes else self.config.steps]
        return {"step": self.step, "seconds": self.seconds, "changed_at": self.changed_at, "plan": plan}

    def restore_progress(self, values: dict[str, Any]) -> None:
        """Take what `progress_state` gave. A new length of the run begins with a new linear rise of the rate."""
        self.step, self.seconds = int(values["step"]), float(values["seconds"])
        self._logged_at = self.seconds
        self.changed_at = int(values["changed_at"]) if values["plan"] == self.progress_state()["plan"] else self.step

    def process_state(self) -> dict[str, Tensor]:
        """What each process has of its own, such as the state of its random numbers."""
        return {}

    def restore_process(self, tensors: dict[str, Tensor]) -> None:
        """Take what `process_state` gave."""
        return

    # The run ------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """How far the run has come, 0 to 1."""
        done = self.seconds / (60 * self.minutes) if self.minutes else self.step / self.config.steps
        return min(done, 1.0)

    def run(self, until_step: int | None = None, stop_after: float | None = None) -> None:
        """Train to the end of the schedule, until a step, for `stop_after` minutes of this call, or until `stop`.

        A checkpoint is written at the end in any case; a run that was stopped is not validated.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rank == 0:
            write_settings(self.folder, self.config)
        if self._changed:
            self.log({"changed": self._changed})
            self._changed = {}
        told = advice(self.config.precision, self.device) if self.rank == 0 else ""
        if told:
            self.report(f"note: {told}")
        self.prepare()
        begun = saved = validated = time.monotonic()
        means = Means()
        self.stopped = False
        while self.progress < 1.0 and (until_step is None or self.step < until_step) and not self._stops():
            if stop_after is not None and self._agreed(time.monotonic() - begun) > 60 * stop_after:
                break
            start = time.monotonic()
            means.add(self.advance())
            self.seconds += time.monotonic() - start
            if self.minutes:
                self.seconds = self._agreed(self.seconds)
            if self.step % self.config.log_every == 0:
                self._record(means)
            if self._due(saved, self.config.save_minutes, self.config.save_every):
                self.save()
                saved = time.monotonic()
            if self._due(validated, self.config.validate_minutes, self.config.validate_every):
                self._validate()
                validated = time.monotonic()
        if means.steps:
            self._record(means)
        self.save()
        if not self.stopped:
            self._validate()

    def stop(self) -> None:
        """Let `run` end after the step that is being done; may be called from a signal handler."""
        self._stop_asked = True

    def advance(self) -> dict[str, Tensor]:
        """Do one step and all that goes with it; returns what `train_step` does."""
        rate = learning_rate(self.config.optimizer, self.progress, self.step - self.changed_at)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        terms = self.train_step()
        self.after_step()
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    def _stops(self) -> bool:
        asked = bool(self._agreed(float(self._stop_asked)))
        self.stopped, self._stop_asked = asked, self._stop_asked and not asked
        return asked

    def _due(self, last: float, minutes: float, every: int) -> bool:
        """Whether it is time again, by steps or by the clock of the first process."""
        by_steps = every > 0 and self.step % every == 0
        return by_steps or self._agreed(time.monotonic() - last) > 60 * minutes

    def _agreed(self, number: float) -> float:
        """The first process's number, so that all of them do the same."""
        return agreed(number, self.device)

    def _validate(self) -> None:
        if self.rank == 0:
            self.validate()
        self._wait()

    def _wait(self) -> None:
        if self.world > 1:
            dist.barrier()

    # Parameters ---------------------------------------------------------------------------------

    def make_optimizer(self, modules: list[nn.Module]) -> None:
        """AdamW over what can be trained in `modules`."""
        config = self.config.optimizer
        named = [(name, p) for m in modules for name, p in m.named_parameters() if p.requires_grad]
        self.parameters = [p for _, p in named]
        groups = [
            {"params": [p for name, p in named if self.decays(name, p)], "weight_decay": config.weight_decay},
            {"params": [p for name, p in named if not self.decays(name, p)], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(config.betas[0], config.betas[1]), fused=True)

    def update(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], clip: float) -> Tensor:
        """Average gradients over all processes, clip, and step unless they are not finite.

        Returns the norm of the gradient: one bad batch does not end the run, and the caller should log it.
        """
        parameters = [p for p in parameters if p.requires_grad]  # zeros would let momentum move what is frozen
        average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, clip)
        if bool(torch.isfinite(norm)):
            optimizer.step()
        return norm

    # Records and checkpoints --------------------------------------------------------------------

    def _record(self, means: Means) -> None:
        steps, values = means.take()
        seconds = max(self.seconds - self._logged_at, 1e-9)
        self._logged_at = self.seconds
        entry, gist = self.entry(steps, seconds, values)
        self.log(entry)
        if explained := legend(values, self._explained):
            self.report(f"  {explained}")
        self.report(f"step {self.step} {self.progress:6.1%} {self._left()} left  {gist}")

    def _left(self) -> str:
        """The time that the run still takes, by what it took so far."""
        if self.minutes:
            seconds = 60 * self.minutes - self.seconds
        else:
            seconds = self.seconds * (1 - self.progress) / max(self.progress, 1e-9)
        minutes = max(0, round(seconds / 60))
        return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"

    def log(self, entry: dict[str, Any]) -> None:
        """Log an entry at the present step; only the first process does."""
        if self.rank == 0:
            self._log.write({"step": self.step, "minutes": round(self.seconds / 60, 3), **entry})

    def show(self, pictures: dict[str, Path], sounds: dict[str, tuple[Tensor, int]]) -> None:
        """Let TensorBoard show files of pictures, and waveforms [T] with their rate, at the present step."""
        if self.rank == 0:
            self._log.show(self.step, pictures, sounds)

    def save(self) -> None:
        """Write the checkpoint, and the model as the loader of its kind reads it."""
        own = self.process_state()
        if self.world > 1 and own:  # the first process's state is in the checkpoint
            checkpoint.write(self.folder, checkpoint.pack({}, {}, own), {}, f"process{self.rank}")
        if self.rank == 0:
            meta = {**self.progress_state(), "version": CHECKPOINT_VERSION}
            checkpoint.write(self.folder, checkpoint.pack(*self.state(), own), meta)
            self.save_model()
        self._wait()

    def resume(self, changed: Iterable[str] = ()) -> None:
        """Continue the run in the folder from its checkpoint, exactly as if it had not stopped.

        Its length may be another one than before; then the learning rate of the new plan is reached by a new linear
        rise.

        Args:
            changed: dotted names of other settings, or tables of them, that may differ from those of the run so far.
                What differs is logged.

        Raises:
            ConfigError: if any other setting differs.
            ModelError: if there is no checkpoint or it does not fit.
        """
        tensors, meta = checkpoint.read(self.folder)
        if meta.get("version") != CHECKPOINT_VERSION:
            raise ModelError(
                f"{self.folder}: a run of an earlier version of the toolkit, which cannot be resumed; "
                f"a new one can start from {self.folder / 'model'}"
            )
        differences = check_settings(self.folder, self.config, changed)
        modules, optimizers = self.state()
        for key in self.late:
            if not any(name.startswith(f"{key}/") for name in tensors):
                modules.pop(key, None)
                optimizers.pop(f"{key}_optimizer", None)
        own = checkpoint.unpack(tensors, modules, optimizers)
        if self.world > 1 and own:
            own = checkpoint.unpack(checkpoint.read(self.folder, f"process{self.rank}")[0], {}, {})
        self.restore_progress(meta)
        self.restore_process(own)
        self._changed = differences
        if differences:
            shown = ", ".join(f"{name} = {now!r} (was {was!r})" for name, (was, now) in differences.items())
            self.report(f"goes on at step {self.step} with {shown}")
