"""Sound of odd kinds: pages of Ogg that are lost, packets in WAV, samples without a header, joined WAVs."""

import io

import numpy as np
import pytest
import soundfile
from kit.sound import RATE, heard, noise, write_sound

from josiecodec.errors import MediaError
from josiecodec.media.audio_open import SampleReader
from josiecodec.media.audio_stereo import stereo_blocks

WAVE = noise(3 * RATE)


def pages_of(data: bytes) -> list[bytes]:
    starts = [n for n in range(len(data)) if data.startswith(b"OggS", n)]
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


@pytest.mark.parametrize("codec", ["libopus", "vorbis", "flac"])
@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_a_page_of_ogg_that_is_lost_is_silence(tmp_path, codec, how):
    """Decoders go on as if nothing were missing."""
    if codec == "vorbis":
        soundfile.write(tmp_path / "a.ogg", WAVE, RATE, format="OGG", subtype="VORBIS")
    else:
        write_sound(tmp_path / "a.ogg", WAVE, codec, "ogg", options={"page_duration": "100000"})
    whole, _ = heard(tmp_path / "a.ogg")
    pages = pages_of((tmp_path / "a.ogg").read_bytes())
    sound = [n for n, page in enumerate(pages) if any(page[6:14])]
    for page in (sound[2 * len(sound) // 3], sound[len(sound) // 3]):
        if how == "lost":
            del pages[page]
        else:
            pages[page] = pages[page][:-9] + bytes([pages[page][-9] ^ 255]) + pages[page][-8:]
    (tmp_path / "b.ogg").write_bytes(b"".join(pages))
    found, told = heard(tmp_path / "b.ogg")
    assert len(found) == len(whole)
    same = np.isclose(found, whole, atol=0.02).reshape(100, -1).mean(1) > 0.99
    assert same[:20].all()
    assert same[-8:].all()
    assert same[56:58].all()  # between them
    assert not same.all()
    assert sum("a part is lost at" in text for text in told) == 2
    assert not any("at its end" in text for text in told)


def test_an_ogg_that_was_cut_out_of_a_longer_one_is_not_called_damaged(tmp_path):
    data = write_sound(tmp_path / "a.ogg", WAVE, "libopus", "ogg", options={"page_duration": "200000"})
    pages = pages_of(data)
    found, told = heard(io.BytesIO(b"".join(pages[:2] + pages[7:])))
    assert len(found) == 2 * RATE
    assert not told


def test_voc_in_blocks(tmp_path):
    """libsndfile takes the headers of the blocks for samples."""
    rate, wave = 16000, noise(20000)
    samples = np.rint(wave * 32767).astype("<i2").tobytes()
    blocks = b""
    for at in range(0, len(samples), 8000):
        piece = samples[at : at + 8000]
        if not at:
            about = rate.to_bytes(4, "little") + bytes([16, 1]) + (4).to_bytes(2, "little") + bytes(4)
            blocks += b"\x09" + (len(piece) + 12).to_bytes(3, "little") + about + piece
        else:
            blocks += b"\x02" + len(piece).to_bytes(3, "little") + piece
    head = b"Creative Voice File\x1a" + (26).to_bytes(2, "little") + (0x0114).to_bytes(2, "little")
    head += (~0x0114 + 0x1234 & 0xFFFF).to_bytes(2, "little")
    (tmp_path / "a.voc").write_bytes(head + blocks + b"\0")
    np.testing.assert_allclose(heard(tmp_path / "a.voc")[0], wave, atol=1e-4)


def test_packets_of_a_cable_in_a_wav_are_no_noise(tmp_path):
    """IEC 61937: AC-3 that calls itself 16-bit stereo; discs of DTS are alike."""
    packets = write_sound(tmp_path / "a.spdif", WAVE, "ac3", "spdif", layout="stereo")
    soundfile.write(tmp_path / "a.wav", np.frombuffer(packets, "<i2").reshape(-1, 2), RATE, "PCM_16")
    found, _ = heard(tmp_path / "a.wav")
    assert np.corrcoef(found[256 : 256 + 100000], WAVE[:100000])[0, 1] > 0.9


def test_samples_without_a_header(tmp_path):
    wave = noise(8000)
    write_sound(tmp_path / "a.ul", wave, "pcm_mulaw", "mulaw", rate=8000)
    found, told = heard(tmp_path / "a.ul")
    assert len(found) == 8000
    assert np.corrcoef(found, wave)[0, 1] > 0.99
    assert "has no header; taken for 8000 Hz" in told[0]
    write_sound(tmp_path / "a.sw", wave, "pcm_s16le", "s16le", rate=8000)
    with pytest.raises(MediaError, match="without a header; put them into a WAV file first"):
        heard(tmp_path / "a.sw")


def test_joined_wavs_are_read_one_after_the_other(tmp_path):
    first, second = noise(8000), noise(9001, seed=1)
    soundfile.write(tmp_path / "a.wav", first, 8000, "PCM_16")
    soundfile.write(tmp_path / "b.wav", second, 8000, "PCM_16")
    data = (tmp_path / "a.wav").read_bytes() + (tmp_path / "b.wav").read_bytes()
    found, told = heard(io.BytesIO(data + (tmp_path / "a.wav").read_bytes()))
    np.testing.assert_allclose(found, np.concatenate([first, second, first]), atol=1e-4)
    assert not told


def test_rates_that_are_none_of_sound(tmp_path):
    """A second at 1 Hz would be hours."""
    soundfile.write(tmp_path / "a.wav", noise(3000), 1, "PCM_16")
    with pytest.raises(MediaError, match="1 Hz with 1 channels is no audio"):
        heard(tmp_path / "a.wav")


def test_what_begins_like_mpeg_is_read_without_notes_of_libraries(tmp_path, capfd):
    write_sound(tmp_path / "a.aac", WAVE, "aac", "adts")
    assert len(heard(tmp_path / "a.aac")[0]) >= len(WAVE)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stereo", [False, True])
def test_samples_that_are_not_finite_are_told(tmp_path, stereo):
    wave = np.stack([WAVE[:RATE], -0.3 * WAVE[:RATE]], 1)
    wave[100:103, 0], wave[200] = np.nan, np.inf
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    with SampleReader(tmp_path / "a.wav") as reader:
        parts = stereo_blocks(reader, RATE) if stereo else reader.mono_samples(RATE)
        with pytest.warns(UserWarning, match="5 samples that are not finite"):
            parts = list(parts)
    found = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts], 1)
    right = np.nan_to_num(wave.T, nan=0.0, posinf=0.0).astype(np.float32)
    assert np.allclose(found, right if stereo else right.mean(0, keepdims=True), atol=1e-6)


def test_three_channels_without_a_layout_are_all_heard(tmp_path):
    """FFmpeg takes the third for that of low frequencies."""
    waves = np.stack([np.zeros(RATE), np.zeros(RATE), WAVE[:RATE]], 1)
    soundfile.write(tmp_path / "a.wav", waves, RATE)
    found, _ = heard(tmp_path / "a.wav")
    assert np.allclose(found, WAVE[:RATE] / 3, atol=1e-3)
