"""Weights of losses that are learnt, and distances of expected code vectors."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from kit.lm import CARD, LEVELS, TINY, dataset, inputs_for, made, random_clips
from kit.lm_training import CONFIG, trainer

from josiecodec.errors import ConfigError
from josielm.training.config import LossConfig
from josielm.training.losses import Balance, losses

VECTORS = [torch.randn(CARD, 5, generator=torch.Generator().manual_seed(k)) for k in range(LEVELS)]


def test_learnt_weights_settle_where_each_kind_counts_its_inverse():
    balance = Balance()
    optimizer = torch.optim.Adam(balance.parameters(), lr=0.05)
    sums, counts = torch.tensor([40.0, 4.0, 0.0, 0.0, 0.0]), torch.tensor([10.0, 10.0, 0.0, 0.0, 0.0])
    for _ in range(400):
        optimizer.zero_grad()
        balance(sums, counts, LossConfig()).backward()
        optimizer.step()
    assert balance.table.exp().tolist() == pytest.approx([4.0, 0.4, 1.0, 1.0, 1.0], rel=0.02)


def test_distances_are_zero_for_a_model_that_is_sure_and_right():
    model, inputs = made(TINY), inputs_for(TINY)
    found = losses(model, inputs, vectors=VECTORS)
    assert float(found.counts[-1]) == inputs.codes.numel()
    assert 0.5 < found.means()["recon"] < 4.0
    keep = model.code_logits

    def knowing(context, hidden, level, text):
        return 1e4 * torch.nn.functional.one_hot(inputs.codes[:, level].flatten(), CARD).float() + 0 * keep(
            context, hidden, level, text
        )

    model.code_logits = knowing
    assert losses(model, inputs, vectors=VECTORS).means()["recon"] == pytest.approx(0.0, abs=1e-6)
    assert "recon" not in losses(model, inputs).means()


def test_a_run_learns_its_weights_and_goes_on_with_them(tmp_path):
    tokens = dataset(tmp_path / "tokens", random_clips(20))
    config = replace(CONFIG, loss=LossConfig(learnt=True, recon=0.5), steps=4)
    whole = trainer(tokens, tmp_path / "whole", config, vectors=VECTORS)
    values = whole.train_step()
    assert math.isfinite(float(values["loss"]))
    assert float(values["weight_acoustic"]) < 1.0
    trainer(tokens, tmp_path / "run", config, vectors=VECTORS).run(until_step=2)
    again = trainer(tokens, tmp_path / "run", config, vectors=VECTORS)
    again.resume()
    assert float(again.balance.table.detach().abs().max()) > 0
    again.run()
    with pytest.raises(ConfigError, match="codec"):
        trainer(tokens, tmp_path / "none", config)
