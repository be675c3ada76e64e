"""Whether bfloat16 pays on a processor: with instructions for it training is faster, without them many times slower."""

from __future__ import annotations

import time

import torch

SIZE = 256  # rows and columns of the products that are timed
SLOWER, FASTER = 1.2, 0.7  # times of bfloat16 to those of float32 from which on it is worth a word


def bf16_ratio(device: torch.device) -> float:
    """Time of a matrix product in bfloat16 to that in float32, the best of several of each."""
    best = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(SIZE, SIZE, device=device, dtype=dtype)
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - begin)
        best.append(min(times))
    return best[1] / best[0]


def advice(precision: str, device: torch.device, ratio: float | None = None) -> str:
    """What to say about the precision of a run before it starts; empty if it is right.

    Args:
        precision: of the run, "fp32" or "bf16".
        device: that it runs on. Only processors are looked at.
        ratio: `bf16_ratio`, else measured.
    """
    if device.type != "cpu":
        return ""
    ratio = bf16_ratio(device) if ratio is None else ratio
    other, by = "", 1.0
    if precision == "bf16" and ratio > SLOWER:
        other, by, how = "fp32", ratio, "slower"
    elif precision == "fp32" and ratio < FASTER:
        other, by, how = "bf16", 1 / ratio, "faster"
    if not other:
        return ""
    text = f"products in bfloat16 are {by:.1f} times {how} than in float32 on this processor"
    return f"{text}: --set 'precision=\"{other}\"'"
