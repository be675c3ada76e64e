"""What the names in a line of training mean, said once when they first appear."""

from __future__ import annotations

from collections.abc import Iterable

TERMS = {
    "loss": "the weighted sum of all terms, which is minimised",
    "mel": "difference of log mel spectra",
    "magnitude": "relative difference of magnitude spectra",
    "fine": "difference of log spectra, bin by bin",
    "complex": "relative difference of complex spectra, phase included",
    "vq": "distance of the latents from their codes",
    "pesq": "PESQ term of speech",
    "stoi": "1 - STOI of speech",
    "pitch": "cross-entropy of the pitch",
    "pitch_right": "share of windows whose pitch is right",
    "teacher_cosine": "likeness of the semantic level to the teacher's features, 1 is equal",
    "phone_loss": "cross-entropy of phones, from the semantic level",
    "phone_accuracy": "share of frames whose phone is right",
    "semantic_kept": "distance of the semantic latents from those of the model begun with",
    "adversarial": "how far the discriminators tell decoded from original",
    "matching": "difference of the discriminators' features",
    "discriminator": "loss of the discriminators themselves",
    "skipped": "share of steps left out, as their gradient was not finite",
    "log_mse": "log of the squared error of each item",
    "mse": "squared error",
    "ms_ssim": "MS-SSIM, higher is better",
    "psnr": "in dB, higher is better",
}


def legend(names: Iterable[str], known: set[str]) -> str:
    """The meanings of those names that are not in `known`, in one line, "" if there is none; adds them to `known`."""
    new = [name for name in names if name in TERMS and name not in known]
    known.update(new)
    return "; ".join(f"{name}: {TERMS[name]}" for name in new)
