"""Files of videos with motion: stretches of them, damage, and what the command line says."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
import torch
from kit.processes import run_cli
from kit.video import write_video
from kit.vision import CONV, model

from josiecodec.bitstream.container import TokenReader
from josiecodec.coding.stretch import Stretch
from josiecodec.coding.video import decode_video, encode_video
from josiecodec.coding.video_piece import entry
from josiecodec.errors import CodecError, CodesError, FormatError
from josiecodec.media.video_reader import load_video
from josiecodec.settings import Rate


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.fixture(scope="module")
def encoded(codec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("motion")
    write_video(folder / "clip.mkv", (48, 64), 20, Fraction(10))
    encode_video(codec, None, folder / "clip.mkv", folder / "clip.josie", rate=Rate(kbps=30), key_seconds=0.5)
    decode_video(codec, None, folder / "clip.josie", folder / "whole.mkv")
    return folder


def test_a_stretch_is_the_same_pictures(codec, encoded, tmp_path):
    whole = load_video(encoded / "whole.mkv")[0]
    assert whole.shape[1] == 20
    for start, seconds, first, last in ((0.7, None, 7, 20), (1.2, 0.5, 12, 17), (0.0, 0.3, 0, 3)):
        stretch = Stretch(start, seconds)
        done = decode_video(codec, None, encoded / "clip.josie", tmp_path / "part.mkv", stretch=stretch)
        part = load_video(tmp_path / "part.mkv")[0]
        assert torch.equal(part, whole[:, first:last])
        assert done.seconds == pytest.approx((last - first) / 10)
    with TokenReader(encoded / "clip.josie") as reader:
        assert entry(reader, 0, 12) == 10 * 3
    with pytest.raises(CodecError, match="ends after"):
        decode_video(codec, None, encoded / "clip.josie", tmp_path / "part.mkv", stretch=Stretch(2.0))


@pytest.mark.parametrize("wrong", [(-1.0, None), (0.0, 0.0), (float("nan"), None), (0.0, float("inf"))])
def test_stretches_that_cannot_be(wrong):
    with pytest.raises(CodecError, match="stretch"):
        Stretch(*wrong)


def test_samples_of_a_stretch():
    assert Stretch(2.0, 3.0).samples(10) == (20, 50)
    assert Stretch(2.0, 1e-6).samples(10) == (20, 21)
    assert Stretch(2.0).samples(10) == (20, float("inf"))


def test_a_damaged_file_is_salvaged(codec, encoded, tmp_path):
    data = bytearray((encoded / "clip.josie").read_bytes())
    with TokenReader(bytes(data)) as reader:
        sizes = [b.size for b in reader.blocks()]
    data[data.index(b"B\x06") + 12 + sizes[0] + 20] ^= 255  # in the second block
    (tmp_path / "bad.josie").write_bytes(data)
    with pytest.raises(FormatError):
        decode_video(codec, None, tmp_path / "bad.josie", tmp_path / "back.mkv")
    done = decode_video(codec, None, tmp_path / "bad.josie", tmp_path / "back.mkv", salvage=True)
    assert done.problems
    whole, back = load_video(encoded / "whole.mkv")[0], load_video(tmp_path / "back.mkv")[0]
    assert torch.equal(back[:, :5], whole[:, :5])
    assert torch.equal(back[:, 10:], whole[:, 10:])


def test_levels_cannot_be_left_out(codec, encoded, tmp_path):
    with pytest.raises(CodesError, match="cannot be left out"):
        decode_video(codec, None, encoded / "clip.josie", tmp_path / "back.mkv", 2)
    assert not (tmp_path / "back.mkv").exists()


def test_what_info_says(encoded):
    said = json.loads(run_cli("info", "--json", encoded / "clip.josie").stdout)
    assert said["streams"][0]["keys"] == 4
    assert said["streams"][0]["length"] == 20
    assert "4 key picture(s)" in run_cli("info", encoded / "clip.josie").stdout
    done = run_cli("trim", encoded / "clip.josie", encoded / "less.josie", "--n-q", "2", code=2)
    assert "motion" in done.stderr
