"""Models by name: what they count, and that each can be trained."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kit.lm import CARD, LEVELS, dataset, info, made, random_clips
from kit.lm_training import CONFIG, trainer

from josiecodec.errors import ConfigError
from josielm.model.config import ModelConfig, StackConfig
from josielm.model.language_model import LM, Inputs
from josielm.model.layers import added_positions
from josielm.model.presets import PRESETS, preset
from josielm.training.config import fitted

TABLE = Path(__file__).parent / "fixtures" / "architecture_v4o.tsv"


def published_count() -> int:
    """Parameters of the published temporal and depth transformers, from the table of their modules."""
    width, total = {"temporial_transformer": 1028, "depth_transformer": 512}, 0
    with open(TABLE, newline="") as f:
        for row in csv.DictReader(f, delimiter="\t"):
            part = row["module"].split(".")[0]
            if part not in width:
                continue
            times = 1
            for first, last in re.findall(r"\.(\d+)-(\d+)", row["module"]):
                times *= int(last) - int(first) + 1
            kind = row["type"].split(" x ")[-1]
            numbers = [int(n) for n in re.findall(r"\d+", row["arguments"])]
            if kind == "Embedding":
                total += times * numbers[0] * numbers[1]
            elif kind == "Linear":
                total += times * (numbers[0] * numbers[1] + numbers[1] * ("bias=True" in row["arguments"]))
            elif kind == "RMSNorm":
                total += times * width[part]
    return total


def test_the_preset_v4o_counts_as_published():
    with torch.device("meta"):
        model = LM(preset("v4o"))
    assert published_count() == 438_351_980
    assert model.parameter_count() == published_count()


def test_presets_exist():
    for name in PRESETS:
        assert preset(name).name == name
    with pytest.raises(ConfigError, match="there are"):
        preset("huge")


def thin(config: ModelConfig) -> ModelConfig:
    """As deep as a preset, but narrow, so that a test can run it; widths do not divide by heads where its do not."""

    def narrow(stack: StackConfig) -> StackConfig:
        odd = stack.dim % stack.heads
        return replace(stack, dim=4 * stack.heads + min(odd, 3), hidden=24)

    return replace(config, temporal=narrow(config.temporal), depth=narrow(config.depth), context=40)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_learns_without_text(name, tmp_path):
    """A first frame of which nothing was known had gradients without bound in a deep model."""
    tokens = dataset(tmp_path / "tokens", random_clips(20))
    config = fitted(replace(CONFIG, model=thin(preset(name)), batch=2, frames=8), info(), LEVELS, 0)
    made_here = trainer(tokens, tmp_path / "run", config)
    for _ in range(2):
        values = made_here.train_step()
        assert "skipped" not in values
        assert math.isfinite(float(values["loss"]))
        assert float(values["grad_norm"]) < 1e4


def test_the_first_frame_is_not_zero_where_nothing_else_makes_it_so():
    config = fitted(replace(CONFIG, model=thin(preset("v4o"))), info(), LEVELS, 0).model
    assert config.frame_bias
    assert not fitted(replace(CONFIG, model=thin(preset("v4o"))), info(), LEVELS, 9).model.frame_bias
    assert not fitted(replace(CONFIG, model=preset("tiny")), info(), LEVELS, 0).model.frame_bias


def test_positions_that_are_added_tell_frames_apart():
    sines = added_positions(torch.tensor([0.0, 1.0, 500.0]), 7, 10000.0)
    assert sines.shape == (3, 7)
    assert torch.equal(sines[0], torch.tensor([0.0, 1.0] * 3 + [0.0]))
    assert torch.equal(added_positions(torch.tensor([[1.0]]), 7, 10000.0)[0], sines[1:2])
    config = replace(thin(preset("v4o-printed")).with_levels(LEVELS, CARD), text_size=9)
    model = made(config)
    codes = torch.full((1, LEVELS, 6), 3)
    with torch.no_grad():
        logits = model(Inputs(codes=codes, text=torch.zeros(1, 6, dtype=torch.long))).logits
    assert not torch.allclose(logits[:, :, 2], logits[:, :, 5], atol=1e-4)


def test_the_size_that_the_paper_names():
    with torch.device("meta"):
        count = LM(preset("v4o-paper")).parameter_count()
    assert count == pytest.approx(2.8e9, rel=0.01)
