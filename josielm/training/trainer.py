"""Training a language model over tokens, alone or under torchrun; see `josiecodec.training.core.loop` for the run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from josiecodec.datasets.dataset import DatasetInfo
from josiecodec.errors import ConfigError
from josiecodec.training.core import loop

from ..data.batches import Pieces
from ..data.missing import drop
from ..model.language_model import LM
from ..store import save
from .baselines import clips_of, unigram, unigram_entropy
from .config import TrainConfig
from .evaluate import negative_log_likelihood
from .losses import Balance, Losses, losses
from .start import start_from_counts, start_from_vectors

KINDS = ("semantic", "acoustic", "text", "text_silence", "recon")
COUNTED_FRAMES = 2_000_000  # that frequencies are counted over


class Trainer(loop.Trainer):
    """Trains a language model.

    Everything random in a step follows from the seed, the step and the process, so a checkpoint needs no state of it.

    Args:
        config: of the run.
        pieces: what it learns from.
        folder: of the run; made if it is not there.
        valid: what it is judged on, or None.
        minutes: length of the run in time; None for `config.steps`.
        device: where to train.
        vectors: of the codec's codes, to start from; see `josielm.training.start`.
        report: receives lines meant for a person.

    Raises:
        ConfigError: if the batch cannot be shared by the processes.
    """

    def __init__(
        self,
        config: TrainConfig,
        pieces: Pieces,
        folder: str | Path,
        valid: Pieces | None = None,
        minutes: float | None = None,
        device: str | torch.device = "cpu",
        vectors: list[Tensor] | None = None,
        report: Callable[[str], None] = print,
    ):
        super().__init__(config, lambda: LM(config.model), folder, minutes, device, report)
        self.pieces, self.valid = pieces, valid
        if config.batch % (self.world * config.accumulate):
            raise ConfigError(
                f"training: a batch of {config.batch} cannot be shared by {self.world} processes "
                f"in {config.accumulate} parts"
            )
        logs = unigram(clips_of(pieces.datasets, config.model.n_q, COUNTED_FRAMES), config.model.codebook_size)
        self.unigram = unigram_entropy(logs)
        if config.start_from_counts:
            start_from_counts(self.model, torch.from_numpy(logs))
        if vectors is not None:
            start_from_vectors(self.model, vectors, config.seed)
        self.balance = Balance().to(self.device) if config.loss.learnt else None
        if config.loss.recon and vectors is None:
            raise ConfigError("loss.recon needs the codec: its code vectors")
        self.vectors = (
            [v.float().to(self.device) for v in vectors] if vectors is not None and config.loss.recon else None
        )
        self.make_optimizer([self.model] if self.balance is None else [self.model, self.balance])
        self._peak = math.nan
        self._frames = 0

    @property
    def codec(self) -> DatasetInfo:
        """What made the codes."""
        return self.pieces.datasets[0].info

    def state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        modules, optimizers = super().state()
        return (modules if self.balance is None else {**modules, "balance": self.balance}), optimizers

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Tables, norms and biases do not decay."""
        return parameter.dim() > 1 and "table" not in name

    def prepare(self) -> None:
        self._peak = products_per_second(self.device, self.config.precision == "bf16")

    def train_step(self) -> dict[str, Tensor]:
        config = self.config
        drawn = np.random.SeedSequence((config.seed, self.step, self.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0]))  # dropout follows from the step, on every device and in every process
        self.optimizer.zero_grad(set_to_none=True)
        share = config.batch // (self.world * config.accumulate)
        total: Losses | None = None
        for number in range(config.accumulate):
            first = (self.rank * config.accumulate + number) * share
            part = self._backward(range(first, first + share), number)
            total = part if total is None else Losses(total.sums + part.sums, total.counts + part.counts)
        assert total is not None  # accumulate is at least 1
        norm = self.update(self.optimizer, self.parameters, config.optimizer.clip)
        if not bool(torch.isfinite(norm)):
            return {"skipped": torch.ones(())}
        means = {name: torch.tensor(value) for name, value in total.means().items()}
        if self.balance is not None:
            means |= {f"weight_{n}": w for n, w in zip(KINDS, (-self.balance.table.detach()).exp())}
        return {"loss": total.total(config.loss), "grad_norm": norm, **means}

    def _backward(self, which: range, number: int) -> Losses:
        """Add the gradient of a part of the step's batch."""
        config = self.config
        inputs = self.pieces.batch(config.seed, self.step, which).to(self.device)
        self._frames += int(inputs.learn.sum()) if inputs.learn is not None else 0
        generator = torch.Generator().manual_seed(
            (config.seed * 1_000_003 + self.step) * 4096 + self.rank * config.accumulate + number
        )
        if config.missing.any:
            inputs = drop(inputs, config.missing, self.model.ids, config.model.vision, generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            part = losses(self.model, inputs, config.depth_frame_fraction, generator, self.vectors)
        (part.total(config.loss, self.balance) / config.accumulate).backward()
        return Losses(part.sums.detach(), part.counts)

    def validate(self) -> dict[str, float]:
        """Judge the model on the data it does not learn from, and log what comes out."""
        if self.valid is None:
            return {}
        bf16 = self.config.precision == "bf16"
        nll = negative_log_likelihood(self.model, self.valid, self.config.validate_frames, bf16=bf16)
        self.log({"valid": nll})
        self.report(f"step {self.step} valid  " + " ".join(f"{k} {v:.3f}" for k, v in nll.items()))
        return nll

    def entry(self, steps: int, seconds: float, values: dict[str, float]) -> tuple[dict[str, Any], str]:
        frames, self._frames = self._frames * self.world, 0  # as many in the others
        speed = frames / seconds
        products = 3 * self.model.multiplications(self.config.depth_frame_fraction) * speed / self.world
        levels = {k: round(v, 5) for k, v in values.items() if k.startswith(("level", "text"))}
        rest = {k: round(v, 5) for k, v in values.items() if k not in levels}
        entry: dict[str, Any] = {
            "frames_per_second": round(speed, 1),
            "tokens_per_second": round(speed * self.config.model.n_q, 1),
            "mfu": round(products / self._peak, 4),
            "lr": self.optimizer.param_groups[0]["lr"],
            "unigram": {f"level_{k}": round(v, 4) for k, v in enumerate(self.unigram)},
            **rest,
            "nll": levels,
        }
        shown = " ".join(f"{k[6:] if k.startswith('level_') else k} {v:.3f}" for k, v in levels.items())
        gist = f"mfu {entry['mfu']:.1%}  loss {values.get('loss', math.nan):.4f}  {shown}"
        return entry, f"{entry['tokens_per_second']:.0f} tokens/s {gist}"

    def save_model(self) -> None:
        """Write the model as `josielm.load` reads it."""
        pictures = self.pieces.pictures
        vision = None if pictures is None else pictures.dataset.info
        save(self.folder / "model", self.model, self.codec, self.pieces.rows, vision, self.config.mode)


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
