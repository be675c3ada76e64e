"""Sound in and out: formats, rates, channels, damage."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike

from josiecodec.errors import MediaError
from josiecodec.evaluation.codecs import build
from josiecodec.media.audio_reader import AudioReader, StreamResampler, load_audio, resample
from josiecodec.media.audio_writer import WRITABLE, AudioWriter


def tone(rate, seconds=1.0, hertz=440.0):
    return 0.4 * torch.sin(2 * math.pi * hertz * torch.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_every_format_is_written_and_read(tmp_path, suffix):
    rate = 24000
    wave = tone(rate, 1.5)
    path = tmp_path / f"a{suffix}"
    with AudioWriter(path, rate) as writer:
        for part in wave.split(7000):
            writer.write(part)
    sound = load_audio(path, rate)
    assert abs(sound.samples.shape[1] - len(wave)) <= (0 if suffix in (".wav", ".flac", ".ogg", ".mka") else 4000)
    middle = sound.samples[0, 6000:24000]
    spectrum = torch.fft.rfft(middle * torch.hann_window(len(middle))).abs()
    assert abs(int(spectrum.argmax()) * rate / len(middle) - 440) < 3
    assert middle.std() == pytest.approx(0.4 / 2**0.5, rel=0.1)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rates_and_channels(tmp_path, rate, channels):
    wave = tone(rate).numpy()
    soundfile.write(tmp_path / "a.wav", np.stack([wave] * channels, 1), rate, subtype="FLOAT")
    sound = load_audio(tmp_path / "a.wav", 24000)
    assert (sound.original_rate, sound.original_channels) == (rate, channels)
    assert abs(sound.samples.shape[1] - 24000) <= 1
    torch.testing.assert_close(sound.samples[0, 2000:-2000], tone(24000)[2000:22000], atol=3e-3, rtol=0)


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile([[0.5, -0.25]], (100, 1)), 24000, subtype="FLOAT")
    assert (load_audio(tmp_path / "a.wav").samples == 0.125).all()


def test_video_containers_give_their_sound(tmp_path):
    import av

    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        sound = container.add_stream("aac", rate=24000, layout="mono")
        for _ in range(10):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        frame = av.AudioFrame.from_ndarray(tone(24000)[None].numpy(), format="fltp", layout="mono")
        frame.sample_rate = 24000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        container.mux(picture.encode(None))
    assert load_audio(path).samples[0, 4000:20000].std() == pytest.approx(0.28, rel=0.1)


def test_a_stream_of_pieces_is_resampled_as_one():
    x = tone(44100, 2.0)
    whole = StreamResampler(44100, 24000)
    one = torch.cat([whole(x), whole(torch.zeros(0), last=True)])
    pieces = StreamResampler(44100, 24000)
    many = torch.cat([*(pieces(p) for p in x.split(1234)), pieces(torch.zeros(0), last=True)])
    assert torch.equal(one, many)
    assert abs(len(one) - 48000) <= 1
    assert resample(x[None], 44100, 24000).shape[1] == 48000


def test_what_is_not_finite_is_silence(tmp_path):
    wave = np.array([0.1, np.nan, np.inf, -np.inf, 0.2], np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 24000, subtype="FLOAT")
    torch.testing.assert_close(load_audio(tmp_path / "a.wav").samples[0], torch.tensor([0.1, 0, 0, 0, 0.2]))


def test_empty_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 24000)
    assert load_audio(tmp_path / "a.wav").samples.shape == (1, 0)


def test_file_objects_are_read():
    buffer = io.BytesIO()
    soundfile.write(buffer, speechlike(3)[0, 0].numpy(), 24000, format="WAV")
    buffer.seek(0)
    assert load_audio(buffer).samples.shape == (1, 5760)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000), b"RIFF\xff\xff\xff\xffWAVEfmt "])
def test_what_is_no_sound_is_refused(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(MediaError) as error:
        load_audio(tmp_path / "a.wav")
    assert "\n" not in str(error.value)
    assert "a.wav" in str(error.value)


def test_places_that_do_not_exist(tmp_path):
    with pytest.raises(MediaError):
        AudioReader(tmp_path / "none.wav")
    with pytest.raises(MediaError):
        AudioReader(tmp_path)
    with pytest.raises(MediaError):
        AudioWriter(tmp_path / "no" / "a.wav", 24000)
    with pytest.raises(MediaError):
        AudioWriter(tmp_path / "a.xyz", 24000)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), AudioWriter(tmp_path / "a.wav", 24000) as writer:
        writer.write(torch.zeros(100))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b.wav").write_bytes(b"old")
    with pytest.raises(RuntimeError), AudioWriter(tmp_path / "b.wav", 24000) as writer:
        writer.write(torch.zeros(100))
        raise RuntimeError("stop")
    assert (tmp_path / "b.wav").read_bytes() == b"old"


def test_loud_sound_is_clipped(tmp_path):
    with AudioWriter(tmp_path / "a.wav", 24000) as writer:
        writer.write(torch.tensor([3.0, -3.0]))
    assert load_audio(tmp_path / "a.wav").samples.abs().max() <= 1


def test_opus_files_are_read_in_step(tmp_path):
    wave = speechlike(30)[0, 0]
    path = tmp_path / "x.opus"
    path.write_bytes(build("opus@24", ("audio",)).encode(wave, RATE))  # with 312 samples of priming, as FFmpeg makes it
    read = load_audio(path).samples[0]
    assert len(read) == len(wave)
    size = 2 * len(wave)
    product = torch.fft.rfft(read, size) * torch.fft.rfft(wave, size).conj()
    assert int(torch.fft.irfft(product).argmax()) in (0, 1, size - 1)
