"""Adapting: a decoder that learns alone, beside the one that came with the model, and files that stay the same."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import soundfile
import torch
from click.testing import CliRunner
from kit.audio import BASE, RATE, coded_model, layered_model, speechlike, tiny_model
from kit.processes import run

from josiecodec.coding.jodio import Jodio
from josiecodec.errors import ConfigError, MediaError
from josiecodec.fingerprint import of_folder
from josiecodec.hub.store import load, save
from josiecodec.training.audio.adapt import adapted, adapting_config, at_other_speeds, hold_out, with_one_decoder
from josiecodec.training.audio.data import load_recordings
from josiecodec_cli.adapt import adapt


def other_decoder(model: Jodio, scale: float = 1.05) -> torch.nn.Module:
    """The decoder of a model, changed a little."""
    decoder = copy.deepcopy(model.decoder)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(scale)
    return decoder


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Jodio:
    return coded_model(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    """The folder of an adapted model."""
    return save(adapted(source, other_decoder(source)), tmp_path_factory.mktemp("adapted") / "m", torch.float32)


def test_both_models_make_the_same_files_and_decode_them(source, folder):
    model, x = load(folder), speechlike(30)
    assert model.fingerprint == source.fingerprint != of_folder(folder)
    assert model.config.name == source.config.name
    data = source.compress(x, BASE)
    assert model.compress(x, BASE) == data
    learnt, plain = model.decompress(data), source.decompress(data)
    assert learnt.shape == plain.shape
    assert (learnt - plain).abs().max() > 1e-3


def test_levels_after_the_base_are_as_before(source, folder):
    model, x = load(folder), speechlike(30)
    codes = source.encode(x, source.n_q)
    assert torch.equal(model.encode(x, source.n_q), codes)
    assert torch.equal(model.decode(codes), source.decode(codes))


def test_an_adapted_stream_is_the_whole(folder):
    model, x = load(folder), speechlike(30)
    codes = model.encode(x, BASE)
    stream = model.streaming(n_q=BASE)
    pieces = [stream.decode(part) for part in codes.split(7, -1)]
    assert torch.equal(torch.cat(pieces, -1), model.decode(codes))


def test_a_model_is_adapted_from_what_it_was_adapted_to(source, folder):
    model = load(folder)
    start = with_one_decoder(model)
    codes = source.encode(speechlike(10), BASE)
    assert torch.equal(start.eval().decode(codes), model.decode(codes))
    again = adapted(model, other_decoder(start, 1.1))
    assert again.fingerprint == source.fingerprint
    assert not torch.equal(again.decode(codes), model.decode(codes))
    assert again.decoder.state_dict().keys() == source.decoder.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(again.decoder.parameters(), source.decoder.parameters(), strict=True))


def test_only_spectral_decoders_are_adapted():
    model = tiny_model("mimi")
    with pytest.raises(ConfigError, match="only spectral decoders"):
        adapting_config(model, "m")
    with pytest.raises(ConfigError, match="only spectral decoders"):
        adapted(model, model.decoder)
    with pytest.raises(ConfigError, match="sha256"):
        dataclasses.replace(adapted(layered_model(), layered_model().decoder).config.adapted, fingerprint="12")


def write_voice(root, seconds):
    root.mkdir()
    for n, length in enumerate(seconds):
        soundfile.write(root / f"{n}.flac", speechlike(length * 12.5, seed=n)[0, 0].numpy(), RATE)
    return load_recordings(root)


@pytest.mark.parametrize("seconds", [(18,), (4, 5, 6, 3), (25, 31)])
def test_what_is_held_out_is_not_learnt(tmp_path, seconds):
    recordings = write_voice(tmp_path / "voice", seconds)
    learnt, held = hold_out(recordings)
    assert learnt.seconds() + held.seconds() == pytest.approx(recordings.seconds(), abs=0.01)
    assert 0 < held.seconds() < 0.5 * recordings.seconds()
    windows = {bytes(learnt.waveform(s)[k : k + 480].numpy()) for s in learnt.segments for k in range(0, s.length, 480)}
    assert not any(bytes(held.waveform(s)[:480].numpy()) in windows for s in held.segments)
    assert len(learnt.files) == len(learnt.segments)  # so that no crop runs on into another part
    more = at_other_speeds(learnt)
    assert more.seconds() == pytest.approx(learnt.seconds() * (1 + 1 / 0.92 + 1 / 1.08), rel=0.01)


def test_too_little_to_adapt_to(tmp_path):
    with pytest.raises(MediaError, match="at least 15 s"):
        hold_out(write_voice(tmp_path / "voice", (6, 7)))


def test_adapting_on_the_command_line(tmp_path):
    write_voice(tmp_path / "voice", (6, 6, 6))
    torch.manual_seed(3)
    model = tiny_model()
    with torch.no_grad():
        model.decoder.output_proj.bias -= 3  # far too soft: there is something to learn
    start = save(model, tmp_path / "start", torch.float32)
    common = ("adapt", start, tmp_path / "run", "--data", tmp_path / "voice")
    said = run(*common, "--steps", 12)
    assert "as it is" in said
    assert f"model in {tmp_path / 'run' / 'model'}" in said
    x = speechlike(20, seed=9)
    made, learnt = load(start), load(tmp_path / "run" / "model")
    codes = made.encode(x)
    assert torch.equal(learnt.encode(x), codes)
    assert not torch.equal(learnt.decode(codes), made.decode(codes))
    again = CliRunner().invoke(adapt, [*map(str, common[1:])])
    assert again.exit_code == 2
    assert "--resume" in again.output
