"""Videos whose pictures come at no even rate: times from file to file."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from kit.audio import tiny_model
from kit.films import film
from kit.processes import run_cli
from kit.vision import CONV, model, scene

from josiecodec.bitstream.container import TokenReader
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.picture_times import PictureTimes
from josiecodec.coding.motion_encoder import MotionEncoder
from josiecodec.coding.motion_tokens import from_motion_tokens, motion_tokens
from josiecodec.coding.stretch import PastTheEnd, Stretch
from josiecodec.coding.video import encode_video
from josiecodec.coding.video_decoding import decode_video
from josiecodec.coding.video_piece import VideoPiece
from josiecodec.coding.video_times import picture_at
from josiecodec.errors import CodesError, FormatError
from josiecodec.media.audio_reader import load_audio
from josiecodec.media.video_clock import MAX_HOLE
from josiecodec.media.video_reader import VideoReader
from josiecodec.media.video_source import clock_tick
from josiecodec.settings import Rate

STEPS = (0.016, 0.033, 0.05, 0.1, 0.4)
TIMES = np.concatenate([[0.0], np.cumsum(np.random.default_rng(0).choice(STEPS, 29))])
LAST = 0.2
END = float(TIMES[-1]) + LAST


def shown(path: Path) -> list[tuple[float, float]]:
    """When each picture of a film is shown, and for how long."""
    with av.open(str(path)) as container:
        film = container.streams.video[0]
        found = [(p.pts, p.duration) for p in container.demux(film) if p.pts is not None]
        return [(float(a * film.time_base), float(b * film.time_base)) for a, b in sorted(found)]


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.fixture(scope="module")
def encoded(codec, tmp_path_factory):
    """A folder with a film of a phone, and its file."""
    folder = tmp_path_factory.mktemp("uneven")
    how = {"times": tuple(TIMES), "seconds": float(TIMES[-1]), "last": LAST, "time_base": Fraction(1, 90000)}
    film(folder / "x.mp4", size=(32, 48), flashes=(), **how)
    encode_video(codec, tiny_model(), folder / "x.mp4", folder / "x.josie", rate=Rate(kbps=40), key_seconds=0.6)
    return folder


def test_times_come_back(codec, encoded, tmp_path):
    original = shown(encoded / "x.mp4")
    assert len(original) == len(TIMES)
    stream = TokenFile.read(encoded / "x.josie").streams[0]
    assert np.abs(stream.times - TIMES).max() < 1e-4
    assert stream.seconds == pytest.approx(END, abs=0.01)
    for suffix, exact in ((".mp4", 1e-5), (".mkv", 0.0011)):
        done = decode_video(codec, tiny_model(), encoded / "x.josie", tmp_path / f"back{suffix}")
        assert done.seconds == pytest.approx(END, abs=1e-4)
        back = shown(tmp_path / f"back{suffix}")
        assert np.abs(np.array(back) - np.array(original)).max() < exact
        sound = load_audio(tmp_path / f"back{suffix}")
        assert sound.samples.shape[1] / 24000 == pytest.approx(float(TIMES[-1]), abs=0.1)


def test_pieces_begin_and_end_when_they_should(codec, encoded, tmp_path):
    whole = codec.decompress((encoded / "x.josie").read_bytes())
    ends = np.append(TIMES[1:], END)
    for start, seconds in ((1.07, 0.9), (0.0, 0.5), (2.6, None), (float(TIMES[7]), 0.01)):
        stop = END if seconds is None else start + seconds
        kept = [n for n in range(len(TIMES)) if ends[n] > start + 1e-4 and TIMES[n] < stop - 1e-4]
        decode_video(codec, tiny_model(), encoded / "x.josie", tmp_path / "p.mp4", stretch=Stretch(start, seconds))
        expected = [(max(TIMES[n], start) - start, min(ends[n], stop) - max(TIMES[n], start)) for n in kept]
        assert np.abs(np.array(shown(tmp_path / "p.mp4")) - np.array(expected)).max() < 1e-4
        piece = codec.decode_piece(encoded / "x.josie", start, seconds)
        assert torch.equal(piece, whole[:, kept])
    with pytest.raises(PastTheEnd, match="ends after"):
        codec.decode_piece(encoded / "x.josie", END + 0.01)
    with TokenReader(encoded / "x.josie") as reader:
        for n, (begin, end) in enumerate(zip(TIMES, ends)):
            assert picture_at(reader, 0, float(begin)) == picture_at(reader, 0, (begin + end) / 2) == n
        assert VideoPiece(codec, reader, 0, Stretch(0.3, 1.0)).stretch == Stretch(0.3, 1.0)


def test_sound_before_the_first_picture(codec, tmp_path):
    film(tmp_path / "x.mkv", size=(32, 48), times=(0.5, 0.55, 0.9, 1.0), time_base=Fraction(1, 1000), flashes=())
    with VideoReader(tmp_path / "x.mkv", keep_times=True) as reader:
        early = float(reader.source.times().pictures[0]) - reader.sound.start
        durations = [float(d * reader.tick) for _, d in reader.timed()]
    assert reader.audio_offset == pytest.approx(0, abs=1e-3)
    assert durations[:3] == pytest.approx([early + 0.05, 0.35, 0.1], abs=0.0011)


@pytest.mark.parametrize(
    "kind", [{"rate": Fraction(30000, 1001)}, {"rate": Fraction(25), "time_base": Fraction(1, 1000)}]
)
def test_even_films_are_as_ever(codec, tmp_path, kind):
    film(tmp_path / "x.mkv", size=(32, 48), seconds=0.5, flashes=(), sound=None, **kind)
    encode_video(codec, None, tmp_path / "x.mkv", tmp_path / "x.josie", rate=Rate(kbps=40))
    with TokenReader(tmp_path / "x.josie") as reader:
        assert {b.coding for b in reader.blocks()} == {12}
        assert reader.streams[0].rate == kind["rate"]


def test_bitrates_are_of_the_real_duration(codec):
    sizes = []
    for seconds in (0.04, 0.16):
        encoder = MotionEncoder(codec, Rate(kbps=10), (32, 48), Fraction(25))
        parts = [part for picture in scene(32, 48, 24)[0].unbind(1) for part in encoder.add(picture, seconds)]
        sizes.append(sum(len(part.to_bytes()) for part in [*parts, *encoder.finish()]))
    assert sizes[1] > 2 * sizes[0]


def test_what_info_says(encoded):
    assert "with times of their own" in run_cli("info", encoded / "x.josie").stdout
    assert json.loads(run_cli("info", "--json", encoded / "x.josie").stdout)["streams"][0]["uneven_times"]


def test_tokens_and_bytes_keep_the_times(codec, encoded):
    data = (encoded / "x.josie").read_bytes()
    file = TokenFile.from_bytes(data)
    assert TokenFile.from_bytes(file.to_bytes()).streams[0].codes.times == file.streams[0].codes.times
    tokens = list(motion_tokens(codec, data))
    again = from_motion_tokens(codec, tokens, file.streams[0].codes.times)
    assert again.times == file.streams[0].codes.times
    with pytest.raises(CodesError, match="times of"):
        from_motion_tokens(codec, tokens[:5], again.times)


def test_times_are_compact_and_checked():
    jitter = tuple(3000 + n for n in np.random.default_rng(0).integers(-60, 60, 64).tolist())
    times = PictureTimes(Fraction(1, 90000), 12345, jitter)
    data = times.to_bytes()
    assert len(data) < 1.2 * len(jitter) + 12
    assert PictureTimes.from_bytes(data + b"rest", len(jitter)) == (times, len(data))
    parts = [times.part(3, 9), times.part(9, 50), times.part(50, 64)]
    assert PictureTimes.joined(parts) == times.part(3, 64)
    with pytest.raises(FormatError, match="follow"):
        PictureTimes.joined([times.part(0, 3), times.part(4, 9)])
    for wrong in (b"", b"\x00\x01\x00\x05\x00", b"\x01\x00\x00\x05\x00", b"\x01\x01\x00\x05\x09", data[:20]):
        with pytest.raises(FormatError):
            PictureTimes.from_bytes(wrong, 1 if len(wrong) < 9 else len(jitter))
    random = np.random.default_rng(1)
    for _ in range(2000):
        changed = bytearray(data)
        changed[random.integers(len(data))] = random.integers(256)
        try:
            found = PictureTimes.from_bytes(bytes(changed), len(jitter))[0]
        except FormatError:
            continue
        assert min(found.durations) > 0
        assert 0 < found.tick < 1 << 31


def test_lost_times_are_salvaged(codec, encoded, tmp_path):
    data = bytearray((encoded / "x.josie").read_bytes())
    with TokenReader(bytes(data)) as reader:
        places = [*reader.index().places(0, 0, float("inf"))]
    data[places[2].position + 30] ^= 255
    (tmp_path / "x.josie").write_bytes(data)
    with pytest.raises(FormatError):
        decode_video(codec, None, tmp_path / "x.josie", tmp_path / "x.mkv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert decode_video(codec, None, tmp_path / "x.josie", tmp_path / "x.mkv", salvage=True).problems
    found = [begin for begin, _ in shown(tmp_path / "x.mkv")]
    assert len(found) == len(TIMES)
    rows = TokenReader(bytes(data)).streams[0].rows
    lost = range(places[2].first // rows + 1, (places[2].first + places[2].units) // rows)
    kept = [n for n in range(len(TIMES)) if n not in lost]
    assert np.abs(np.array(found) - TIMES)[kept].max() < 0.002  # behind the damage all is in step again


def test_ticks_are_those_in_which_the_longest_picture_can_be_stored():
    assert clock_tick(Fraction(1, 90000)) == clock_tick(None) == Fraction(1, 90000)
    for base in (Fraction(1, 10_000_000), Fraction(1, 1_000_000_000), Fraction(1, 2**31 - 1)):
        longest = round(MAX_HOLE / clock_tick(base))
        times = PictureTimes(clock_tick(base), longest, (1, longest))
        assert PictureTimes.from_bytes(times.to_bytes(), 2)[0] == times


def test_pieces_of_damaged_films_are_salvaged(codec, encoded, tmp_path):
    """Whichever block is lost: the first, which says that there are times, or one that says when a picture comes."""
    data = (encoded / "x.josie").read_bytes()
    with TokenReader(data) as reader:
        places = [*reader.index().places(0, 0, float("inf"))]
    for place in places:
        damaged = bytearray(data)
        damaged[place.position + 30] ^= 255
        stretch = Stretch(END / 2, 1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = decode_video(codec, None, bytes(damaged), tmp_path / "x.mkv", salvage=True, stretch=stretch)
        assert abs(done.seconds - 1.0) < 0.6, place
