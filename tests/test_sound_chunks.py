"""WAVs whose samples lie in several chunks, ambisonics, GSM in AIFF, and which track is heard."""

import struct
import warnings

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from kit.sound import RATE, heard, noise

from josiecodec.media.audio_open import SampleReader

WAVE = noise(RATE)
B_FORMAT = struct.pack("<IHH", 1, 0x0721, 0x11D3) + bytes([0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0])


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def plain_format(bits: int) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, RATE * bits // 8, bits // 8, bits))


def test_samples_in_several_chunks(tmp_path):
    samples = np.rint(WAVE * 32768).astype("<i2").tobytes()
    parts = [chunk(b"data", samples[a:b]) for a, b in ((0, 30000), (30000, 30500), (30500, None))]
    text = chunk(b"LIST", b"INFOIART\4\0\0\0abc\0")
    (tmp_path / "a.wav").write_bytes(wav(plain_format(16), parts[0], text, *parts[1:], text))
    found, told = heard(tmp_path / "a.wav")
    assert np.abs(found - WAVE).max() < 1e-4
    assert [text.partition(": ")[2] for text in told] == [
        "its samples are in several chunks ('data'), all of them are read"
    ]
    bytes_ = np.rint(WAVE * 127 + 128).astype(np.uint8).tobytes()
    odd = [chunk(b"data", bytes_[:12001]), chunk(b"data", bytes_[12001:])]
    (tmp_path / "b.wav").write_bytes(wav(plain_format(8), *odd))
    with pytest.warns(UserWarning, match="several chunks"), SampleReader(tmp_path / "b.wav") as reader:
        again = np.concatenate(list(reader.blocks(12000, 5000)))[:, 0]
    assert np.abs(again - WAVE[12000:17000]).max() < 0.02


def test_packed_samples_in_several_chunks_are_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", WAVE, RATE, format="WAV", subtype="IMA_ADPCM")
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(data + chunk(b"data", data[-2048:]))
    assert any("several chunks ('data'), the first is read" in text for text in heard(tmp_path / "b.wav")[1])


def test_ambisonics_of_wav(tmp_path):
    """Its first channel hears all directions; as loudspeakers they would be mixed."""
    channels = np.stack([noise(RATE, n) for n in range(4)], 1)
    head = struct.pack("<HHIIHHHHI", 0xFFFE, 4, RATE, 8 * RATE, 8, 16, 22, 16, 0) + B_FORMAT
    samples = np.rint(channels * 32768).astype("<i2").tobytes()
    (tmp_path / "a.wav").write_bytes(wav(chunk(b"fmt ", head), chunk(b"data", samples)))
    assert np.abs(heard(tmp_path / "a.wav")[0] - channels[:, 0]).max() < 1e-4


def test_gsm_of_aiff(tmp_path):
    soundfile.write(tmp_path / "a.aiff", WAVE[:8000], 8000, format="AIFF", subtype="GSM610")
    with warnings.catch_warnings(action="error"), SampleReader(tmp_path / "a.aiff") as reader:
        assert sum(map(len, reader.blocks())) == 8000


@pytest.mark.parametrize(
    ("flags", "taken"),
    [
        ((Disposition.default, Disposition(0)), 1),
        ((Disposition(0), Disposition.default), 2),
        ((Disposition.default | Disposition.comment, Disposition.default), 2),
        ((Disposition.default | Disposition.visual_impaired, Disposition(0)), 2),
        ((Disposition.comment, Disposition.comment | Disposition.default), 2),
    ],
)
def test_the_track_that_is_heard(tmp_path, flags, taken):
    with av.open(tmp_path / "a.mkv", "w") as container:
        streams = [container.add_stream("flac", rate=RATE, layout="mono") for _ in flags]
        for stream, flag in zip(streams, flags, strict=True):
            stream.disposition = flag
        for number, stream in enumerate(streams):
            frame = av.AudioFrame.from_ndarray(np.full((1, 4800), 1000 * (number + 1), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    found, told = heard(tmp_path / "a.mkv")
    assert round(float(found.mean()) * 32768) == 1000 * taken
    assert any(f"number {taken} is read" in text for text in told)


def test_the_last_of_several_chunks_is_cut_off(tmp_path):
    samples = np.rint(WAVE * 32768).astype("<i2").tobytes()
    data = wav(plain_format(16), chunk(b"data", samples[:16000]), chunk(b"data", samples[16000:]))
    (tmp_path / "a.wav").write_bytes(data[:-8000])
    found, told = heard(tmp_path / "a.wav")
    assert len(found) == len(WAVE) - 4000
    assert np.abs(found - WAVE[:-4000]).max() < 1e-4
    assert any("several chunks" in text for text in told)
