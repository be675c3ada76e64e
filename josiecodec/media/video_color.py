"""Decoded frames as sRGB pictures: range, matrix, transfer function and primaries by the tags of the film.

Chroma is interpolated by swscale, at the position that the film says, with accurate rounding. Ordinary films are
converted to RGB by swscale too; HDR and what it does not know with floating-point numbers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .color_math import BT709, BT2020, HDR_TRANSFERS, SRGB, UNSPECIFIED, is_srgb, to_srgb

# bicubic, full chroma when widened and in between, accurate rounding: numbers, as not all versions of PyAV name them
SCALER = 4 | 1 << 13 | 1 << 14 | 1 << 18
RGB_MATRIX, YCGCO = 0, 8
LIMITED, FULL = 1, 2
HD_WIDTH, HD_HEIGHT = 1280, 576  # from this width, and above this height, untagged video is BT.709
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7}  # matrix by H.273 -> swscale's name for it
# red and blue in luma
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
_WEIGHTS |= {9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_GREY_VIDEO = (
    "h264",
    "hevc",
    "vvc",
    "av1",
    "libdav1d",
    "libaom-av1",
    "vp9",
    "mpeg4",
)  # where grey is limited unless said
_THREADS = 1  # of swscale: more take longer than they save, beside a decoder that has its own
_ROWS = 128  # converted at a time, so that the numbers stay in the cache


@dataclass(frozen=True)
class Colors:
    """What the values of a film mean, by the numbers of H.273.

    Attributes:
        matrix, transfer, primaries: numbers; those that are not tagged are replaced by what is usual.
        limited: whether black is 16 and white 235 (of 8 bits).
        tagged: whether the matrix was tagged.
    """

    matrix: int
    transfer: int
    primaries: int
    limited: bool
    tagged: bool = True

    @property
    def hdr(self) -> bool:
        """Whether it is HDR, PQ or HLG."""
        return self.transfer in HDR_TRANSFERS


def colors_of(frame: Any, codec: str = "") -> Colors:
    """Colours of a decoded frame: its tags, and for those that are missing what players take.

    Without a matrix HDR and BT.2020 are BT.2020, HD is BT.709 and SD is BT.601. Without a range YUV is limited, RGB and
    grey are full, except grey of video codecs.
    """
    matrix, transfer, primaries = int(frame.colorspace), int(frame.color_trc), int(frame.color_primaries)
    name = frame.format.name
    grey, rgb = name.startswith(("gray", "mono", "ya")), frame.format.is_rgb or name == "pal8"
    tagged = matrix not in (UNSPECIFIED, RGB_MATRIX) or rgb
    if rgb:
        matrix = RGB_MATRIX
    elif not tagged:
        wide = primaries == BT2020 or transfer in HDR_TRANSFERS
        hd = frame.width >= HD_WIDTH or frame.height > HD_HEIGHT
        matrix = BT2020 if wide else BT709 if hd else 6
    if primaries == UNSPECIFIED and transfer in HDR_TRANSFERS:
        primaries = BT2020
    full = int(frame.color_range) == FULL or name.startswith("yuvj")
    if int(frame.color_range) not in (LIMITED, FULL):
        full = full or rgb or (grey and codec not in _GREY_VIDEO)
    return Colors(matrix, transfer, primaries, not full and not rgb, tagged)


def to_rgb(frame: Any, size: tuple[int, int], colors: Colors) -> tuple[np.ndarray, np.ndarray | None]:
    """A frame as sRGB.

    Args:
        frame: as decoded.
        size: height and width wanted.
        colors: what its values mean.

    Returns:
        uint8 [H, W, 3], and opacity uint8 [H, W] if the format has any.
    """
    alpha = any(component.is_alpha for component in frame.format.components)
    if frame.format.name.startswith("gray"):
        return _grey(frame, size, colors.limited), None
    same = is_srgb(colors.primaries, colors.transfer)
    known = colors.matrix in (RGB_MATRIX, *_SWSCALE_MATRIX, BT2020)
    if not (same and known) and not alpha:
        return _by_numbers(frame, size, colors), None
    arguments: dict[str, Any] = {"height": size[0], "width": size[1], "interpolation": SCALER, "threads": _THREADS}
    if colors.matrix in _SWSCALE_MATRIX:
        arguments["src_colorspace"] = _SWSCALE_MATRIX[colors.matrix]
    if not frame.format.name.startswith("yuvj") and colors.matrix != RGB_MATRIX:
        arguments["src_color_range"] = LIMITED if colors.limited else FULL
        arguments["dst_color_range"] = FULL
    # For YUV the planar format: the same values, and swscale has no fast way to the other one.
    form = ("gbrp", "gbrap") if colors.matrix != RGB_MATRIX else ("rgb24", "rgba")
    pixels = frame.reformat(format=form[alpha], **arguments).to_ndarray()
    rgb, opacity = (pixels[..., :3], pixels[..., 3]) if alpha else (pixels, None)
    if not same:
        rgb = _in_strips(rgb, lambda part: to_srgb(part, colors.primaries, colors.transfer))
    return rgb, opacity


def on_white(rgb: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] with its opacity uint8 [H, W] put on white."""
    share = opacity[..., None].astype(np.float32) / 255
    return np.asarray(np.rint(rgb * share + 255 * (1 - share)), np.uint8)


def _grey(frame: Any, size: tuple[int, int], limited: bool) -> np.ndarray:
    grey = frame.reformat(
        format="gray16le", height=size[0], width=size[1], interpolation=SCALER, threads=_THREADS
    ).to_ndarray()
    value = grey.astype(np.float32) / 65535  # swscale makes the largest value of any depth the largest of 16 bits
    if limited:
        bits = frame.format.components[0].bits
        value = (value * ((1 << bits) - 1) / (1 << (bits - 8)) - 16) / 219
    byte = np.rint(255 * np.clip(value, 0, 1)).astype(np.uint8)
    return np.repeat(byte[..., None], 3, 2)


def _top(bits: int) -> int:
    """What the largest value of so many bits becomes when swscale widens it to 16."""
    return ((1 << bits) - 1) << (16 - bits)


def _by_numbers(frame: Any, size: tuple[int, int], colors: Colors) -> np.ndarray:
    """RGB with the matrix applied here, to 16 bits, then to sRGB."""
    form = "rgb48le" if colors.matrix == RGB_MATRIX else "yuv444p16le"
    values = frame.reformat(
        format=form, height=size[0], width=size[1], interpolation=SCALER, threads=_THREADS
    ).to_ndarray()

    def convert(part: np.ndarray) -> np.ndarray:
        code = part if colors.matrix == RGB_MATRIX else _rgb_code(part, colors, _top(frame.format.components[0].bits))
        if is_srgb(colors.primaries, colors.transfer):
            return np.asarray(np.rint(code / np.float32(257)), np.uint8)
        return to_srgb(code, colors.primaries, colors.transfer)

    return _in_strips(values, convert)


def _rgb_code(yuv: np.ndarray, colors: Colors, top: int) -> np.ndarray:
    """uint16 YUV [H, W, 3] -> uint16 RGB over the whole range."""
    value = yuv.astype(np.float32)
    if colors.limited:
        y, chroma = (value[..., :1] - 4096) / (219 * 256), (value[..., 1:] - 32768) / (224 * 256)
    else:
        y, chroma = value[..., :1] / top, (value[..., 1:] - 32768) / top
    u, v = chroma[..., :1], chroma[..., 1:]
    if colors.matrix == YCGCO:  # U is green, V is orange
        rgb = np.concatenate([y - u + v, y + u, y - u - v], -1)
    else:
        red, blue = _WEIGHTS.get(colors.matrix, _WEIGHTS[BT709])
        r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
        rgb = np.concatenate([r, (y - red * r - blue * b) / (1 - red - blue), b], -1)
    return np.asarray(np.rint(65535 * np.clip(rgb, 0, 1)), np.uint16)


def _in_strips(pixels: np.ndarray, convert: Any) -> np.ndarray:
    return np.concatenate([convert(pixels[top : top + _ROWS]) for top in range(0, len(pixels), _ROWS)])


def described(colors: Colors) -> str:
    """The colours in words, for people."""
    kinds = {16: "HDR (PQ)", 18: "HDR (HLG)"}
    gamuts = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3", 5: "BT.601 (625)", 6: "BT.601 (525)"}
    matrix = {0: "RGB", 1: "BT.709", 5: "BT.601", 6: "BT.601", 9: "BT.2020"}.get(
        colors.matrix, f"matrix {colors.matrix}"
    )
    if not colors.tagged:
        matrix += " (not tagged)"
    words = [matrix, "limited range" if colors.limited else "full range"]
    if colors.primaries in gamuts:
        words.append(f"primaries {gamuts[colors.primaries]}")
    if colors.transfer in kinds:
        words.append(kinds[colors.transfer])
    converted = colors.transfer not in (SRGB,) and not is_srgb(colors.primaries, colors.transfer)
    return ", ".join(words) + (", converted to BT.709" if converted else "")
