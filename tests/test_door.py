"""What people hand to a codec in Python: arrays, rates, files; and what is said of what cannot be meant."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from kit.audio import RATE, speechlike
from kit.vision import CONV, scene
from kit.vision import model as vision_model

import josiecodec
from josiecodec import CodecError, Rate, TokenFile
from josiecodec.errors import CodesError
from josiecodec.media.audio_reader import Audio, resample


@pytest.fixture(scope="module")
def jovio():
    return vision_model(CONV)


def test_other_sample_rates_are_resampled(spectral):
    x = speechlike(10)
    low = resample(x[0], RATE, 16000)
    codes = spectral.encode(low, sample_rate=16000)
    assert codes.shape[-1] == 10
    assert torch.equal(codes, spectral.encode(Audio(low, 16000, 16000, 1)))
    assert not torch.equal(codes, spectral.encode(low)[..., :10])  # which takes 16 kHz for 24 kHz
    assert torch.equal(spectral.encode(x, sample_rate=RATE), spectral.encode(x))
    assert spectral.compress(low, 3, sample_rate=16000) == spectral.compress(resample(low, 16000, RATE), 3)
    batch = torch.cat([low, low])[:, None]
    assert torch.equal(spectral.encode(batch, sample_rate=16000)[1:], codes)
    for wrong in (0, -1, 16000.5, True, "16k"):
        with pytest.raises(CodesError, match="sample_rate"):
            spectral.encode(low, sample_rate=wrong)
    with pytest.raises(CodesError, match="16000 Hz, not 8000"):
        spectral.encode(Audio(low, 16000, 16000, 1), sample_rate=8000)


def test_arrays_are_taken_like_tensors(spectral, jovio):
    x = speechlike(4)
    codes = spectral.encode(x, 4)
    assert torch.equal(spectral.encode(x.numpy(), 4), codes)
    assert torch.equal(spectral.encode(x.numpy()[0, 0].astype(">f8"), 4), codes)
    back = spectral.decode(codes)
    for kind in (np.uint8, np.uint16, np.int16, np.int32, np.uint64, np.int64):
        assert torch.equal(spectral.decode(codes.numpy().astype(kind)), back)
    assert torch.equal(spectral.decode(codes.to(torch.uint16)), back)
    stream = TokenFile.from_bytes(spectral.compress(x, 4)).streams[0]
    assert stream.codes.dtype == np.uint16
    assert torch.equal(spectral.decode(stream.codes), back)  # the toolkit's own codes
    picture = scene(32, 48)[:, :, 0]
    assert torch.equal(jovio.encode(picture.numpy(), 3), jovio.encode(picture, 3))
    levels = jovio.encode(picture, 3)
    assert torch.equal(jovio.decode(levels.numpy().astype(np.uint16)), jovio.decode(levels))
    assert jovio.compress(picture.numpy(), 3) == jovio.compress(picture, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda a, v: a.encode([0.1, 0.2]), "tensors or NumPy arrays"),
        (lambda a, v: a.encode(np.zeros(100, np.int16)), "divide 16-bit samples by 32768"),
        (lambda a, v: a.encode(np.zeros(100, np.int16), sample_rate=16000), "divide 16-bit samples by 32768"),
        (lambda a, v: a.encode(np.array(["a"])), "tensors or NumPy arrays"),
        (lambda a, v: a.decode(np.zeros((2, 4, 3), np.float32)), "integers"),
        (lambda a, v: a.decode(np.zeros((80, 4), np.uint16)), "levels_first"),
        (lambda a, v: v.encode(255 * scene(16, 16)[:, :, 0]), r"in \[0, 1\].*255"),
        (lambda a, v: v.compress(255 * scene(16, 16)[:, :, 0]), r"in \[0, 1\].*255"),
        (lambda a, v: v.encode(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)), "divide bytes by 255"),
        (lambda a, v: v.encode(torch.full((1, 3, 8, 8), float("nan"))), "not finite"),
        (lambda a, v: v(scene(16, 16)[:, :, 0]), "encode and decode"),
    ],
)
def test_what_cannot_be_meant_is_refused(spectral, jovio, call, text):
    with pytest.raises(CodesError, match=text):
        call(spectral, jovio)


def test_samples_that_can_hardly_be_meant_are_warned_of(spectral):
    x = speechlike(3)
    with pytest.warns(UserWarning, match=r"reach .*\[-1, 1\]") as caught:
        spectral.encode(30 * x / x.abs().max())
    assert [w.filename for w in caught] == [__file__]  # where the caller is, not somewhere in between
    with pytest.warns(UserWarning, match="not finite"):
        codes = spectral.encode(torch.where(torch.arange(x.shape[-1]) < 2000, float("nan"), x))
    assert torch.equal(codes, spectral.encode(torch.where(torch.arange(x.shape[-1]) < 2000, 0.0, x)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spectral.encode(2 * x / x.abs().max())  # loud, but a recording


def test_half_precision_is_one_clear_error(jovio):
    from kit.audio import tiny_model

    codec = tiny_model("spectral").half()
    for call in (lambda: codec.encode(torch.zeros(1, 1, 4000)), lambda: codec.decode(torch.zeros(1, 2, 3).long())):
        with pytest.raises(CodecError, match=r"float16.*codec\.float\(\)"):
            call()
    assert codec.float().encode(torch.zeros(1, 1, 4000)).shape == (1, 4, 3)


def test_calling_a_codec_takes_any_length(spectral):
    x = speechlike(3)[..., :5000]
    out = spectral(x)
    assert out.audio.shape == x.shape
    padded = torch.nn.functional.pad(x, (0, 3 * 1920 - 5000))
    assert torch.equal(spectral(padded).audio[..., :5000], out.audio)


def test_a_rate_is_asked_alike_of_both_codecs(spectral, jovio):
    x = speechlike(20)
    codes = spectral.encode(x, kbps=2.0)
    data = spectral.compress(x, rate=Rate(kbps=2.0))
    assert spectral.compress(x, kbps=2.0) == data
    assert torch.equal(codes[0], torch.from_numpy(TokenFile.from_bytes(data).streams[0].codes.astype(np.int64)))
    assert torch.equal(spectral.encode(x, rate=Rate(n_q=2)), spectral.encode(x, 2))
    picture = scene(64, 96)[:, :, 0]
    assert jovio.compress(picture, bpp=0.3) == jovio.compress(picture, rate=Rate(bpp=0.3))
    assert torch.equal(jovio.encode(picture, rate=Rate(n_q=2)), jovio.encode(picture, 2))
    adaptive = jovio.encode(picture, bpp=0.2)
    assert adaptive.shape[0] == 1
    assert adaptive.shape[2:] == (4, 6)
    assert 0 < int((adaptive >= 0).sum()) < int((jovio.encode(picture, bpp=0.5) >= 0).sum())
    assert jovio.decode(adaptive, (64, 96)).shape == picture.shape
    video = jovio.encode(scene(32, 32, 5), kbps=50)
    assert jovio.decode(video, pictures=5).shape == (1, 3, 5, 32, 32)
    for wrong in (
        lambda: spectral.encode(x, 2, kbps=2.0),
        lambda: spectral.encode(x, rate=Rate(n_q=2), kbps=2.0),
        lambda: spectral.encode(torch.cat([x, x]), kbps=2.0),
        lambda: spectral.encode(x, rate=Rate(bpp=2.0)),
        lambda: jovio.encode(picture, kbps=2.0),
        lambda: jovio.encode(picture, 2, bpp=0.2),
        lambda: jovio.encode(torch.cat([picture, picture]), bpp=0.2),
    ):
        with pytest.raises(CodecError):
            wrong()


def test_representations_are_short(spectral, jovio):
    for thing in (spectral, jovio, TokenFile.from_bytes(spectral.compress(speechlike(3), 2))):
        assert len(repr(thing)) < 200
        assert "\n" not in repr(thing)
        assert " at 0x" not in repr(thing)
    assert "tiny-spectral" in repr(spectral)
    assert repr(Audio(torch.zeros(1, RATE), RATE, RATE, 1)) == f"Audio(1.00 s, {RATE} Hz, 1 channel(s))"


def test_notebooks_hear_and_see(monkeypatch):
    audio = Audio(speechlike(13)[0], RATE, 44100, 2)
    shown = audio._repr_html_()
    assert shown.count("<audio controls") == 1
    assert 'alt="spectrogram"' in shown
    assert "44100 Hz, 2 channel(s)" in shown
    codec = josiecodec.load()
    file = TokenFile.from_bytes(codec.compress(audio, 3))
    shown = file._repr_html_()
    assert "kbit/s" in shown
    assert shown.count("<audio controls") == 1
    picture = josiecodec.load("jovio-16").compress(scene(32, 48)[0, :, 0], 2)
    shown = TokenFile.from_bytes(picture)._repr_html_()
    assert "bits per pixel" in shown
    assert "decoded image" in shown


def test_models_that_are_not_at_hand_are_described(spectral):
    shown = TokenFile.from_bytes(spectral.compress(speechlike(3), 2))._repr_html_()
    assert "kbit/s" in shown
    assert "<audio" not in shown
