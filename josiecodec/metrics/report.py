"""Scores of many recordings: one row for each recording and number of levels, and their means."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from ..audio.jodio import Jodio
from ..nn.quantize import codebook_statistics
from .audio import score


@torch.no_grad()
def score_segment(codec: Jodio, wave: Tensor, levels: tuple[int, ...], **labels: str) -> list[dict[str, Any]]:
    """Encode once, decode at every number of levels, and score.

    Args:
        codec: the model.
        wave: [T] at its rate.
        levels: numbers of levels.
        labels: go into every row.

    Returns:
        one row for each of `levels`: the labels, n_q, kbps, scores (see `metrics.audio.score`), real-time
        factors, and `codes` [n_q, F].
    """
    device = next(codec.parameters()).device
    seconds = max(len(wave) / codec.sample_rate, 1e-9)
    begin = time.perf_counter()
    codes = codec.encode(wave[None, None].to(device), max(levels)).cpu()
    encoding = time.perf_counter() - begin
    rows = []
    for n_q in levels:
        begin = time.perf_counter()
        decoded = codec.decode(codes[:, :n_q].to(device), len(wave))[0, 0].cpu().clamp(-1, 1)
        decoding = time.perf_counter() - begin
        row: dict[str, Any] = {**labels, "seconds": round(seconds, 3), "n_q": n_q, "kbps": codec.bitrate(n_q) / 1000}
        scores = score(decoded, wave, codec.sample_rate)
        row |= {name: round(value, 4) if math.isfinite(value) else None for name, value in scores.items()}
        row |= {"encode_rtf": encoding / seconds, "decode_rtf": decoding / seconds, "codes": codes[0, :n_q]}
        rows.append(row)
    return rows


def means(rows: list[dict[str, Any]], codebook_size: int) -> list[dict[str, Any]]:
    """Means of the rows of `score_segment`, one line for each kind of recording and number of levels.

    Scores that could not be computed (None) are left out of a mean and counted as `unscored`. A last line for
    each codebook says how it is used over all recordings.
    """
    out = []
    keys = sorted({(row.get("kind", ""), row["n_q"]) for row in rows}, key=lambda k: (k[1], k[0]))
    for kind, n_q in keys:
        chosen = [row for row in rows if row.get("kind", "") == kind and row["n_q"] == n_q]
        line: dict[str, Any] = {"kind": kind, "n_q": n_q, "kbps": chosen[0]["kbps"], "clips": len(chosen)}
        unscored = 0
        for name in ("pesq_wb", "pesq_nb", "stoi", "si_sdr", "mel", "encode_rtf", "decode_rtf"):
            values = [row[name] for row in chosen if row[name] is not None]
            unscored += len(chosen) - len(values)
            line[name] = round(sum(values) / len(values), 4) if values else None
        out.append({**line, "unscored": unscored})
    most = max((row["n_q"] for row in rows), default=0)
    every = [row["codes"] for row in rows if row["n_q"] == most]
    for level in range(most):
        counts = torch.bincount(torch.cat([c[level] for c in every]), minlength=codebook_size)
        statistics = codebook_statistics(counts)
        out.append({"level": level, **{k: round(v, 4) for k, v in statistics.items()}})
    return out
