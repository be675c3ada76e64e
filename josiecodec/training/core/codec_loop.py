"""What only codecs need in training: averaged weights, and codebooks that are placed and then kept."""

from __future__ import annotations

import dataclasses
import re
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...coding.codec import TokenCodec
from ...errors import ModelError
from ...hub.store import save
from ...quantization.rvq import ResidualVectorQuantizer
from ...quantization.vq import VectorQuantizer
from ...shipped import available
from .loop import Trainer

MAX_NAME = 64  # bytes in the header of a file


def run_name(name: str, folder: Path) -> str:
    """The name of the model that a run makes: that of its settings, unless a model of the package is called so.

    Files carry the name, and whoever reads them would look for the model that came with the package.
    """
    if name not in available():
        return name
    own = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-") or "run"
    return f"{name}-{own}"[:MAX_NAME]


class CodecTrainer(Trainer):
    """Trains a codec. See `AudioTrainer` and `VisionTrainer`.

    Args:
        config: the experiment; a `RunConfig` with `optimizer`, an `OptimizerConfig`.
        make: makes the codec of the experiment.
        folder: of the run; made if it is not there.
        minutes: length of the run in time; None for `config.steps`.
        device: where to train.
        report: receives lines meant for a person.

    Attributes:
        average: the averaged weights, which are those that are validated and saved.
        random: random numbers that are the same in all processes: they must use the same levels to share statistics
            of codebooks.
        codebooks_ready: whether the codebooks have been placed.
    """

    sampler: Any  # gives batches; has `state()` and `restore()`
    unit = ("items_per_second", 1.0)  # name of the speed in the log, and what an item counts

    def __init__(
        self,
        config: Any,
        make: Callable[[], TokenCodec],
        folder: str | Path,
        minutes: float | None = None,
        device: str | torch.device = "cpu",
        report: Callable[[str], None] = print,
    ):
        super().__init__(config, make, folder, minutes, device, report)
        self.average: Any = make().to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.random = torch.Generator().manual_seed(config.seed + 1)
        self.codebooks_ready = False

    @abstractmethod
    def quantizers(self, model: Any) -> list[VectorQuantizer | ResidualVectorQuantizer]:
        """The stacks of codebooks of a model."""

    def descend(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Step down `terms["loss"]`; one bad batch does not end the run."""
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        norm = self.update(self.optimizer, self.parameters, self.config.optimizer.clip)
        return {**terms, "grad_norm": norm} if bool(torch.isfinite(norm)) else {"skipped": torch.ones(())}

    def after_step(self) -> None:
        self.update_average()

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the averaged weights a little towards the present ones."""
        decay = min(self.config.optimizer.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def freeze_codes(self) -> None:
        """Train the decoder alone from now on: encoder and codebooks stay as they are."""
        for name, parameter in self.model.named_parameters():
            if not name.startswith("decoder"):
                parameter.requires_grad_(False)
        for quantizer in self.quantizers(self.model):
            quantizer.eval()  # no statistics, no restarts

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

    def entry(self, steps: int, seconds: float, values: dict[str, float]) -> tuple[dict[str, Any], str]:
        speed = steps * self.config.batch * self.world * self.unit[1] / seconds
        shown = " ".join(f"{k} {v:.3f}" for k, v in values.items() if k != "grad_norm")
        rounded = {name: round(value, 5) for name, value in values.items()}
        return {
            self.unit[0]: round(speed, 1),
            **rounded,
        }, f"{speed:.1f} {self.unit[0].replace('_per_second', '/s').replace('_', ' ')}  {shown}"

    def save_model(self) -> None:
        """Write the averaged weights as a model that `josiecodec.load` reads, with a name of its own."""
        own = dataclasses.replace(self.average.config, name=run_name(self.average.config.name, self.folder))
        kept, self.average.config = self.average.config, own
        try:
            save(self.average, self.folder / "model")
        finally:
            self.average.config = kept

    def state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        return {"model": self.model, "average": self.average}, {"optimizer": self.optimizer}

    def progress_state(self) -> dict[str, Any]:
        return {**super().progress_state(), "codebooks_ready": self.codebooks_ready}

    def restore_progress(self, values: dict[str, Any]) -> None:
        super().restore_progress(values)
        self.codebooks_ready = bool(values["codebooks_ready"])

    def process_state(self) -> dict[str, Tensor]:
        return {"torch": torch.get_rng_state(), "sampler": self.sampler.state(), "random": self.random.get_state()}

    def restore_process(self, tensors: dict[str, Tensor]) -> None:
        torch.set_rng_state(tensors["torch"])
        self.sampler.restore(tensors["sampler"])
        self.random.set_state(tensors["random"])
