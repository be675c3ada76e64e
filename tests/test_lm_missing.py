"""Modalities that are missing: left out in training and in judging, and pictures alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from kit.lm import CARD, LEVELS, SEEING, VARIANTS, dataset, inputs_for, made, random_clips
from kit.lm_training import CONFIG, trainer

from josiecodec.errors import CodesError, ConfigError
from josielm.data.batches import Pieces, open_datasets
from josielm.data.missing import drop, without
from josielm.data.modalities import MODALITIES, MissingConfig
from josielm.inference.stream import LMStream
from josielm.model.language_model import Inputs
from josielm.training.evaluate import negative_log_likelihood

ALL = VARIANTS["all"]


def shares(**values):
    return drop(inputs_for(ALL, 400), MissingConfig(**values), made(ALL).ids, SEEING, torch.Generator().manual_seed(0))


def lost(x, absent):
    return (x == absent).flatten(1).all(1)


def test_clips_lose_modalities_at_random():
    found = shares(sound=0.5, text=0.3, user=0.2, vision=0.9)
    ids = made(ALL).ids
    gone = {
        "sound": lost(found.codes, ids.absent),
        "text": lost(found.text, ids.text_absent),
        "user": lost(found.user, ids.absent),
        "vision": lost(found.vision, CARD + 1),
    }
    assert not (gone["sound"] & gone["text"]).any()
    for name, share in {"sound": 0.5, "text": 0.15, "user": 0.2, "vision": 0.9}.items():
        assert float(gone[name].float().mean()) == pytest.approx(share, abs=0.08), name
    whole = inputs_for(ALL, 400)
    kept = ~gone["sound"]
    assert torch.equal(found.codes[kept], whole.codes[kept])
    assert torch.equal(shares().codes, whole.codes)
    with pytest.raises(ConfigError, match="shares"):
        MissingConfig(text=1.0)


def test_what_is_left_out_is_as_if_it_had_not_been_given():
    model, whole = made(ALL), inputs_for(ALL)
    every = torch.ones(2, dtype=torch.bool)
    for name, field in zip(MODALITIES, ("codes", "text", "user", "vision")):
        less = without(whole, {name: every}, model.ids, SEEING)
        fields = {field: None, "grid": None} if name == "vision" else {field: None}
        with torch.no_grad():
            one, other = model(less), model(replace(whole, **fields))
        assert torch.allclose(one.logits, other.logits, atol=1e-5), name


def test_pictures_alone_say_what_comes_first():
    model, whole = made(ALL), inputs_for(ALL)
    with torch.no_grad():
        found = model(Inputs(vision=whole.vision, grid=whole.grid))
    assert found.logits.shape == (2, LEVELS, 1, CARD)
    assert not found.mask.any()
    other = whole.vision.flip(0)
    with torch.no_grad():
        changed = model(Inputs(vision=other, grid=whole.grid))
    assert not torch.allclose(found.logits[:, 0], changed.logits[:, 0])
    with pytest.raises(CodesError):
        model.check(Inputs())
    with pytest.raises(CodesError):
        model.check(Inputs(vision=whole.vision))


def test_patches_may_see_each_other_in_both_directions():
    config = replace(ALL, vision=replace(SEEING, whole=True), delays=(), user_delays=(), text_delay=0)
    model, one_way = made(config), made(replace(config, vision=SEEING))
    whole = inputs_for(config)
    first = Inputs(vision=whole.vision, grid=whole.grid)
    with torch.no_grad():
        assert not torch.allclose(model(first).logits, one_way(first).logits)
        offline = model(whole).logits
        stream = LMStream(model, [0, 1], vision=whole)
        logits = []
        keep = model.depth.level_logits

        def listening(hidden, level, text):
            logits.append(keep(hidden, level, text))
            return logits[-1]

        model.depth.level_logits = listening
        for frame in range(whole.codes.shape[-1]):
            heard = whole.user[..., frame - 1] if frame else None
            stream.step(heard, whole.codes[..., frame], whole.text[:, frame])
    cached = torch.stack(logits, 1).unflatten(1, (-1, LEVELS)).transpose(1, 2)
    assert torch.allclose(cached, offline, atol=1e-4)


def test_training_and_judging_without(tmp_path):
    clips = [(codes, {"text": "ab"}) for codes, _ in random_clips(20)]
    folder = dataset(tmp_path / "tokens", clips)
    config = replace(CONFIG, missing=MissingConfig(user=0.5))
    run = trainer(folder, tmp_path / "run", config)
    assert math.isfinite(float(run.train_step()["loss"]))
    pieces = Pieces(open_datasets([folder]), config.model, 10)
    assert negative_log_likelihood(run.model, pieces, lacking=["user"]) == negative_log_likelihood(run.model, pieces)
    assert negative_log_likelihood(run.model, pieces, lacking=["sound"]) == {}
