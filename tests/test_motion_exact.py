"""Key pictures come out the same where floating-point numbers come out a little differently."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream.exact_rounding import RUN, TOLERANCE, round_alike, round_and_protect
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_payload import MotionPayload, PictureHead
from josiecodec.coding.jovio import Jovio
from josiecodec.errors import FormatError
from josiecodec.hub.store import load, save
from josiecodec.settings import Rate


def kinds_of_values() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    count = RUN + 5000
    on_boundaries = np.floor(random.random(count) * 255) + 0.5
    return [random.random(count) * 255, np.full(count, 77.5), on_boundaries, np.zeros(10), np.full(10, 255.0)]


@pytest.mark.parametrize("kind", range(5))
def test_noise_within_the_tolerance_is_taken_out(kind):
    values = kinds_of_values()[kind]
    rounded, parities = round_and_protect(values)
    assert np.abs(rounded - values).max() < 0.63
    assert len(parities) < len(values) / 200 + 4
    random = np.random.default_rng(1)
    for _ in range(3):
        noise = (random.random(len(values)) * 2 - 1) * TOLERANCE * 0.999
        back, alike = round_alike(np.clip(values + noise, 0, 255), parities)
        assert alike
        np.testing.assert_array_equal(back, rounded)


def test_more_noise_is_noticed():
    values = kinds_of_values()[0]
    _, parities = round_and_protect(values)
    noise = np.random.default_rng(1).normal(0, 0.05, len(values))
    assert not round_alike(np.clip(values + noise, 0, 255), parities)[1]


def test_too_many_doubtful_values_have_no_parities(monkeypatch):
    monkeypatch.setattr("josiecodec.bitstream.exact_rounding.MAX_PARITIES", 20)
    assert round_and_protect(kinds_of_values()[0])[1] == b""


@pytest.mark.parametrize("wrong", [b"", b"\xff\xff\x7f", b"\x10\x00", b"\x02\x00\x00"])
def test_parities_that_are_wrong(wrong):
    with pytest.raises(FormatError):
        round_alike(np.zeros(10), wrong)


def test_heads_with_parities():
    head = PictureHead(0, 7, base=b"abc", coded=True, parities=b"de", varied=True)
    assert MotionPayload.from_bytes(MotionPayload(head, b"bits").to_bytes()) == MotionPayload(head, b"bits")
    for raw in (
        b"\x20\x05\x01a\x00",
        b"\x20\x05\x01a\x07b",
        b"\x20\x05\x00\x01b",
        b"\x25\x05\x00\x01",
        b"\x80\x05\x00",
    ):
        with pytest.raises(FormatError):
            MotionPayload.from_bytes(raw)


def test_pictures_are_the_same_on_a_machine_that_computes_otherwise(monkeypatch):
    codec, x = model(CONV), scene(48, 64, 10)[0]
    data = codec.compress(x, rate=Rate(rd_lambda=0.0005), pictures_per_second=10)
    key = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0].codes.pictures[0]
    assert key.head.base
    assert 0 < len(key.head.parities) < 80
    whole = codec.decompress(data)
    exact = Jovio.key_picture

    def otherwise(*args) -> np.ndarray:
        picture = exact(*args)
        noise = np.random.default_rng(0).uniform(-1, 1, picture.shape)
        return picture + noise * 0.9 * TOLERANCE / 255  # weights of all planes add up to 1 in size

    monkeypatch.setattr(Jovio, "key_picture", otherwise)
    assert torch.equal(codec.decompress(data), whole)


def test_threads_and_processes_decode_the_same(tmp_path):
    """One thread, two threads, another process, and without compiled loops there."""
    save(model(CONV), tmp_path / "model")
    codec = load(tmp_path / "model")
    data = codec.compress(scene(80, 112, 8)[0], kbps=80)
    one = codec.decompress(data)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert torch.equal(codec.decompress(data), one)
    finally:
        torch.set_num_threads(before)
    (tmp_path / "x.josie").write_bytes(data)
    torch.save(one, tmp_path / "one.pt")
    code = (
        "import sys, torch, josiecodec; folder = sys.argv[1]; torch.set_num_threads(2);"
        "back = josiecodec.load(folder + '/model').decompress(open(folder + '/x.josie', 'rb').read());"
        "assert torch.equal(back, torch.load(folder + '/one.pt'))"
    )
    for kernels in ("", "off"):
        environment = os.environ | {"JOSIECODEC_KERNELS": kernels}
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
