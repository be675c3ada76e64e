"""What an encoder may choose: rate and effort. Decoders need none of it, so it is never part of a model's identity."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from .errors import CodecError, CodesError, ConfigError

MAX_BEAMS = 256
MIN_PSNR, MAX_PSNR = 10.0, 70.0  # dB that can be asked for
Tune = Literal["psnr", "ssim"]
Effort = Literal["fast", "default", "high"]
MediaKind = Literal["audio", "image", "video"]
FITTING = {  # the rates that can be asked of each kind of media
    "audio": ("n_q", "kbps"),
    "image": ("n_q", "bpp", "rd_lambda", "psnr"),
    "video": ("n_q", "bpp", "kbps", "rd_lambda", "psnr"),
}


@dataclass(frozen=True)
class EncoderSettings:
    """How an encoder looks for codes. Any decoder of the model reads what any settings give.

    Attributes:
        n_q: levels where no rate is asked for.
        beams: effort: hypotheses that the beam search for codes keeps, see `quantization/beam_search.py`; 1 takes the
            nearest code of each level.
        water_level, envelope_threshold: of audio models with levels after the base that code by frame: a frame gets
            those levels that matter more than this, see `priorities` of `WaveformLayer` and `EnvelopeLayer`; None for
            all of them in all frames.
        rd_lambda: of images and video: lambda of the rate-distortion cost, squared error + lambda x bits, where no
            rate is asked for.
        masking: of images and video: how much less an error counts in a busy patch than in a smooth one, 0 (all alike)
            to 1 (in proportion to what one level leaves over), see `coding/rdo.py`.
        effort: of images: how much is tried, see `coding/effort.py`.
        tune: of images and video: what bits go for, squared error or structural similarity, see
            `coding/picture_tools.py` and `coding/motion_lookahead.py`.
    """

    n_q: int = 8
    beams: int = 4
    water_level: float | None = None
    envelope_threshold: float | None = None
    rd_lambda: float = 0.02
    masking: float = 0.3
    tune: Tune = "psnr"
    effort: Effort = "default"

    def __post_init__(self) -> None:
        if self.n_q < 1:
            raise ConfigError("encoding: n_q must be at least 1")
        if not 1 <= self.beams <= MAX_BEAMS:
            raise ConfigError(f"encoding: beams must be in 1..{MAX_BEAMS}")
        if any(v is not None and math.isnan(v) for v in (self.water_level, self.envelope_threshold)):
            raise ConfigError("encoding: water_level and envelope_threshold must be numbers")
        if not 0 < self.rd_lambda < math.inf:
            raise ConfigError("encoding: rd_lambda must be positive")
        if not 0 <= self.masking <= 1:
            raise ConfigError("encoding: masking must be in 0..1")
        if self.tune not in get_args(Tune):
            raise ConfigError(f"encoding: tune must be one of {', '.join(get_args(Tune))}")
        if self.effort not in get_args(Effort):
            raise ConfigError(f"encoding: effort must be one of {', '.join(get_args(Effort))}")


@dataclass(frozen=True)
class Rate:
    """What a file may take; at most one of these.

    Attributes:
        n_q: so many levels in every frame or patch, nothing predicted.
        bpp: of images and video, bits per pixel (and picture) of the whole file.
        kbps: of audio and video, thousands of bits per second of the whole file. Audio never takes more; video, as
            with `bpp`, comes within a few percent.
        rd_lambda: of images and video, see `EncoderSettings`; the more, the fewer bits. The same lambda is the same
            quality.
        psnr: of images and video, dB: of an image within 0.2 where that can be had; of a video the lambda at which
            clips have it on average, constant over the video.
    """

    n_q: int | None = None
    bpp: float | None = None
    kbps: float | None = None
    rd_lambda: float | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.n_q, self.bpp, self.kbps, self.rd_lambda, self.psnr) if v is not None]
        if len(given) > 1:
            raise CodecError("give only one of n_q, bpp, kbps, rd_lambda and psnr")
        if self.psnr is not None and not MIN_PSNR <= self.psnr <= MAX_PSNR:
            raise CodecError(f"psnr must be in {MIN_PSNR:g}..{MAX_PSNR:g} dB, not {self.psnr:g}")
        if not all(0 < v < math.inf for v in given):
            raise CodecError("a rate must be positive and finite")

    def bits(self, pixels: int, pictures: int, seconds: float) -> float | None:
        """The budget of so many pictures of so many pixels each; None if there is none."""
        if self.bpp is not None:
            return self.bpp * pixels * pictures
        return None if self.kbps is None else 1000 * self.kbps * seconds


def checked_levels(n_q: int | None, settings: EncoderSettings, most: int) -> int:
    """`n_q`, or for None that of `settings`.

    Raises:
        CodesError: if it is no number of levels up to `most`.
    """
    if n_q is None:
        n_q = settings.n_q
    if isinstance(n_q, bool) or not isinstance(n_q, int) or not 1 <= n_q <= most:
        raise CodesError(f"n_q must be a whole number in 1..{most}, not {n_q!r}")
    return n_q


def fitting_rate(kind: MediaKind, n_q: int | None, rate: Rate | None) -> Rate:
    """The one rate that a caller asks for with `n_q` or `rate`; one without values if with neither.

    Args:
        kind: of what is to be encoded.
        n_q: levels.
        rate: any rate.

    Raises:
        CodesError: if `n_q` is no number of levels.
        CodecError: if both are given, or if such a rate cannot be asked of this kind of media.
    """
    if rate is not None and not isinstance(rate, Rate):
        raise CodecError(f"rate must be a Rate, not {type(rate).__name__}")
    if n_q is not None and rate is not None:
        raise CodecError("give either n_q or rate, not both")
    if rate is None:
        if n_q is not None and (isinstance(n_q, bool) or not isinstance(n_q, int) or n_q < 1):
            raise CodesError(f"n_q must be a whole number from 1 on, not {n_q!r}")
        return Rate(n_q=n_q)
    for field in fields(rate):
        if getattr(rate, field.name) is not None and field.name not in FITTING[kind]:
            raise CodecError(f"{field.name} is not a rate of {kind}: use {_listed(FITTING[kind])}")
    return rate


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def asked_rate(rate: Rate | None, kbps: float | None = None, bpp: float | None = None) -> Rate | None:
    """The rate that a caller asks for, as a `Rate` or as a number.

    Raises:
        CodecError: if more than one is given.
    """
    if kbps is None and bpp is None:
        return rate
    if rate is not None:
        raise CodecError("give either rate, or kbps or bpp")
    return Rate(kbps=kbps, bpp=bpp)
