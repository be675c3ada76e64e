"""Scores of decoded files against the originals; several processes at once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..media.audio_reader import load_audio
from ..media.images import load_image
from ..media.video_reader import load_video
from ..metrics import audio as audio_metrics
from ..metrics.vision import frame_difference_psnr, ms_ssim, mse, to_psnr
from ..metrics.vmaf import ffmpeg_with_vmaf, vmaf
from .items import SAMPLE_RATE, Item, fit_length
from .judges import JUDGES

HIGHEST_PSNR = 100.0  # dB, which exact pictures count as: left out, the best of all files would lower the mean
MIN_SECONDS = 0.1  # of a recording, for figures per second to say anything


@dataclass(frozen=True)
class Asked:
    """Scores beyond those that every comparison has.

    Attributes:
        wer: word error rates of English speech by PocketSphinx.
        whisper: name or folder of a Whisper model for word error rates instead.
        judges: names of `judges.JUDGES`.
    """

    wer: bool = False
    whisper: str = ""
    judges: tuple[str, ...] = ()

    def done(self, row: dict[str, Any]) -> bool:
        """Whether a row has them all."""
        words = not (self.wer or self.whisper)
        words = words or (row.get("whisper", "") == self.whisper and bool(self.whisper or row.get("words")))
        return words and set(self.judges) <= set(row.get("judges", ()))

    def about(self) -> dict[str, Any]:
        """What `done` looks for in a row."""
        return {"words": self.wer, "whisper": self.whisper, "judges": list(self.judges)}


def start() -> None:
    """Set up a scoring process: one thread, for there can be as many processes as cores."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # what there is to say of the originals was said when they were encoded


def score(item: Item, row: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Add scores to a row of `round_trip`; those that cannot be computed are None and named in `unscored`.

    Args:
        item: the original.
        row: with `decoded` and sizes.
        asked: what else to compute.
    """
    if "error" in row:
        return row
    values = {"audio": _audio, "image": _image, "video": _video}[item.kind](item, row, asked)
    scores = {k: round(v, 5) if v is not None and math.isfinite(v) else None for k, v in values.items()}
    return {**row, **scores, "unscored": sorted(k for k, v in scores.items() if v is None)}


def _audio(item: Item, row: dict[str, Any], asked: Asked) -> dict[str, float | None]:
    original = item.load()[0]
    decoded = fit_length(load_audio(row["decoded"], SAMPLE_RATE).samples[0], len(original))
    scores: dict[str, float | None] = {}
    for name, measure in audio_metrics.MEASURES.items():
        scores[name] = _tried(measure, decoded, original, SAMPLE_RATE)
    seconds = row["seconds"] if row["seconds"] >= MIN_SECONDS else math.nan
    scores["kbps"] = 8 * row["bytes"] / seconds / 1000
    scores["payload_kbps"] = 8 * row["payload_bytes"] / seconds / 1000
    scores["encode_rtf"], scores["decode_rtf"] = row["encode_s"] / seconds, row["decode_s"] / seconds
    for name in asked.judges:
        judge = JUDGES[name]
        scores |= dict.fromkeys(judge.columns) | (_tried(judge.score, decoded, original) or {})
    if asked.whisper and item.may_be_speech:
        found = _tried(_heard_otherwise, item, decoded, asked.whisper)
        scores |= {"wer": None} if found is None else found
    elif asked.wer and item.may_be_english_speech:
        from .word_errors import counts, transcript

        scores |= counts(_reference(item), transcript(decoded, SAMPLE_RATE))
    return scores


def _tried(measure: Callable[..., Any], *args: Any) -> Any:
    """A measure, or None: a package that fails on a file costs this measure alone, not the others of the file."""
    try:
        return measure(*args)
    except Exception:  # foreign packages may raise anything
        return None


def _heard_otherwise(item: Item, decoded: Tensor, whisper: str) -> dict[str, float | None]:
    """Word errors by Whisper against the text of the manifest or, without one, what it hears in the original; none of
    speech in a language that the model does not know."""
    from .whisper_words import hears, transcript, words
    from .word_errors import counts

    if not hears(whisper, item.language):
        return {}
    language = item.language or None
    reference = words(item.text, language or "en") if item.text else _heard(item, whisper)
    return counts(reference, transcript(decoded, SAMPLE_RATE, whisper, language))


@cache
def _heard(item: Item, whisper: str) -> tuple[str, ...]:
    from .whisper_words import transcript

    return transcript(item.load()[0], SAMPLE_RATE, whisper, item.language or None)


@cache
def _reference(item: Item) -> tuple[str, ...]:
    from .word_errors import transcript

    return transcript(item.load()[0], SAMPLE_RATE)


def _image(item: Item, row: dict[str, Any], asked: Asked) -> dict[str, float | None]:
    original, decoded = item.load()[0], load_image(row["decoded"])
    error = mse(decoded, original)
    similar = _tried(ms_ssim, decoded, original)
    return {**_rates(row), "mse": error, "psnr": _bounded(to_psnr(error)), "ms_ssim": similar}


def _video(item: Item, row: dict[str, Any], asked: Asked) -> dict[str, float | None]:
    (original, rate), decoded = item.load(), load_video(Path(row["decoded"]))[0]
    error = mse(decoded, original)
    similar = [_tried(ms_ssim, a, b) for a, b in zip(decoded.unbind(1), original.unbind(1))]
    known = [value for value in similar if value is not None]
    return {
        **_rates(row),
        "kbps": 8 * row["bytes"] / max(row["seconds"], 1e-9) / 1000,
        "mse": error,
        "psnr": _bounded(to_psnr(error)),
        "ms_ssim": sum(known) / len(known) if len(known) == len(similar) and known else None,
        "difference_psnr": _bounded(frame_difference_psnr(decoded, original)),
        **({"vmaf": _tried(vmaf, decoded, original, Fraction(rate))} if ffmpeg_with_vmaf() else {}),
    }


def _bounded(psnr: float) -> float:
    """At most `HIGHEST_PSNR`; nan stays."""
    return HIGHEST_PSNR if psnr > HIGHEST_PSNR else psnr


def _rates(row: dict[str, Any]) -> dict[str, float | None]:
    pixels = row["width"] * row["height"] * row["pictures"]
    return {"bpp": 8 * row["bytes"] / pixels, "payload_bpp": 8 * row["payload_bytes"] / pixels}
