"""Training on from a trained model: codebooks placed anew, a semantic level that stays, a decoder that learns alone."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_config, tiny_model
from kit.audio_training import config, trainer
from kit.processes import run

from josiecodec.coding.jodio import Jodio
from josiecodec.config import to_dict
from josiecodec.errors import ConfigError
from josiecodec.hub.store import load, save
from josiecodec.quantization.beam_search import beam_encode
from josiecodec.training.audio.codebooks import collect_latents, move_codes, place_codebooks
from josiecodec.training.audio.data import DataConfig, load_recordings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    for n in range(4):
        (root / f"v{n}").mkdir()
        soundfile.write(root / f"v{n}" / "a.flac", speechlike(120, seed=n)[0, 0].numpy(), RATE)
    return root


@pytest.fixture(scope="module")
def recordings(folder):
    return load_recordings(folder)


@pytest.fixture
def start(tmp_path):
    """The folder of a tiny model, as if it had been trained."""
    return save(tiny_model(), tmp_path / "start", torch.float32)


def further(start, **changes):
    changes = {"quantization": {"continuous": 0.0}, "loss": {"overlap": 2, "pesq": 0.0}, **changes}
    return config(adversary={"start": 1.0}, teacher={"kind": "none"}, model=to_dict(tiny_config()), **changes)


def left_over(model, latents, levels, beams):
    rvq = model.quantizer.acoustic_rvq
    z = rvq.enter(latents)
    codes = beam_encode(rvq, latents[None], levels, beams)[0]
    total = torch.zeros_like(z)
    for k in range(levels):
        quantizer, scale = rvq.level(k)
        total += quantizer.decode(codes[None, :, k])[0] * scale
    return float((z - total).square().sum(-1).mean().detach())


def test_codes_placed_over_whole_recordings_are_better(recordings):
    model = tiny_model()
    latents = collect_latents(model, recordings, (-6.0, 0.0))
    assert latents.shape == (480, 32)
    assert len(collect_latents(model, recordings, (-6.0, 0.0), 100)) == 100
    for quantizer in model.quantizer.acoustic_rvq.quantizers:
        quantizer.codebook.weight.data.mul_(0.3)
    before = [left_over(model, latents, n, 3) for n in (1, 3, 5)]
    said = []
    place_codebooks(model, latents, searched=3, report=said.append)
    after = [left_over(model, latents, n, 3) for n in (1, 3, 5)]
    assert all(b < 0.8 * a for a, b in zip(before, after))
    assert after[0] > after[1] > after[2]  # deep levels, which share a codebook, are worth something
    assert len(said) == 3
    again = tiny_model()
    place_codebooks(again, latents, searched=3, report=said.append)
    assert torch.equal(
        again.quantizer.acoustic_rvq.quantizers[0].codebook.weight,
        model.quantizer.acoustic_rvq.quantizers[0].codebook.weight,
    )


def test_codes_that_are_moved_to_the_middle_leave_less_over(recordings):
    model = tiny_model()
    rvq, latents = model.quantizer.acoustic_rvq, collect_latents(model, recordings, (-6.0, 0.0))
    z = rvq.enter(latents).detach()
    codes = beam_encode(rvq, latents[None], 3, 3)[0]
    counts = torch.arange(len(z)) % 4  # 0 to 3 of the levels

    def error():
        total = torch.zeros_like(z)
        for k in range(3):
            total += rvq.level(k)[0].codebook.weight.detach()[codes[:, k]] * (counts > k)[:, None]
        return float((z - total).square().mean())

    errors = [error()]
    for _ in range(3):
        move_codes(rvq, z, codes, counts, min_members=1)
        errors.append(error())
    assert errors[0] > errors[1] >= errors[2] >= errors[3]


def test_the_semantic_level_stays_while_the_rest_learns(recordings, start, tmp_path):
    settings = further(start, semantic_anchor=str(start), steps=40, optimizer={"warmup": 2, "lr": 2e-3, "ema": 0.5})
    t = trainer(recordings, tmp_path / "run", settings)
    t.start_from(load(start))
    t.run()
    before, after = load(start), load(tmp_path / "run" / "model")
    for name, value in before.quantizer.semantic_vq.state_dict().items():
        assert torch.allclose(value, after.quantizer.semantic_vq.state_dict()[name], atol=1e-3), name
    x = speechlike(40, seed=9)
    a, b = before.encode(x, 6), after.encode(x, 6)
    kept, moved = ((a[:, k] == b[:, k]).float().mean() for k in (0, 1))
    assert kept > moved + 0.1
    free = trainer(recordings, tmp_path / "free", dataclasses.replace(settings, semantic_anchor=""))
    free.start_from(load(start))
    free.run()
    lost = (load(tmp_path / "free" / "model").encode(x, 1)[:, 0] == a[:, 0]).float().mean()
    assert kept > lost + 0.2, (kept, moved, lost)


def test_a_level_of_another_shape_cannot_be_kept(recordings, start, tmp_path):
    settings = further(start, semantic_anchor=str(start))
    quantizer = dataclasses.replace(settings.model.quantizer, semantic_dim=0)
    other = dataclasses.replace(settings, model=dataclasses.replace(settings.model, quantizer=quantizer))
    with pytest.raises(ConfigError, match="another shape"):
        trainer(recordings, tmp_path / "run", other)


def test_a_decoder_alone_learns_from_the_codes_that_it_will_meet(recordings, start, tmp_path):
    t = trainer(recordings, tmp_path / "run", further(start, freeze_codes=True, steps=6))
    t.start_from(load(start))
    before = copy.deepcopy(t.model.state_dict())
    x = speechlike(8, batch=3)
    out = t.model(x, torch.tensor([6, 4, 1]))
    codes = load(start).encode_frames(x, 6)
    assert torch.equal(out.codes, codes)
    assert out.vq_loss == 0
    t.run()
    for name, value in t.model.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith("decoder")), name


def test_the_command_line_places_codes(folder, start, tmp_path):
    said = run("train", "codebooks", start, tmp_path / "out", "--data", folder, "--max-frames", 300)
    assert "codes placed over 300 vectors" in said
    model = load(tmp_path / "out")
    assert model.encode(speechlike(5), 6).shape == (1, 6, 5)
    assert torch.equal(
        model.encoder.input_proj.weight, load(save(tiny_model(), tmp_path / "b")).encoder.input_proj.weight
    )


def test_items_of_few_levels_have_no_share_in_the_pesq_term(recordings, tmp_path):
    """With one level it rewards a hum."""
    loss = {"overlap": 2, "pesq": 0.5, "stoi": 0.5, "pesq_start": 0.0, "pesq_from": 3}
    quiet = DataConfig(speech=1.0, music=0.0, env=0.0, gain_db=(0.0, 0.0), mix=0.0)
    found = {}
    for most in (1, 5):
        quantization = {"continuous": 0.0, "fewer": 0.0, "more": 0.0, "bypass_start": 0.0, "bypass_end": 0.0}
        model = {**to_dict(tiny_config()), "encoding": {"n_q": most, "beams": 3}}
        settings = config(
            adversary={"start": 1.0}, teacher={"kind": "none"}, loss=loss, quantization=quantization, model=model,
            data=to_dict(quiet),
        )  # fmt: skip
        run_ = trainer(recordings, tmp_path / str(most), settings)
        run_.start_from(Jodio(run_.config.model))
        found[most] = run_.train_step()
    assert "pesq" not in found[1]
    assert "pesq" in found[5]
    assert "stoi" in found[1]
