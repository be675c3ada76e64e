"""The time line of films: holes, clocks that drift or are set anew, uneven rates, sound and pictures in step."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest
from kit.films import film

from josiecodec.errors import MediaError
from josiecodec.media.stretch import stretched
from josiecodec.media.video_rate import choose_rate, lost_pictures, phase
from josiecodec.media.video_reader import VideoReader

MS = Fraction(1, 1000)
RATE = 24000


def begins(on: np.ndarray, rate: float) -> list[float]:
    """Times at which something begins that was off for half a second."""
    found, last = [], -1e9
    for index in np.flatnonzero(on):
        if index - last > rate / 2:
            found.append(index / rate)
        last = index
    return found


def events(path) -> tuple[VideoReader, int, list[float], list[float]]:
    """The reader, the number of pictures, and when flashes and beeps begin."""
    with VideoReader(path) as reader:
        levels = np.array([picture.mean() for picture in reader.bytes()])
        parts = [] if reader.sound is None else list(reader.sound.mono(RATE))
        sound = np.concatenate([np.zeros(0), *parts])
    beeps = [time + (reader.audio_offset or 0.0) for time in begins(np.abs(sound) > 0.1, RATE)]
    return reader, len(levels), begins(levels > 200, float(reader.rate)), beeps


def check(path, seconds, flashes, beeps, rate=None, tolerance=0.005):
    reader, count, seen, heard = events(path)
    assert count / float(reader.rate) == pytest.approx(seconds, abs=0.51 / float(reader.rate))
    assert seen == pytest.approx(flashes, abs=tolerance)
    assert heard == pytest.approx(beeps, abs=tolerance)
    assert rate is None or reader.rate == rate
    return reader


def test_bursts_keep_all_their_pictures(tmp_path):
    times = [0, 0.5, *(1 + n / 60 for n in range(30)), 2.5, 3]
    film(tmp_path / "x.mp4", times=times, rate=Fraction(60), sound_seconds=3.2, time_base=Fraction(1, 16000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tmp_path / "x.mp4", 181 / 60, [1.0], [1.0], 60)


def test_slow_motion(tmp_path):
    film(tmp_path / "x.mp4", rate=Fraction(480), seconds=0.5, flashes=(0.25,))
    check(tmp_path / "x.mp4", 0.5, [0.25], [0.25], 480)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_last_picture_stays_as_long_as_it_should(tmp_path, suffix):
    film(tmp_path / f"x.{suffix}", last=3.0, sound=None)
    check(tmp_path / f"x.{suffix}", 4.96, [1.0], [], 25)


def test_holes_of_both_tracks(tmp_path):
    times = [n / 25 for n in range(30)] + [13 + n / 25 for n in range(50)]
    film(tmp_path / "x.mkv", times=times, time_base=MS, flashes=(1.0, 14.0), sound_seconds=15, holes=((2.0, 13.0),))
    check(tmp_path / "x.mkv", 15, [1.0, 14.0], [1.0, 14.0], 25)


def test_a_screen_that_does_not_change_and_a_call_that_is_muted(tmp_path):
    share = {"codec": "libvpx-vp9", "options": {}, "sound": "libopus", "time_base": MS}
    film(tmp_path / "x.webm", **share, times=[n / 10 for n in range(20)], flashes=(1.0, 70.0), sound_seconds=75)
    check(tmp_path / "x.webm", 75, [1.0], [1.0, 70.0], 10)
    film(tmp_path / "y.mkv", seconds=71, rate=Fraction(2), flashes=(1.0, 70.0), holes=((3.0, 65.0),))
    check(tmp_path / "y.mkv", 71, [1.0, 70.0], [1.0, 70.0], 2)


def test_sound_before_the_first_picture_is_kept(tmp_path):
    film(tmp_path / "x.mp4", start=0.52)
    reader = check(tmp_path / "x.mp4", 2.52, [1.52], [1.0])
    assert reader.lead == 13
    assert reader.audio_offset == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_that_begins_later(tmp_path, suffix):
    film(tmp_path / f"x.{suffix}", sound_start=0.4)
    check(tmp_path / f"x.{suffix}", 2.0, [1.0], [1.4])


@pytest.mark.parametrize("pace", [0.995, 1.005])
def test_a_clock_that_drifts_is_followed(tmp_path, pace):
    two = (1.0, 9.0)
    film(tmp_path / "x.mkv", seconds=10, rate=Fraction(10), pace=pace, flashes=two, sound_seconds=9.9)
    check(tmp_path / "x.mkv", 10, two, two)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pictures_that_are_stored_in_another_order(tmp_path, suffix):
    options = {"crf": "10", "preset": "veryfast", "bf": "3", "b_strategy": "0"}
    film(tmp_path / f"x.{suffix}", options=options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tmp_path / f"x.{suffix}", 2.0, [1.0], [1.0], 25)


def test_avi_has_no_order_of_showing(tmp_path):
    options = {"crf": "10", "preset": "veryfast", "bf": "2", "b_strategy": "0"}
    film(tmp_path / "x.avi", options=options, sound="pcm_s16le")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tmp_path / "x.avi", 2.0, [1.0], [1.0], 25)


def test_a_packet_that_is_missing_moves_nothing_before_it(tmp_path):
    film(tmp_path / "x.mkv", seconds=4, flashes=(1.0, 3.0), sound="pcm_s16le", holes=((2.0, 2.03),))
    check(tmp_path / "x.mkv", 4.0, [1.0, 3.0], [1.0, 3.0], tolerance=0.0015)


def test_joined_recordings(tmp_path):
    parts = [film(tmp_path / f"{n}.ts").read_bytes() for n in range(2)]
    (tmp_path / "x.ts").write_bytes(b"".join(parts))
    with pytest.warns(UserWarning, match="clock is set anew once"):
        check(tmp_path / "x.ts", 4.0, [1.0, 3.0], [1.0, 3.0], 25)


def test_a_file_that_is_cut_off_gives_what_is_whole(tmp_path):
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}
    options = {"crf": "10", "preset": "ultrafast", "g": "5"}
    data = film(tmp_path / "x.mp4", container_options=flags, options=options).read_bytes()
    (tmp_path / "x.mp4").write_bytes(data[: len(data) * 4 // 5])
    _reader, count, seen, heard = events(tmp_path / "x.mp4")
    assert 30 <= count <= 45
    assert seen == pytest.approx(heard, abs=0.005)


def damaged_avi(path, chosen: slice):
    """An AVI of which some pictures are overwritten with zeros."""
    data = bytearray(film(path, codec="mjpeg", form="yuvj420p", options={}, sound="pcm_s16le").read_bytes())
    index = data.rfind(b"idx1")
    places = [n for n in range(index) if data[n : n + 4] == b"00dc"]
    for place in places[chosen]:
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        data[place + 8 : place + 8 + size] = bytes(size)
    path.write_bytes(bytes(data))


def test_damaged_packets_are_counted(tmp_path):
    damaged_avi(tmp_path / "x.avi", slice(10, 13))
    with pytest.warns(UserWarning, match="x.avi: damaged pictures, or packets of them: 3"):
        check(tmp_path / "x.avi", 2.0, [1.0], [1.0], 25)


def test_a_film_without_a_whole_picture_is_an_error(tmp_path):
    damaged_avi(tmp_path / "x.avi", slice(None))
    with pytest.raises(MediaError, match="no picture"):
        VideoReader(tmp_path / "x.avi")


def test_pictures_without_a_place_are_told(tmp_path):
    times = sorted([*(n / 25 for n in range(50)), *(1 + n / 10000 for n in range(1, 6))])
    lossless = {"codec": "ffv1", "form": "bgr0", "options": {}}
    film(tmp_path / "x.mkv", **lossless, sound=None, times=times, rate=Fraction(10000), time_base=Fraction(1, 10000))
    with pytest.warns(UserWarning, match="of 55 pictures left out"):
        reader, _, _, _ = events(tmp_path / "x.mkv")
    assert reader.rate <= 120


def test_rates():
    even = [n / 25 for n in range(100)]
    assert choose_rate(even, [Fraction(90000), None]) == 25
    assert choose_rate([round(n * 1001 / 30) / 1000 for n in range(300)], []) == Fraction(30000, 1001)
    assert choose_rate([n * 1001 / 24000 for n in range(300)], [Fraction(24)]) == Fraction(24000, 1001)
    phone = [n / 30.02 for n in range(9000)]
    assert lost_pictures(phone, Fraction(30)) > 0
    assert lost_pictures(phone, choose_rate(phone, [Fraction(30)])) == 0
    assert choose_rate(sorted([*even, 1.0]), [Fraction(25)]) == 25  # one time stamp twice
    held = [*even, 20.0, 20.04]
    assert choose_rate(held, [Fraction(25), Fraction(102, 20)]) == 25
    assert choose_rate([0.0], [Fraction(10)]) == 10
    assert choose_rate([0.0, 0.1, 0.3], []) == 10
    random = np.random.default_rng(0)
    uneven = np.cumsum(random.uniform(0.02, 0.3, 500)).tolist()
    rate = choose_rate(uneven, [Fraction(1000)])
    assert 25 < rate <= 120
    assert lost_pictures(uneven, rate) == 0


def test_the_grid_stands_where_most_pictures_are():
    assert phase([0, *(0.02 + n / 25 for n in range(1, 20))], Fraction(25)) == pytest.approx(0.5, abs=0.1)
    assert phase([n / 25 for n in range(9)], Fraction(25)) == pytest.approx(0, abs=1e-6)
    assert phase([0, 0.013, 0.051, 0.07, 0.111], Fraction(25)) == 0


@pytest.mark.parametrize("length", [9700, 10000, 10300])
def test_stretching_keeps_a_tone(length):
    tone = np.sin(np.arange(10000) * 0.3).astype(np.float32)
    found = stretched(tone, length)
    expected = np.sin(np.linspace(0, 9999, length) * 0.3)
    assert found.shape == (length,)
    assert np.abs(found - expected)[50:-50].max() < 0.01
