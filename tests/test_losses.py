"""Losses: zero where they should be, equal to what they stand for, and with a gradient."""

from __future__ import annotations

import math

import pytest
import torch
from kit.audio import RATE, speechlike

from josiecodec.nn.spectra import mel_filterbank, overlapping_frames, real_fft
from josiecodec.training.audio.discriminators import Adversary, AdversaryConfig, same_excerpt
from josiecodec.training.audio.losses import PesqTerm, SpectralLoss, StoiTerm
from josiecodec.training.audio.pitch import pitch_loss


@pytest.fixture(scope="module")
def speech():
    return speechlike(20, batch=2)[:, 0]


def test_real_fft_and_its_gradient():
    x = torch.randn(2, 3, 16, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(real_fft(x), torch.fft.rfft(x))
    assert torch.autograd.gradcheck(real_fft, x)


@pytest.mark.parametrize("overlap", [2, 4])
def test_frames_cover_everything_evenly(overlap):
    x = torch.ones(1, 64 * 40)
    frames = overlapping_frames(x, 64, overlap)
    assert frames.shape[1] == overlap
    assert float(frames.sum()) == pytest.approx(overlap * float(x.sum()), rel=0.05)
    ramp = torch.arange(64.0 * 40)[None]
    assert overlapping_frames(ramp, 64, overlap)[0, 1, 3, 0] == 64 * 3 + 64 // overlap - 32


def test_mel_filters_are_never_empty():
    for window, mels in ((2048, 128), (256, 20), (512, 80)):
        bank = mel_filterbank(window // 2 + 1, mels, RATE)
        assert bank.shape == (window // 2 + 1, mels)
        assert (bank.sum(0) > 0).all()
        assert bank.max() <= 1


def test_spectral_distances(speech):
    loss = SpectralLoss(RATE)
    same = loss(speech, speech)
    assert max(float(v) for v in same.values()) < 2e-3
    y = speech.clone().requires_grad_()
    far = loss(y * 0.5 + 0.01 * torch.randn_like(y), speech)
    assert all(float(v.detach()) > 0.05 for v in far.values())
    sum(far.values()).backward()
    assert y.grad.isfinite().all()
    flipped = loss(-speech, speech)  # only one of them knows about phase
    assert float(flipped["mel"]) < 1e-3
    assert float(flipped["complex"]) == pytest.approx(2, rel=0.01)


def test_pesq_term_is_that_of_its_package(speech):
    package = pytest.importorskip("torch_pesq")
    theirs, ours = package.PesqLoss(1.0, sample_rate=16000), PesqTerm(16000)
    for noise in (0.003, 0.03):
        y = speech + noise * torch.randn_like(speech)
        expected = theirs(speech, y)
        torch.testing.assert_close(ours(y, speech), expected.float(), atol=0.03, rtol=0.03)
    quiet = (speech * 1e-3).requires_grad_()
    PesqTerm(RATE)(quiet + 1e-6 * torch.randn_like(speech), speech).sum().backward()
    assert quiet.grad.isfinite().all()


def test_stoi_term_orders_as_the_measure_does(speech):
    from josiecodec.metrics.audio import stoi

    term = StoiTerm(RATE)
    assert term(speech, speech).max() < 1e-3
    ours, theirs = [], []
    for noise in (0.003, 0.02, 0.1):
        y = speech + noise * torch.randn_like(speech)
        ours.append(float(1 - term(y, speech)[0]))
        theirs.append(stoi(y[0], speech[0], RATE))
    assert ours == sorted(ours, reverse=True)
    assert theirs == sorted(theirs, reverse=True)


def test_pitch_loss():
    from josiecodec.audio.source import PITCH_BINS, pitch_bins

    pitch = torch.tensor([[100.0, 0.0, 220.0]])
    right = torch.full((1, 3, PITCH_BINS), -10.0)
    for window, hertz in ((0, 100.0), (2, 220.0)):
        right[0, window, (pitch_bins() - math.log(hertz)).abs().argmin()] = 10.0
    loss, share = pitch_loss(right, pitch)
    assert share == 1
    wrong, share = pitch_loss(right.roll(40, -1), pitch)
    assert share == 0
    assert wrong > loss
    nothing, _ = pitch_loss(right, torch.zeros(1, 3))
    assert nothing == 0


def test_an_adversary_learns_to_tell_and_to_teach():
    torch.manual_seed(0)
    adversary = Adversary(AdversaryConfig(windows=(256,), periods=(3,), channels=4))
    optimizer = torch.optim.Adam(adversary.parameters(), 3e-3)
    real = speechlike(4, batch=2)[:, 0]
    fake = 0.1 * torch.randn_like(real)
    first = float(adversary.discriminator_loss(fake, real))
    for _ in range(30):
        loss = adversary.discriminator_loss(fake, real)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.6 * first
    fake.requires_grad_()
    adversarial, matching = adversary.codec_loss(fake, real)
    (adversarial + matching).backward()
    assert fake.grad.abs().sum() > 0
    assert float(adversary.codec_loss(real, real)[1]) == 0


def test_a_discriminator_separates_clean_from_coarse_sound():
    torch.manual_seed(0)
    adversary = Adversary(AdversaryConfig(windows=(512,), channels=8))
    optimizer = torch.optim.AdamW(adversary.parameters(), 2e-3, betas=(0.8, 0.99))
    clean = 0.3 * speechlike(8, batch=4)[:, 0]
    coarse = (clean * 32).round() / 32
    random = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(120):
        loss = adversary.discriminator_loss(*same_excerpt(coarse, clean, 4800, random))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adversary.parameters(), 10.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) / 10 < 0.42  # a judge who cannot tell them apart has 0.5; here there are pauses, too


def test_excerpts_match():
    x = torch.arange(100.0)[None]
    a, b = same_excerpt(x, x + 1, 10, torch.Generator().manual_seed(0))
    assert a.shape == (1, 10)
    assert torch.equal(a + 1, b)
