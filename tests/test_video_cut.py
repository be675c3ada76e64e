"""Films cut without decoding: the same pictures, and sound in step."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from kit.audio import tiny_model
from kit.films import film
from kit.processes import run_cli
from kit.video import write_video
from kit.vision import CONV, model, scene

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.video import encode_video
from josiecodec.coding.video_cut import cut_film
from josiecodec.coding.video_decoding import decode_video
from josiecodec.errors import CodecError
from josiecodec.media.video_reader import load_video
from josiecodec.settings import Rate


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.fixture(scope="module")
def folder(codec, tmp_path_factory):
    """Films, and what is decoded of them: at an even rate, with and without sound, and at an uneven one."""
    out = tmp_path_factory.mktemp("cut")
    how = {"rate": Rate(kbps=40), "key_seconds": 0.5}
    write_video(out / "even.mkv", (48, 64), 20, Fraction(10), audio=True)
    encode_video(codec, tiny_model(), out / "even.mkv", out / "even.josie", **how)
    encode_video(codec, None, out / "even.mkv", out / "silent.josie", **how)
    times = tuple(np.cumsum([0.0] + [0.05, 0.15, 0.1, 0.05] * 5))
    film(out / "phone.mkv", size=(32, 48), flashes=(), times=times, seconds=times[-1], last=0.1)
    encode_video(codec, tiny_model(), out / "phone.mkv", out / "phone.josie", **how)
    return out


def pictures_of(codec, folder, name, audio=None):
    decode_video(codec, audio, folder / f"{name}.josie", folder / f"{name}.back.mkv")
    return load_video(folder / f"{name}.back.mkv")[0]


def starts_of(path):
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return sorted(float(p.pts * video.time_base) for p in container.demux(video) if p.pts is not None)


@pytest.mark.parametrize(
    ("start", "seconds", "first", "last"),
    [(0.0, None, 0, 20), (0.7, None, 5, 20), (1.2, 0.1, 10, 15), (0.0, 0.3, 0, 5), (1.95, 9.0, 15, 20)],
)
def test_pictures_of_a_piece_are_those_of_the_whole(codec, folder, tmp_path, start, seconds, first, last):
    whole = pictures_of(codec, folder, "silent")
    done = cut_film(folder / "silent.josie", tmp_path / "x.josie", start, seconds)
    assert torch.equal(pictures_of(codec, tmp_path, "x"), whole[:, first:last])
    assert (done.start, done.seconds, done.pictures) == (first / 10, (last - first) / 10, last - first)
    assert TokenFile.read(tmp_path / "x.josie").streams[0].codes.times is None  # at an even rate, as it was
    if first == 0 and last == 20:
        assert (tmp_path / "x.josie").read_bytes() == (folder / "silent.josie").read_bytes()


def test_sound_is_in_step(codec, folder, tmp_path):
    """The flash and the beep of the second second, and the codes of the sound."""
    audio = tiny_model()
    frame = audio.frame_size / audio.sample_rate
    done = cut_film(folder / "even.josie", tmp_path / "x.josie", 0.7)
    before, after = TokenFile.read(folder / "even.josie"), TokenFile.read(tmp_path / "x.josie")
    first = int(0.5 / frame + 1e-9)
    assert done.start == pytest.approx(first * frame)
    assert np.array_equal(after.streams[1].codes, before.streams[1].codes[:, first:])
    decode_video(codec, audio, tmp_path / "x.josie", tmp_path / "x.mkv")
    assert len(load_video(tmp_path / "x.mkv")[0][0]) >= 15
    starts = starts_of(tmp_path / "x.mkv")
    assert len(starts) == 15
    for n, at in enumerate(starts[1:], 6):
        assert done.start + at == pytest.approx(n / 10, abs=0.002)
    assert after.streams[1].seconds == pytest.approx(2.0 - done.start, abs=0.001)


def test_times_of_an_uneven_film_are_kept(codec, folder, tmp_path):
    audio = tiny_model()
    decode_video(codec, audio, folder / "phone.josie", folder / "phone.back.mkv")
    before = starts_of(folder / "phone.back.mkv")
    done = cut_film(folder / "phone.josie", tmp_path / "x.josie", 1.0, 0.5)
    decode_video(codec, audio, tmp_path / "x.josie", tmp_path / "x.mkv")
    after = [done.start + at for at in starts_of(tmp_path / "x.mkv")]
    assert 3 < len(after) < len(before)
    first = min(range(len(before)), key=lambda n: abs(before[n] - after[1])) - 1
    assert before[first] <= 1.0 + 0.002
    assert after[1:] == pytest.approx(before[first + 1 : first + len(after)], abs=0.003)
    again = cut_film(tmp_path / "x.josie", tmp_path / "y.josie")
    assert again.pictures == done.pictures
    assert (tmp_path / "y.josie").read_bytes() == (tmp_path / "x.josie").read_bytes()


def test_what_cannot_be_cut(codec, folder, tmp_path):
    with pytest.raises(CodecError, match="ends after"):
        cut_film(folder / "even.josie", tmp_path / "x.josie", 2.0)
    for data in (codec.compress(scene(32, 32, 5)[0], 2), codec.compress(scene(32, 32)[0, :, 0])):
        (tmp_path / "still.josie").write_bytes(data)
        with pytest.raises(CodecError, match="with motion"):
            cut_film(tmp_path / "still.josie", tmp_path / "x.josie")
    cut_off = (folder / "even.josie").read_bytes()[:-20]
    (tmp_path / "damaged.josie").write_bytes(cut_off)
    with pytest.raises(CodecError):
        cut_film(tmp_path / "damaged.josie", tmp_path / "x.josie")
    assert not (tmp_path / "x.josie").exists()


def test_the_command_line(folder, tmp_path):
    done = run_cli("trim", folder / "even.josie", tmp_path / "x.josie", "--start", "1.1", "--json")
    entry = json.loads(done.stdout)
    assert entry["start"] == pytest.approx(1.0, abs=0.08)
    assert entry["seconds"] == pytest.approx(2.0 - entry["start"])
    wrong = run_cli("trim", folder / "even.josie", tmp_path / "y.josie", "--start", "1", "--n-q", "2", code=2)
    assert "film" in wrong.stderr
