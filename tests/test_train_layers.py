"""`train waveform`: what it refuses before it trains, what it keeps, and what the model is called."""

from __future__ import annotations

import dataclasses

import pytest
import soundfile
import torch
from click.testing import CliRunner
from kit.audio import BASE, RATE, layered_model, speechlike, tiny_config, tiny_model, tiny_waveform

from josiecodec.audio.envelope_layer import EnvelopeLayerConfig
from josiecodec.errors import ConfigError
from josiecodec.fingerprint import TABLES_FILE
from josiecodec.hub.store import load, save
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.audio.envelope_layer import EnvelopeTraining, train_envelope
from josiecodec_cli.train_waveform import waveform


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for n in range(2):
        soundfile.write(folder / f"{n}.wav", speechlike(80, seed=n)[0, 0].numpy(), RATE)
    return folder


def called(*words, code=0):
    """What the command says, on either stream."""
    done = CliRunner().invoke(waveform, [str(w) for w in words])
    assert done.exit_code == code, done.output
    return done.output


def test_a_folder_that_holds_a_model_is_refused_before_training(folder, tmp_path):
    plain = tiny_model(waveform=tiny_waveform())
    save(plain, tmp_path / "m", torch.float32)
    (tmp_path / "m" / TABLES_FILE).write_bytes(b"tables")
    options = ("--data", folder, "--minutes", 1000)
    assert "--overwrite" in called(tmp_path / "m", tmp_path / "m", *options, code=2)
    assert (tmp_path / "m" / TABLES_FILE).read_bytes() == b"tables"
    (tmp_path / "file").write_text("")
    assert "cannot be made" in called(tmp_path / "m", tmp_path / "file", *options, code=2)


@pytest.mark.parametrize("option", ["--codebook-minutes", "--filter-minutes"])
def test_what_a_layer_has_not_is_not_trained(folder, tmp_path, option):
    save(tiny_model(waveform=tiny_waveform()), tmp_path / "m", torch.float32)
    said = called(tmp_path / "m", tmp_path / "out", "--data", folder, "--minutes", 1000, option, 1, code=2)
    assert option in said


def test_an_envelope_layer_makes_a_model_by_frame(folder, tmp_path):
    config = dataclasses.replace(tiny_config(waveform=tiny_waveform()), name="jodio-24k-v2")
    model = tiny_model(waveform=tiny_waveform())
    model.config = config
    save(model, tmp_path / "m", torch.float32)
    minutes = ("--data", folder, "--minutes", 0.005)
    changed = ("--set", "min_levels=2", "--envelope-minutes", 0.005)
    said = called(tmp_path / "m", tmp_path / "out", *minutes, *changed)
    assert "different numbers of levels" in said
    made = load(tmp_path / "out")
    assert made.config.name == "jodio-24k-v2-out", "a model of the package is another one"
    assert made.config.waveform == dataclasses.replace(tiny_waveform(), by_frame=True, min_levels=2)
    assert made.config.envelope.positions == (0, 1)
    assert (made.base_levels, made.n_q) == (BASE, BASE + 5)
    again = called(tmp_path / "out", tmp_path / "out", *minutes, "--overwrite")
    assert "jodio-24k-v2-out" in again
    assert load(tmp_path / "out").fingerprint != made.fingerprint
    assert "stay as they are" in called(tmp_path / "out", tmp_path / "x", *minutes, "--set", "seed=3", code=2)


def test_the_likeliest_envelope_layer_is_kept(folder):
    model = layered_model()
    recordings, lines = load_recordings(folder), []
    quick = EnvelopeTraining(batch=4, frames=12, warmup=1)
    first = train_envelope(model, recordings, 0.0, quick, report=lines.append)
    before = {k: v.clone() for k, v in model.envelope_layer.state_dict().items()}
    wild = dataclasses.replace(quick, lr=3.0)
    assert train_envelope(model, recordings, 0.01, wild, report=lines.append) == pytest.approx(first)
    assert "kept: the network as it was at first" in lines[-1]
    assert all(torch.equal(v, before[k]) for k, v in model.envelope_layer.state_dict().items()), "its axes, too"


def test_more_levels_than_a_file_can_hold_are_refused():
    schedule = (dataclasses.replace(tiny_waveform().schedule[-1], until=60),)
    many = dataclasses.replace(tiny_waveform(), levels=58, schedule=schedule)
    assert tiny_config(waveform=many).n_q == 64
    with pytest.raises(ConfigError, match="more than the 64"):
        tiny_config(waveform=many, envelope=EnvelopeLayerConfig())
