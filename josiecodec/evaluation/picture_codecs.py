"""Image formats of Pillow, each with the interface `codecs.Codec`, at a quality or at a size."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from PIL import Image, features
from torch import Tensor

from ..errors import CodecError
from ..media.images import load_image, to_bytes_rgb

AT_SIZE = "bpp"  # after a number of bits per pixel: the finest quality whose file is no larger
FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
BITS = 24  # of a pixel, to which the ratios of JPEG 2000 refer
STEPS = 6  # of the search for a ratio
FIRST, SLOPE = 20, 0.03  # of the search for a quality: where it begins, and how the logarithm of a size grows with it


class PillowImage:
    """An image format of Pillow.

    Args:
        kind: the format, as Pillow calls it.
        setting: a quality, of JPEG 2000 a compression ratio; or bits per pixel and `bpp`: the finest quality whose file
            is no larger, of each picture its own.
        options: of the format.
    """

    kinds = ("image",)

    def __init__(self, kind: str, setting: str, **options: Any):
        if kind == "JXL":
            _jpeg_xl()
        if kind in FEATURES and not features.check(FEATURES[kind]):
            raise CodecError(f"Pillow cannot write {kind} here")
        self.kind, self.options = kind, options
        self.lowest, self.highest = 0, 95 if kind == "JPEG" else 100
        self.bpp = float(setting.removesuffix(AT_SIZE)) if setting.endswith(AT_SIZE) else 0.0
        if setting.endswith(AT_SIZE) and not (math.isfinite(self.bpp) and self.bpp > 0):
            raise ValueError(setting)
        self.quality = 0.0 if self.bpp else float(setting) if kind == "JPEG2000" else int(setting)
        self._prepared: Tensor | None = None

    def prepare(self, media: Tensor, rate: Fraction) -> None:
        """Look for the quality of a picture [3, H, W] in [0, 1] that meets the size, before times are taken.

        Raises:
            CodecError: if even the smallest file is larger.
        """
        if self.bpp:
            self.quality, self._prepared = self._finest(_picture(media)), media

    def encode(self, media: Tensor, rate: Fraction) -> bytes:
        if self._prepared is not media:
            self.prepare(media, rate)
        return self._saved(_picture(media), self.quality)

    def decode(self, data: bytes, rate: Fraction) -> Tensor:
        return load_image(io.BytesIO(data))

    def _saved(self, picture: Image.Image, quality: float) -> bytes:
        options = dict(self.options)
        if self.kind == "JPEG2000":
            options |= {"quality_mode": "rates", "quality_layers": [quality], "irreversible": True}
        else:
            options |= {"quality": int(quality)}
        file = io.BytesIO()
        picture.save(file, self.kind, **options)
        return file.getvalue()

    def _finest(self, picture: Image.Image) -> float:
        limit = self.bpp * picture.width * picture.height / 8
        if self.kind == "JPEG2000":
            return self._ratio(picture, limit)
        sizes: dict[int, int] = {}
        low, high, next_one = self.lowest - 1, self.highest + 1, int(self.quality) or FIRST
        while high - low > 1:
            quality = min(max(next_one, low + 1), high - 1)
            size = sizes[quality] = len(self._saved(picture, quality))
            low, high = (quality, high) if size <= limit else (low, quality)
            next_one = _between(sizes, low, high, limit)
        if low < self.lowest:
            raise self._too_large(picture, sizes[self.lowest])
        return low

    def _ratio(self, picture: Image.Image, limit: float) -> float:
        """The ratio to three bytes per pixel; files miss it by their headers."""
        ratio = BITS / self.bpp
        for _ in range(STEPS):
            size = len(self._saved(picture, ratio))
            if size <= limit:
                return ratio
            ratio *= 1.002 * size / limit
        raise self._too_large(picture, size)

    def _too_large(self, picture: Image.Image, size: int) -> CodecError:
        least = 8 * size / (picture.width * picture.height)
        return CodecError(f"no {self.kind} of {self.bpp:g} bits per pixel: the smallest has {least:.3f}")


def _between(sizes: dict[int, int], low: int, high: int, limit: float) -> int:
    """The quality to try next, by a line through logarithms of sizes, which are about proportional to it.

    Args:
        sizes: of files, by quality.
        low, high: a quality that fits, and one that does not, at least one of them in `sizes`.
        limit: of the size.
    """
    if low in sizes and high in sizes:
        share = math.log(limit / sizes[low]) / math.log(sizes[high] / sizes[low])
        return low + round(share * (high - low))
    nearest = low if low in sizes else high
    steps = math.log(limit / sizes[nearest]) / SLOPE
    return nearest + (max(1, round(1.1 * steps)) if nearest == low else min(-1, round(1.1 * steps)))


def _picture(media: Tensor) -> Image.Image:
    return Image.fromarray(to_bytes_rgb(media))


def _jpeg_xl() -> None:
    """Have Pillow write JPEG XL."""
    try:
        import pillow_jxl  # noqa: F401
    except ImportError:
        raise CodecError("JPEG XL needs the package pillow-jxl-plugin (extra 'jxl')") from None


def _avif(setting: str, speed: int = 6, tune: str = "") -> PillowImage:
    """AVIF; 6 is the speed that Pillow has by default, and no tuning that of its libavif."""
    return PillowImage("AVIF", setting, speed=speed, **({"advanced": {"tune": tune}} if tune else {}))


AVIF_QUALITIES = ("5", "20", "40", "60")
KNOWN: dict[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    "jpeg": (partial(PillowImage, "JPEG", optimize=True), ("5", "10", "20", "40", "70")),
    "webp": (partial(PillowImage, "WEBP", method=6), ("0", "5", "20", "50", "80")),
    "avif": (_avif, AVIF_QUALITIES),
    "avif-psnr": (partial(_avif, tune="psnr"), AVIF_QUALITIES),
    "avif-ssim": (partial(_avif, tune="ssim"), AVIF_QUALITIES),
    "avif-slow": (partial(_avif, speed=4), AVIF_QUALITIES),
    "jxl": (partial(PillowImage, "JXL"), ("5", "20", "50", "80")),
    "jpeg2000": (partial(PillowImage, "JPEG2000"), ("30", "60", "120", "240")),
}
