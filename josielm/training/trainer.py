"""The training loop, alone or under torchrun. A run is a folder: `config.json`, `log.jsonl` (and TensorBoard events),
`checkpoint.safetensors`, and the model in `model/`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from josiecodec.atomic import write_bytes
from josiecodec.config import to_dict
from josiecodec.datasets.dataset import DatasetInfo
from josiecodec.errors import ConfigError, ModelError
from josiecodec.training.audio.config import DescentConfig
from josiecodec.training.core import checkpoint
from josiecodec.training.core.distributed import agreed, average_gradients, group_place
from josiecodec.training.core.runlog import Means, RunLog
from josiecodec.training.core.schedule import learning_rate

from ..data.batches import Pieces
from ..model.config import TrainConfig
from ..model.language_model import LM
from ..store import save
from .baselines import clips_of, unigram, unigram_entropy
from .evaluate import negative_log_likelihood
from .losses import Losses, losses
from .start import start_from_counts, start_from_vectors

COUNTED = 2_000_000  # frames that frequencies are counted over
CONFIG_FILE = "config.json"


class Trainer:
    """Trains a model.

    Args:
        config: of the run.
        pieces: what it learns from.
        folder: of the run; made if it is not there.
        judged: what it is judged on, or None.
        minutes: length of the run in time; None for `config.steps`.
        device: where to train.
        vectors: of the codec's codes, to start from; see `josielm.training.start`.
        say: receives lines meant for a person.

    Raises:
        ConfigError: if the batch cannot be shared by the processes.
    """

    def __init__(
        self,
        config: TrainConfig,
        pieces: Pieces,
        folder: str | Path,
        judged: Pieces | None = None,
        minutes: float | None = None,
        device: str | torch.device = "cpu",
        vectors: list[torch.Tensor] | None = None,
        say: Callable[[str], None] = print,
    ):
        self.config, self.pieces, self.judged, self.minutes = config, pieces, judged, minutes
        self.folder, self.device = Path(folder), torch.device(device)
        self.rank, self.world = group_place()
        if config.batch % (self.world * config.accumulate):
            raise ConfigError(
                f"training: a batch of {config.batch} cannot be shared by {self.world} processes "
                f"in {config.accumulate} parts"
            )
        self.say = say if self.rank == 0 else lambda _: None
        torch.manual_seed(config.seed)
        self.model = LM(config.model).to(self.device).train()
        logs = unigram(clips_of(pieces.datasets, config.model.n_q, COUNTED), config.model.codebook_size)
        self.unigram = unigram_entropy(logs)
        if config.start_from_counts:
            start_from_counts(self.model, torch.from_numpy(logs))
        if vectors is not None:
            start_from_vectors(self.model, vectors, config.seed)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.step = 0
        self.seconds = 0.0
        self.stopped = False
        self._log = RunLog(self.folder)
        self._frames = 0

    @property
    def progress(self) -> float:
        """How far the run has come, 0 to 1."""
        done = self.seconds / (60 * self.minutes) if self.minutes else self.step / self.config.steps
        return min(done, 1.0)

    @property
    def codec(self) -> DatasetInfo:
        """What made the codes."""
        return self.pieces.datasets[0].info

    def run(self, until_step: int | None = None) -> None:
        """Train to the end of the schedule, until a step, or until `stop` is called; then save."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rank == 0:
            write_bytes(self.folder / CONFIG_FILE, (json.dumps(to_dict(self.config), indent=1) + "\n").encode())
        self._peak = products_per_second(self.device, self.config.precision == "bf16")
        last, logged, means = time.monotonic(), self.seconds, Means()
        while self.progress < 1 and (until_step is None or self.step < until_step) and not self._stopping():
            means.add(self.advance())
            now = time.monotonic()
            self.seconds = agreed(self.seconds + now - last, self.device) if self.minutes else self.seconds + now - last
            last = now
            if self.step % self.config.log_every == 0:
                self._record(means, self.seconds - logged)
                logged = self.seconds
            if self.step % self.config.save_every == 0:
                self.save()
            if self.step % self.config.validate_every == 0:
                self.validate()
            last = time.monotonic()  # neither counts as training
        if means.steps:
            self._record(means, self.seconds - logged)
        self.save()
        if not self.stopped:
            self.validate()

    def stop(self) -> None:
        """Let `run` end after the step that is being done; may be called from a signal handler."""
        self.stopped = True

    def _stopping(self) -> bool:
        self.stopped = bool(agreed(float(self.stopped), self.device))
        return self.stopped

    def advance(self) -> dict[str, Any]:
        """One step; what is worth a record, by name."""
        config = self.config
        drawn = np.random.SeedSequence((config.seed, self.step, self.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0]))  # dropout follows from the step, on every device and in every process
        rate = learning_rate(config.optimizer, self.progress, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        share = config.batch // (self.world * config.accumulate)
        total: Losses | None = None
        for number in range(config.accumulate):
            first = (self.rank * config.accumulate + number) * share
            part = self._backward(range(first, first + share), number)
            total = part if total is None else Losses(total.sums + part.sums, total.counts + part.counts)
        assert total is not None  # accumulate is at least 1
        parameters = list(self.model.parameters())
        average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, config.optimizer.clip)
        sound = bool(torch.isfinite(norm))
        if sound:  # one bad batch does not end the run
            self.optimizer.step()
        self.step += 1
        return {"loss": total.total(config.loss), "grad_norm": norm, **total.means()} if sound else {"skipped": 1.0}

    def _backward(self, which: range, number: int) -> Losses:
        """Add the gradient of a part of the step's batch."""
        config = self.config
        inputs = self.pieces.batch(config.seed, self.step, which).to(self.device)
        self._frames += int(inputs.learn.sum()) if inputs.learn is not None else 0
        generator = torch.Generator().manual_seed(
            (config.seed * 1_000_003 + self.step) * 4096 + self.rank * config.accumulate + number
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            part = losses(self.model, inputs, config.depth_frame_fraction, generator)
        (part.total(config.loss) / config.accumulate).backward()
        return Losses(part.sums.detach(), part.counts)

    def validate(self) -> None:
        """Judge the model on the data it does not learn from, and log what comes out."""
        if self.judged is None:
            return
        if self.rank == 0:
            bf16 = self.config.precision == "bf16"
            nll = negative_log_likelihood(self.model, self.judged, self.config.validate_frames, bf16=bf16)
            self._log.write({"step": self.step, "minutes": round(self.seconds / 60, 2), "valid": nll})
            self.say(f"step {self.step} valid  " + " ".join(f"{k} {v:.3f}" for k, v in nll.items()))
        if self.world > 1:
            dist.barrier()

    def _record(self, means: Means, seconds: float) -> None:
        _, values = means.take()
        frames, self._frames = self._frames * self.world, 0  # as many in the others
        speed = frames / max(seconds, 1e-9)
        products = 3 * self.model.multiplications(self.config.depth_frame_fraction) * speed / self.world
        entry: dict[str, Any] = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 3),
            "frames_per_second": round(speed, 1),
            "tokens_per_second": round(speed * self.config.model.n_q, 1),
            "mfu": round(products / self._peak, 4),
            "lr": self.optimizer.param_groups[0]["lr"],
            "unigram": {f"level_{k}": round(v, 4) for k, v in enumerate(self.unigram)},
        }
        levels = {k: round(v, 5) for k, v in values.items() if k.startswith(("level", "text"))}
        rest = {k: round(v, 5) for k, v in values.items() if k not in levels}
        if self.rank == 0:
            self._log.write(entry | rest | {"nll": levels})
        shown = " ".join(f"{k[6:] if k.startswith('level_') else k} {v:.3f}" for k, v in levels.items())
        self.say(
            f"step {self.step} {self.progress:6.1%} {entry['tokens_per_second']:.0f} tokens/s "
            f"mfu {entry['mfu']:.1%}  loss {values.get('loss', math.nan):.4f}  {shown}"
        )

    def save(self) -> None:
        """Write the checkpoint, and the model as `josielm.load` reads it."""
        if self.rank == 0:
            meta = {"step": self.step, "seconds": self.seconds}
            tensors = checkpoint.pack({"model": self.model}, {"optimizer": self.optimizer}, {})
            checkpoint.write(self.folder, tensors, meta)
            pictures = self.pieces.pictures
            seen = None if pictures is None else pictures.dataset.info
            save(self.folder / "model", self.model, self.codec, self.pieces.rows, seen, self.config.mode)
        if self.world > 1:
            dist.barrier()

    def resume(self) -> None:
        """Continue the run in the folder from its checkpoint, exactly as if it had not stopped.

        Its length alone may be another one than before.

        Raises:
            ConfigError: if its settings were others.
            ModelError: if there is no checkpoint or it does not fit.
        """
        tensors, meta = checkpoint.read(self.folder)
        self._check_settings()
        checkpoint.unpack(tensors, {"model": self.model}, {"optimizer": self.optimizer})
        self.step, self.seconds = int(meta["step"]), float(meta["seconds"])

    def _check_settings(self) -> None:
        path = self.folder / CONFIG_FILE
        try:
            before = _flat(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{path}: cannot be read ({error})") from None
        now = _flat(json.loads(json.dumps(to_dict(self.config))))
        for name in now | before:
            was, is_ = before.get(name), now.get(name)
            if was != is_ and name != "steps":
                raise ConfigError(f"{path}: the run was begun with {name} = {was!r}, not {is_!r}")


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    if not isinstance(values, dict):
        return {name: values}
    parts = (_flat(value, f"{name}.{key}" if name else key) for key, value in values.items())
    return {k: v for part in parts for k, v in part.items()}


def make_optimizer(model: LM, config: DescentConfig) -> torch.optim.Optimizer:
    """AdamW; tables, norms and biases do not decay."""
    named = list(model.named_parameters())
    decays = [p.dim() > 1 and "table" not in name for name, p in named]
    groups = [
        {"params": [p for (_, p), d in zip(named, decays) if d], "weight_decay": config.weight_decay},
        {"params": [p for (_, p), d in zip(named, decays) if not d], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.betas[0], config.betas[1]), fused=True)


def products_per_second(device: torch.device, bf16: bool) -> float:
    """Products (with their sums) of a large plain matrix product that this machine does in a second."""
    a = torch.ones(1024, 1024, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    best = 0.0
    for _ in range(4):
        begin = time.perf_counter()
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 1024**3 / (time.perf_counter() - begin))
    return best
