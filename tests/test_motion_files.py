"""Files of videos with motion: stretches of them, damage, and what the command line says."""

from __future__ import annotations

import io
import json
from fractions import Fraction

import pytest
import torch
from kit.audio import tiny_model
from kit.processes import run_cli
from kit.video import write_video
from kit.vision import CONV, model

from josiecodec.bitstream.container import TokenReader
from josiecodec.coding.image import decode_image
from josiecodec.coding.stretch import Stretch
from josiecodec.coding.video import encode_video
from josiecodec.coding.video_decoding import decode_video
from josiecodec.coding.video_piece import entry
from josiecodec.errors import CodecError, CodesError, FormatError
from josiecodec.media.audio_reader import load_audio
from josiecodec.media.images import load_image
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


def test_pieces_of_pictures_and_sound(codec, tmp_path):
    audio = tiny_model()
    write_video(tmp_path / "clip.mkv", (32, 48), 20, Fraction(10), audio=True)
    encode_video(
        codec, audio, tmp_path / "clip.mkv", tmp_path / "clip.josie", rate=Rate(rd_lambda=0.02), key_seconds=0.5
    )
    decode_video(codec, audio, tmp_path / "clip.josie", tmp_path / "whole.mkv")
    done = decode_video(
        codec, audio, tmp_path / "clip.josie", tmp_path / "part.mkv", stretch=Stretch(0.57, 1.3)
    )  # begins within a picture: the sound begins with it
    assert done.seconds == pytest.approx(1.3)
    whole, part = load_video(tmp_path / "whole.mkv")[0], load_video(tmp_path / "part.mkv")[0]
    assert torch.equal(part, whole[:, 5:18])
    sounds = [load_audio(tmp_path / f"{name}.mkv").samples for name in ("whole", "part")]
    assert sounds[1].shape[1] == round(1.3 * 24000)
    assert float((sounds[1] - sounds[0][:, 12000:43200]).abs().max()) < 2e-4
    decode_image(codec, tmp_path / "clip.josie", tmp_path / "still.png", stretch=Stretch(1.24))
    assert torch.equal(load_image(tmp_path / "still.png"), whole[:, 12])
    assert torch.equal(codec.decode_piece(tmp_path / "clip.josie", 1.1, 0.2)[:, 1], codec_picture(codec, tmp_path, 12))
    data = (tmp_path / "clip.josie").read_bytes()
    decode_video(codec, None, io.BytesIO(data[:-30]), tmp_path / "cut.mkv", stretch=Stretch(1.0, 0.4))
    assert torch.equal(load_video(tmp_path / "cut.mkv")[0], whole[:, 10:14])


def codec_picture(codec, folder, number):
    """A picture of the whole."""
    return codec.decompress((folder / "clip.josie").read_bytes())[:, number]
