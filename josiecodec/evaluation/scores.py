"""Scores of what a codec made, beside the original; several processes at once."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..media.audio_reader import load_audio
from ..media.images import load_image
from ..media.video_reader import load_video
from ..metrics import audio as sound_scores
from ..metrics.vision import frame_difference_psnr, ms_ssim, mse, to_psnr
from .items import RATE, Item, fitted


def start() -> None:
    """Set up a process that scores: as many of them as cores, with one thread each."""
    torch.set_num_threads(1)


def score(item: Item, row: dict[str, Any], words: bool) -> dict[str, Any]:
    """Add scores to a row of `produce`; those that cannot be computed are None and named in `unscored`.

    Args:
        item: the original.
        row: with `decoded` and sizes.
        words: also compare what a speech recogniser hears in English speech.
    """
    if "error" in row:
        return row
    found = {"sound": _sound, "picture": _picture, "video": _video}[item.kind](item, row, words)
    known = {k: round(v, 5) if v is not None and math.isfinite(v) else None for k, v in found.items()}
    return {**row, **known, "unscored": sorted(k for k, v in known.items() if v is None)}


def _sound(item: Item, row: dict[str, Any], words: bool) -> dict[str, float | None]:
    original = item.sound()
    decoded = fitted(load_audio(row["decoded"], RATE).samples[0], len(original))
    found: dict[str, float | None] = dict(sound_scores.score(decoded, original, RATE))
    seconds = max(row["seconds"], 1e-9)
    found["kbps"] = 8 * row["bytes"] / seconds / 1000
    found["payload_kbps"] = 8 * row["payload_bytes"] / seconds / 1000
    found["encode_rtf"], found["decode_rtf"] = row["encode_s"] / seconds, row["decode_s"] / seconds
    if words and item.label == "speech" and item.language in ("", "en"):
        from .words import error_rate, transcript

        found["wer"] = error_rate(_heard(item), transcript(decoded, RATE))
    return found


@cache
def _heard(item: Item) -> tuple[str, ...]:
    from .words import transcript

    return transcript(item.sound(), RATE)


def _picture(item: Item, row: dict[str, Any], words: bool) -> dict[str, float | None]:
    original, decoded = item.picture(), load_image(row["decoded"])
    error = mse(decoded, original)
    return {**_rates(row), "mse": error, "psnr": to_psnr(error), "ms_ssim": ms_ssim(decoded, original)}


def _video(item: Item, row: dict[str, Any], words: bool) -> dict[str, float | None]:
    original, decoded = item.video()[0], load_video(Path(row["decoded"]))[0]
    error = mse(decoded, original)
    similar = [ms_ssim(a, b) for a, b in zip(decoded.unbind(1), original.unbind(1))]
    return {
        **_rates(row),
        "kbps": 8 * row["bytes"] / max(row["seconds"], 1e-9) / 1000,
        "mse": error,
        "psnr": to_psnr(error),
        "ms_ssim": sum(similar) / max(len(similar), 1),
        "difference_psnr": frame_difference_psnr(decoded, original),
    }


def _rates(row: dict[str, Any]) -> dict[str, float | None]:
    pixels = row["width"] * row["height"] * row["pictures"]
    return {"bpp": 8 * row["bytes"] / pixels, "payload_bpp": 8 * row["payload_bytes"] / pixels}
