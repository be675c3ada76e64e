"""Numbers of levels of which a decoder uses the last one."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from kit.audio import BASE, POSITIONS, RATE, layered_model, speechlike, tiny_config, tiny_waveform

from josiecodec.audio.envelope_layer import EnvelopeLayerConfig
from josiecodec.audio.levels import useful_in
from josiecodec.audio.presets import JODIO_24K_V3
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.audio_rate_control import fit_levels
from josiecodec.config import to_dict
from josiecodec.hub.store import save
from josiecodec_cli.files import encode
from josiecodec_cli.trim import trim


@pytest.fixture(scope="module")
def model():
    return layered_model()


def test_too_few_levels_of_the_waveform_are_none():
    counts = [JODIO_24K_V3.useful_levels(n) for n in range(1, 39)]
    assert counts == [*range(1, 12), 11, 11, 11, *range(15, 39)]
    assert counts == [useful_in({"config": to_dict(JODIO_24K_V3)}, n) for n in range(1, 39)]
    waveform = dataclasses.replace(tiny_waveform(), by_frame=True, min_levels=3)
    both = tiny_config(waveform=waveform, envelope=EnvelopeLayerConfig(positions=POSITIONS))
    # Levels after the base are of the envelope, waveform, envelope, waveform, waveform.
    assert [both.useful_levels(BASE + n) - BASE for n in range(6)] == [0, 1, 1, 3, 3, 5]
    plain = tiny_config(waveform=tiny_waveform())
    assert plain.useful_levels(BASE + 1) == BASE + 1
    assert useful_in({}, 7) == useful_in({"config": {"quantizer": None}}, 7) == 7


def test_codes_that_no_decoder_uses_are_zeros(model):
    x = speechlike(8)
    codes = model.encode(x, BASE + 2)
    assert codes.shape[1] == BASE + 2
    assert not codes[:, BASE + 1].any()
    assert model.encode(x, BASE + 4)[:, BASE + 1].any()
    stream = TokenFile.from_bytes(model.compress(x, BASE + 2)).streams[0]
    assert np.array_equal(stream.codes, codes[0, : BASE + 1].numpy())


def test_rates_skip_levels_of_no_use():
    tried = []

    def make(n):
        tried.append(n)
        return bytes(100 * n), 1.0

    for kbps, expected in ((8 * 1.16, 11), (8 * 1.45, 11), (8 * 1.51, 15), (8 * 99, 38)):
        assert fit_levels(make, np.full(38, 800.0), kbps, JODIO_24K_V3.useful_levels)[0] == expected
    assert not {12, 13, 14} & set(tried)


def test_commands_leave_levels_of_no_use_out(model, tmp_path):
    folder = save(model, tmp_path / "m", torch.float32)
    soundfile.write(tmp_path / "a.wav", speechlike(10)[0, 0].numpy(), RATE)
    run = CliRunner().invoke

    def levels(name):
        return TokenFile.read(tmp_path / name).streams[0].info.levels

    arguments = [tmp_path / "a.wav", tmp_path / "a.josie", "--model", folder, "--threads", "1", "--json"]
    done = run(encode, [*map(str, arguments), "--n-q", str(BASE + 2)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["n_q"] == levels("a.josie") == BASE + 1
    assert "of the waveform are not used" in found["problems"][0]
    done = run(encode, [*map(str, arguments), "--n-q", str(BASE + 4), "--overwrite"])
    assert json.loads(done.stdout.splitlines()[-1])["problems"] == []
    for n_q, expected in ((BASE + 2, BASE + 1), (BASE + 3, BASE + 3), (40, BASE + 4)):
        target = tmp_path / f"{n_q}.josie"
        done = run(trim, [str(tmp_path / "a.josie"), str(target), "--n-q", str(n_q), "--model", str(folder)])
        assert done.exit_code == 0, done.output
        assert levels(target.name) == expected
        assert ("not used" in done.stderr) == (n_q == BASE + 2)
