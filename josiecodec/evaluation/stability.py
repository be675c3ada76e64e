"""How stable tokens are: the share of codes that stay when speech stays, but for what nobody minds.

A language model sees other tokens for the same words wherever they are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

SHIFTS = (1, 5, 20, 40, 60, 79)  # milliseconds of silence in front
GAINS = (-6.0, 6.0)  # dB
NOISES = (40.0, 30.0)  # dB of signal to white noise


def changes(sample_rate: int) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """Names, and what they do to a waveform [T]."""

    def shifted(ms: int) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.nn.functional.pad(x, (round(ms * sample_rate / 1000), 0))

    def louder(db: float) -> Callable[[Tensor], Tensor]:
        return lambda x: x * 10 ** (db / 20)

    def noisy(db: float) -> Callable[[Tensor], Tensor]:
        def change(x: Tensor) -> Tensor:
            noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
            return x + noise * x.square().mean().sqrt() * 10 ** (-db / 20)

        return change

    yield "again", lambda x: x
    for ms in SHIFTS:
        yield f"shift {ms} ms", shifted(ms)
    for gain in GAINS:
        yield f"gain {gain:+g} dB", louder(gain)
    for snr in NOISES:
        yield f"noise at {snr:g} dB", noisy(snr)


def stability(codec: Any, waves: Iterable[Tensor], n_q: int | None = None) -> list[dict[str, Any]]:
    """Shares of equal codes at equal frames.

    Args:
        codec: with `encode`, from [1, 1, T] to codes [1, K, F], and `sample_rate`.
        waves: recordings [T] at that rate.
        n_q: number of levels.

    Returns:
        a dictionary for each change, with `change`, `codes` (frames compared) and `equal`, a share from 0 to 1 for each
        level. Shifts of less than half a frame and of more are compared frame by frame all the same.
    """
    same: dict[str, Tensor] = {}
    frames = 0
    with torch.inference_mode():
        for wave in waves:
            codes = codec.encode(wave[None, None], n_q=n_q)[0]
            frames += codes.shape[-1]
            for name, change in changes(codec.sample_rate):
                other = codec.encode(change(wave)[None, None], n_q=n_q)[0][:, : codes.shape[-1]]
                equal = (other == codes[:, : other.shape[-1]]).double().sum(1)
                same[name] = same.get(name, torch.zeros_like(equal)) + equal
    return [
        {"change": name, "codes": frames, "equal": [round(float(s), 4) for s in shares / max(frames, 1)]}
        for name, shares in same.items()
    ]
