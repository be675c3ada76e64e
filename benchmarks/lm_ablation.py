"""Ablation of the language model: variants trained for the same time on the same data.

    python benchmarks/lm_ablation.py TRAIN VALID [--minutes 1] [--preset small] [--only plain split]
        [--out benchmarks/results/lm_ablation.json]

TRAIN and VALID are datasets of tokens (`josiecodec tokenize`). The variants take turns of a few seconds, and only
CPU time of the process counts, so that other load on the machine affects all alike. A faster variant sees more data.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from josiecodec.errors import ModelError
from josielm.data.batches import Pieces, open_datasets
from josielm.model.config import StackConfig
from josielm.store import load_codec
from josielm.training.baselines import clips_of, floors
from josielm.training.config import TrainConfig, fitted, read_train_config
from josielm.training.evaluate import negative_log_likelihood
from josielm.training.start import code_vectors
from josielm.training.trainer import Trainer

Change = Callable[[TrainConfig], TrainConfig]
TURN = 6.0  # seconds


def _model(**changes: object) -> Change:
    return lambda c: replace(c, model=replace(c.model, **changes))  # type: ignore[arg-type]


def _stacks(change: Callable[[StackConfig], StackConfig], depth: bool = True) -> Change:
    def apply(c: TrainConfig) -> TrainConfig:
        inner = change(c.model.depth) if depth else c.model.depth
        return replace(c, model=replace(c.model, temporal=change(c.model.temporal), depth=inner))

    return apply


VARIANTS: dict[str, tuple[str, Change]] = {
    "plain": ("the preset as it is", lambda c: c),
    "no rotary": (
        "no rotary positions between frames",
        _stacks(lambda s: replace(s, rotary=False), depth=False),
    ),
    "split": ("semantic level predicted apart from the acoustic ones", _model(semantic="split")),
    "no temporal": ("no temporal transformer", _model(temporal_on=False)),
    "layer norm": ("layer norm for RMS norm", _stacks(lambda s: replace(s, norm="layer"))),
    "no delay": ("acoustic levels not delayed", _model(delays=())),
    "per step": ("depth weights for every step", _model(depth_weights="per_step")),
    "half depth": ("depth transformer on half the frames", lambda c: replace(c, depth_frame_fraction=0.5)),
    "learnt weights": ("weights of the losses learnt", lambda c: replace(c, loss=replace(c.loss, learnt=True))),
    "recon": ("distance of expected code vectors in the loss", lambda c: replace(c, loss=replace(c.loss, recon=1.0))),
    "random start": ("tables and heads not started from the codec", lambda c: replace(c, start_from_codec=False)),
}


def prepare(name: str, config: TrainConfig, train: Path, minutes: float, folder: Path) -> Trainer:
    """A trainer for a variant, before its first step."""
    data = open_datasets([train])
    config = VARIANTS[name][1](fitted(config, data[0].info, min(config.model.n_q, data[0].n_q), 0))
    vectors = None
    if config.start_from_codec:
        try:
            vectors = code_vectors(load_codec(data[0].info), config.model.n_q)
        except ModelError:
            print(f"{data[0].info.codec} is not at hand: tables start at random")
    pieces = Pieces(data, config.model, config.frames)
    return Trainer(config, pieces, folder, None, minutes, "cpu", vectors, lambda _: None)


def train_in_turns(trainers: list[Trainer]) -> None:
    """Train all to their end, each for a few seconds at a time."""
    while any(trainer.progress < 1 for trainer in trainers):
        for trainer in trainers:
            until = trainer.seconds + TURN
            while trainer.progress < 1 and trainer.seconds < until:
                begin = time.process_time()
                trainer.advance()
                trainer.seconds += time.process_time() - begin
        shown = " ".join(str(trainer.step) for trainer in trainers)
        print(f"{trainers[0].progress:.0%} steps {shown}", flush=True)


def evaluate(name: str, trainer: Trainer, valid: Path) -> dict[str, object]:
    """Nats per code of a trained variant, for each level and their mean."""
    config = trainer.config
    nll = negative_log_likelihood(trainer.model, Pieces(open_datasets([valid]), config.model, config.frames))
    levels = [round(nll[f"level_{k}"], 4) for k in range(config.model.n_q)]
    row = {"variant": name, "what": VARIANTS[name][0], "steps": trainer.step, "levels": levels}
    return {**row, "mean": round(sum(levels) / len(levels), 4), "parameters": trainer.model.parameter_count()}


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = replace(read_train_config(arguments.preset), precision=arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        trainers = [prepare(n, config, arguments.train, arguments.minutes, Path(folder) / n) for n in arguments.only]
        train_in_turns(trainers)
    rows = [evaluate(name, trainer, arguments.valid) for name, trainer in zip(arguments.only, trainers)]
    for row in rows:
        print(f"{row['variant']:13} {row['mean']:.3f}  {row['levels']}  {row['steps']} steps")
    data, other = open_datasets([arguments.train]), open_datasets([arguments.valid])
    n_q = min(config.model.n_q, data[0].n_q)
    baselines = floors(clips_of(data, n_q), clips_of(other, n_q), data[0].info.codebook_size)
    if arguments.out:
        result = {"machine": platform.machine(), "torch": torch.__version__, "minutes": arguments.minutes}
        result |= {"preset": arguments.preset, "precision": arguments.precision, "rows": rows}
        arguments.out.write_text(json.dumps({**result, "floors": vars(baselines)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
