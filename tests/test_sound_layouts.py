"""Recordings and films of every layout of loudspeakers, from mono to 7.1, go through all encoders."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from kit.processes import run
from kit.sound import RATE, heard, noise, write_sound
from kit.vision import CONV, model

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.audio import encode_file
from josiecodec.coding.video import encode_video

LAYOUTS = ["mono", "stereo", "2.1", "3.0", "3.1", "4.0", "4.1", "quad", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.0",
           "6.1", "7.0", "7.1", "7.1(wide)"]  # fmt: skip
SECONDS = 0.5


def film(path, layout: str, codec: str) -> None:
    """Grey pictures with noise in all channels."""
    channels = av.AudioLayout(layout).nb_channels
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("ffv1", rate=10)
        pictures.width = pictures.height = 32
        track = file.add_stream(codec, rate=RATE, layout=layout)
        grey = np.full((32, 32, 3), 128, np.uint8)
        for number in range(round(10 * SECONDS)):
            frame = av.VideoFrame.from_ndarray(grey, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            file.mux(pictures.encode(frame))
        packed = np.repeat(noise(round(RATE * SECONDS))[:, None], channels, 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        for stream, last in ((track, frame), (track, None), (pictures, None)):
            file.mux(stream.encode(last))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_recordings(tmp_path, spectral, layout):
    for codec, container in (("pcm_s16le", "wav"), ("pcm_f32le", "caf"), ("flac", "flac"), ("alac", "ipod")):
        try:
            write_sound(tmp_path / "a", noise(round(RATE * SECONDS)), codec, container, layout=layout)
        except (av.FFmpegError, ValueError):  # the encoder does not know this layout
            continue
        done = encode_file(spectral, tmp_path / "a", io.BytesIO(), 2)
        assert done.seconds == pytest.approx(SECONDS, abs=0.01), codec


@pytest.mark.parametrize("layout", LAYOUTS)
def test_films(tmp_path, spectral, layout):
    film(tmp_path / "a.mkv", layout, "pcm_s16le")
    out = io.BytesIO()
    done = encode_video(model(CONV), spectral, tmp_path / "a.mkv", out, 2)
    assert done.seconds == pytest.approx(SECONDS)
    streams = TokenFile.from_bytes(out.getvalue()).streams
    assert [stream.info.kind for stream in streams] == ["vision", "audio"]
    assert streams[1].info.original_channels == av.AudioLayout(layout).nb_channels


def test_layouts_with_an_order_of_their_own(tmp_path):
    """7.1 in CAF lies in Apple's order; PyAV frees the table of that twice, if it is let."""
    for channel, weight in ((2, 0.2265), (4, 0.1133), (6, 0.1133), (3, 0.0)):
        wave = np.zeros((RATE, 8), np.float32)
        wave[:, channel] = noise(RATE)
        write_sound(tmp_path / "a.caf", wave, "pcm_f32le", "caf", layout="7.1")
        mixed, _ = heard(tmp_path / "a.caf")
        np.testing.assert_allclose(mixed, weight * noise(RATE), atol=1e-4)
    write_sound(tmp_path / "a.caf", noise(RATE), "alac", "caf", layout="5.1")
    assert "5.1" in run("info", tmp_path / "a.caf")
