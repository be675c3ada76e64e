"""Training of a detail layer on a few made pictures."""

from __future__ import annotations

import pytest
import torch
from kit.processes import run
from kit.vision import CONV, VIT, model, scene

from josiecodec.coding.jovio import Jovio
from josiecodec.errors import ModelError
from josiecodec.hub.store import load, save
from josiecodec.media.images import save_image
from josiecodec.training.vision.data import DataConfig, Pictures
from josiecodec.training.vision.detail_data import DetailCrops, detail_crops
from josiecodec.training.vision.detail_layer import (
    DetailTraining,
    add_detail_layer,
    count_symbols,
    grown_layer,
    layer_of,
    train_filter,
    train_network,
)
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_steps import STEPS, DetailSteps

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)
QUICK = DetailTraining(batch=2, lr=5e-3, warmup=5, average=0.9, crop=64)
MINUTES = 3 / 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for n in range(4):
        noise = torch.rand(3, 100, 120, generator=torch.Generator().manual_seed(n)) - 0.5
        save_image((scene(100, 120, seed=n)[0, :, 0] + 0.1 * noise).clamp(0, 1), root / f"{n}.png")
    return root


@pytest.fixture(scope="module")
def codec() -> Jovio:
    return add_detail_layer(model(CONV), SMALL, "small-detail")


@pytest.fixture(scope="module")
def crops(codec, folder) -> DetailCrops:
    return detail_crops(codec, Pictures(folder), DataConfig(size=80), 24, report=lambda _: None)


def test_crops_are_those_of_use(codec, crops):
    assert len(crops) == 24
    pictures, bases = crops.floats()
    assert crops.latents.shape == (24, 5, 5, 24)
    assert 0 < float((pictures - bases).square().mean()) < 0.05
    assert int(crops.counts.max()) <= codec.n_q


def test_what_is_learned_takes_fewer_bits(codec, crops):
    said: list[str] = []
    before = train_network(codec, crops, 1e-9, QUICK, said.append)
    after = train_network(codec, crops, MINUTES, QUICK, said.append)
    assert after < 0.97 * before
    assert "held out" in said[-1]
    symbols, steps, shapes = count_symbols(codec, crops, QUICK, said.append)
    assert symbols.shape == (24, 10, 10, 192)
    frequencies = layer_of(codec).tensor("frequencies")
    assert bool((frequencies.sum(1) == 1 << 15).all())
    assert int((frequencies - frequencies.flip(1)).abs().max()) <= 31  # either sign is as likely, but for rounding
    kept = {name: value.clone() for name, value in layer_of(codec).state_dict().items()}
    gained = train_filter(codec, crops, symbols, steps, shapes, MINUTES, QUICK, said.append)
    same = all(torch.equal(value, kept[name]) for name, value in layer_of(codec).state_dict().items())
    assert same == (gained <= 0)  # a filter that makes pictures worse is not kept


def test_a_filter_can_grow(codec, crops):
    grown = grown_layer(codec, "grown", 3, bases=True)
    before, after = layer_of(codec), layer_of(grown)
    assert (after.config.filter_blocks, after.config.bases) == (3, True)
    x, steps = crops.floats()[0][:1], DetailSteps(20)
    assert torch.equal(before.smoothed(x, 0.1 * x, steps), after.smoothed(x, 0.1 * x, steps))
    symbols, steps_of, _ = count_symbols(grown, crops, QUICK, lambda _: None)
    alone = [each.index == STEPS - 1 and not symbols[n].any() for n, each in enumerate(steps_of)]
    assert sum(alone[2::3]) == len(alone) // 3  # crops of bases alone
    with pytest.raises(ModelError, match="blocks"):
        grown_layer(grown, "smaller", 2, bases=True)


def test_only_models_that_fit_get_a_layer(codec):
    with pytest.raises(ModelError, match="convolutional"):
        add_detail_layer(model(VIT), SMALL, "x")
    with pytest.raises(ModelError, match="no detail layer"):
        layer_of(model(CONV))


def test_the_command(folder, tmp_path):
    save(model(CONV), tmp_path / "m")
    options = ("--data", folder, "--minutes", 0.02, "--filter-minutes", 0.01, "--crops", 20)
    said = run("train", "detail", tmp_path / "m", tmp_path / "mine", *options)
    assert "bits a pixel" in said
    assert "the filter" in said
    made = load(tmp_path / "mine")
    assert made.config.name == "mine"
    assert made.detail is not None
    assert "exists" in run("train", "detail", tmp_path / "m", tmp_path / "mine", *options, code=2)
    assert "is not a picture codec" in run("train", "detail", "jodio-24k", tmp_path / "x", *options, code=2)
