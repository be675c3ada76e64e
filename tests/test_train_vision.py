"""Training a vision codec: it starts linear, learns, stops and goes on, and says how it does."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
import torch
from kit.processes import run
from kit.vision import CONV, scene

from josiecodec.coding.rdo import choose_modes, masking_scale, mode_costs, rd_level_counts, search_intra
from josiecodec.config import to_dict
from josiecodec.errors import ConfigError, MediaError
from josiecodec.hub.store import load
from josiecodec.media.images import save_image
from josiecodec.media.video_writer import VideoWriter
from josiecodec.metrics.vision import psnr
from josiecodec.nn.convnext2d import DepthwiseConv2d
from josiecodec.quantization.beam_search import beam_search
from josiecodec.training.vision.config import TrainConfig, read_train_config, train_config
from josiecodec.training.vision.data import DataConfig, Pictures, PictureSampler
from josiecodec.training.vision.trainer import VisionTrainer
from josiecodec.vision.grouping import to_groups


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for seed in range(8):
        save_image(scene(96, 128, seed=seed)[0, :, 0], root / f"{seed}.png")
    from fractions import Fraction

    with VideoWriter(root / "video.mkv", (96, 128), Fraction(10)) as writer:
        for picture in scene(96, 128, 9)[0].unbind(1):
            writer.write(picture)
    return root


def config(**changes) -> TrainConfig:
    changes = {
        "steps": 10,
        "batch": 2,
        "optimizer": {"warmup": 2},
        "levels": {"start_patches": 1000, "freeze_after": 0.7},
        "data": {"size": 64, "video": 0.3},
        **changes,
    }
    return train_config({**changes, "model": to_dict(CONV)})


def trainer(folder, out, settings=None, **more) -> VisionTrainer:
    return VisionTrainer(settings or config(), Pictures(folder), out, report=lambda _: None, **more)


def test_pictures_and_crops(folder):
    pictures = Pictures(folder)
    assert (len(pictures.images), len(pictures.videos)) == (8, 1)
    assert pictures.image(0).shape == (3, 1, 96, 128)
    assert pictures.video(0).shape == (3, 9, 96, 128)
    stills = PictureSampler(pictures, DataConfig(size=64), 2)
    assert stills.batch(3).shape == (3, 1, 6, 64, 64)
    videos = PictureSampler(pictures, DataConfig(size=64, video=1.0, groups=3), 2)
    batch = videos.batch(6)
    assert batch.shape == (2, 3, 6, 64, 64)
    assert batch[:, 1:, 3:].abs().max() > 0.01
    assert videos.patches(50, 16).shape == (50, 3, 16, 16)
    with pytest.raises(MediaError, match="no pictures"):
        Pictures(folder / "none")


def test_it_starts_as_the_linear_codec(folder, tmp_path):
    t = trainer(folder, tmp_path)
    t.prepare()
    x = to_groups(scene(64, 64)[:, :, :1], 2)
    z = t.model.latent(x)
    patches = x[0, 0, :3].unfold(1, 16, 16).unfold(2, 16, 16)  # [3, 4, 4, 16, 16]
    rows = patches.permute(1, 2, 3, 4, 0).reshape(4, 4, -1) - 0.5
    assert torch.allclose(z[0, 0], t.model.encoder.linear(rows), atol=1e-4)
    back = t.model.synthesize(z, torch.ones(1, 1, 4, 4, dtype=torch.long))
    assert psnr(back[:, :, :3], x[:, :, :3]) > 22
    assert back[:, :, 3:].abs().max() == 0


def test_a_resumed_run_is_an_uninterrupted_one_bit_for_bit(folder, tmp_path):
    whole = trainer(folder, tmp_path / "whole")
    whole.run()
    assert whole.step == 10
    for stop in (3, 8):  # before the encoder is frozen, and after
        first = trainer(folder, tmp_path / f"cut{stop}")
        first.run(until_step=stop)
        second = trainer(folder, tmp_path / f"cut{stop}")
        torch.manual_seed(99)
        second.resume()
        second.run()
        for own, other in ((whole.model, second.model), (whole.average, second.average)):
            for name, value in own.state_dict().items():
                assert torch.equal(value, other.state_dict()[name]), (stop, name)


def test_it_learns_and_the_codes_stay_at_the_end(folder, tmp_path):
    settings = config(
        steps=200, optimizer={"warmup": 2, "lr": 2e-3, "ema": 0.9}, data={"size": 64}, loss={"ms_ssim": 0.0}
    )
    t = trainer(folder, tmp_path, settings, valid=Pictures(folder))
    t.prepare()
    start = t.validate()
    t.run(until_step=150)
    x = scene(96, 96)[:, :, 0]
    before = copy.deepcopy(t.model).eval().encode(x, 8)
    t.run()
    assert torch.equal(copy.deepcopy(t.model).eval().encode(x, 8), before)
    end = t.validate()
    assert end["psnr@4"] > start["psnr@4"] + 0.08
    assert (tmp_path / "pictures.png").exists()
    codec = load(tmp_path / "model")
    assert codec.decode(codec.encode(x)).isfinite().all()
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert any("pictures_per_second" in e for e in entries)


def test_the_decoder_alone_learns_from_the_codes_of_a_search(folder, tmp_path):
    levels = {"start_patches": 1000, "freeze_after": 0.0, "beams": 3}
    settings = config(steps=150, optimizer={"warmup": 2, "lr": 2e-3, "ema": 0.9}, data={"size": 64}, levels=levels)
    t = trainer(folder, tmp_path, settings, valid=Pictures(folder))
    t.prepare()
    start, before = t.validate(), copy.deepcopy(t.model.state_dict())
    t.run()
    assert t.validate()["psnr@4"] > start["psnr@4"] + 0.02
    for name, value in t.model.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith("decoder")), name


def test_codes_that_were_found_are_used_again(folder, tmp_path):
    levels = {"start_patches": 1000, "freeze_after": 0.0, "beams": 2, "reuse": 3}
    t = trainer(folder, tmp_path, config(steps=9, data={"size": 64}, levels=levels))
    drawn, batch = [], t.sampler.batch
    t.sampler.batch = lambda *args: drawn.append(t.step) or batch(*args)
    t.run()
    assert drawn == [0, 3, 6]
    assert len(t.pool) == 3


def test_a_run_goes_on_with_its_own_settings(folder, tmp_path):
    settings = {"levels": {"start_patches": 500}, "data": {"size": 64}}
    trainer(folder, tmp_path, config(**settings)).run(until_step=1)
    for changes, text in (
        ({"seed": 5}, "seed = 0, not 5"),
        ({"batch": 3}, "batch = 2, not 3"),
        ({"loss": {"mse": 1.0}}, "loss.mse = 10.0, not 1.0"),
    ):
        with pytest.raises(ConfigError, match=text):
            trainer(folder, tmp_path, config(**settings, **changes)).resume()
    t = trainer(folder, tmp_path, config(**settings, loss={"mse": 1.0}, steps=3))
    t.resume(changed=["loss.mse"])
    t.run()
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [e["changed"] for e in entries if "changed" in e] == [{"steps": [10, 3], "loss.mse": [10.0, 1.0]}]


def test_levels_are_drawn_over_the_whole_range(folder, tmp_path):
    t = trainer(folder, tmp_path)
    t.prepare()
    with torch.no_grad():
        z = torch.cat([t.model.latent(t.sampler.batch(2)[:, :1]) for _ in range(200)])
    counts = t.level_counts(z)
    assert counts.shape == z.shape[:-1]
    assert counts.max() == 8
    even = (counts == counts[:, :, :1, :1]).flatten(1).all(1).float().mean()
    assert 0.4 < even < 0.9  # clear skies are even under a rate control, too


def test_more_levels_where_they_are_worth_it(folder, tmp_path):
    t = trainer(folder, tmp_path)
    t.prepare()
    with torch.no_grad():
        z = t.model.latent(t.sampler.batch(8)[:, :1]).flatten(0, -2)
    means = [
        float(rd_level_counts(t.model, z, torch.full((len(z),), w)).float().mean()) for w in (1e-4, 1e-2, 1.0, 1e3)
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] == t.model.n_q
    assert means[-1] == 0
    # What it says is what the rate control finds when it is asked for that weight.
    for masking in (0.0, 0.5):
        t.model.settings = dataclasses.replace(t.model.settings, masking=masking)
        intra = search_intra(t.model, z[:, None], t.model.n_q, beams=1)
        found = mode_costs(t.model, z[:, None], None, intra)
        assert torch.equal(
            choose_modes(t.model, found, 1e-2)[1], rd_level_counts(t.model, z, torch.full((len(z),), 1e-2))
        )


def test_errors_hide_in_busy_patches(folder, tmp_path):
    t = trainer(folder, tmp_path)
    t.prepare()
    with torch.no_grad():
        z = t.model.latent(t.sampler.batch(8)[:, :1]).flatten(0, -2)
    t.model.settings = dataclasses.replace(t.model.settings, masking=0.0)
    assert bool((masking_scale(t.model, z) == 1).all())
    t.model.settings = dataclasses.replace(t.model.settings, masking=0.6)
    scale = masking_scale(t.model, z)
    left_over = beam_search(t.model.rvq, z, 1, 1).errors[:, 1]
    order = left_over.argsort()
    assert bool((scale[order].diff() >= 0).all())
    assert scale.max() > 1.5 * scale.min()
    masked = rd_level_counts(t.model, z, torch.full((len(z),), 1e-2))
    t.model.settings = dataclasses.replace(t.model.settings, masking=0.0)
    assert torch.equal(masked, rd_level_counts(t.model, z, 1e-2 * scale))


def test_the_averaged_encoder_stays_at_the_end(folder, tmp_path):
    t = trainer(folder, tmp_path, config(steps=10, optimizer={"warmup": 2, "lr": 1e-3}))
    t.run(until_step=8)
    for name, value in t.average.named_parameters():
        same = torch.equal(value, dict(t.model.named_parameters())[name])
        if name.startswith("encoder"):
            assert same, name
        if name.startswith("decoder.blocks"):
            assert not same, name


def test_ms_ssim_can_be_learnt_from(folder, tmp_path):
    settings = config(steps=2, data={"size": 176}, loss={"ms_ssim": 0.3})
    t = trainer(folder, tmp_path, settings)
    t.prepare()
    assert 0 < float(t.advance()["ms_ssim"]) < 1


@pytest.mark.parametrize("kernel", [5, 7])
def test_gradients_of_large_kernels_are_put_together_from_small_ones(kernel):
    layer = DepthwiseConv2d(6, kernel).double()
    x, grad = (torch.randn(2, 9, 11, 6, dtype=torch.double) for _ in range(2))
    found = []
    for training in (True, False):
        layer.train(training).zero_grad()
        leaf = x.clone().requires_grad_(True)
        layer(leaf).backward(grad)
        found.append([leaf.grad, layer.weight.grad.clone(), layer.bias.grad.clone()])
    for own, known in zip(*found):
        assert torch.allclose(own, known, atol=1e-12)


def test_wrong_settings_are_named(tmp_path):
    for values, text in (({"stpes": 3}, "stpes"), ({"data": {"size": 50}}, "multiple"), ({"steps": 0}, "positive")):
        with pytest.raises(ConfigError, match=text):
            train_config({"model": "jovio-16", **values})
    assert read_train_config("jovio_16_cpu", ("batch = 3",)).batch == 3


def test_the_command_line_trains_and_judges(folder, tmp_path):
    lines = ["batch = 2", "steps = 3", "[levels]", "start_patches = 500", "[data]", "size = 64"]
    lines += ["[model]", "preset = 'jovio-16'", "encoding = { n_q = 2 }"]
    lines += [
        "quantizer = { levels = 4, codebook_size = 32, shared_from = 2 }",
        "starts = [1, 2, 3]",
        "latent_dim = 16",
    ]
    for part in ("encoder", "decoder"):
        lines += [f"[model.{part}]", "channels = 16", "blocks = 1", "fine_channels = 8", "fine_blocks = 1"]
    (tmp_path / "tiny.toml").write_text("\n".join(lines))
    common = ("train", "vision", tmp_path / "tiny.toml", "--data", folder, "--out", tmp_path / "run")
    assert "8 pictures" in run(*common, "--valid", folder)
    assert "--resume" in run(*common, code=2)
    assert "step 5" in run(*common, "--resume", "--steps", 5)
    model = ("--model", tmp_path / "run" / "model")
    said = run("eval", "vision", folder, *model, "--n-q", "1,4", "--bpp", "0.1", "--json").splitlines()
    last = [json.loads(line) for line in said][-6:]
    name = str(tmp_path / "run" / "model")
    assert {(m["label"], m["codec"]) for m in last} == {
        (k, f"{name}@{r}") for k in ("image", "video") for r in ("n1", "n4", "0.1")
    }
    assert all(m["psnr"] > 5 for m in last)
    assert "numbers" in run("eval", "vision", folder, *model, "--bpp", "x", code=2)
