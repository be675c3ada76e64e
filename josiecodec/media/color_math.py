"""From the colours of a film or photo to sRGB: transfer functions, primaries, tone and gamut mapping.

Numbers of primaries, transfer functions and matrices are those of ITU-T H.273 (the same in MP4, Matroska, AVIF and
FFmpeg). Linear light is relative to diffuse white, 203 cd/m2 in HDR (ITU-R BT.2408).
"""

from __future__ import annotations

from functools import cache

import numpy as np

UNSPECIFIED = 2
BT709 = 1
BT2020 = 9
P3_DISPLAY = 12
SRGB, PQ, HLG = 13, 16, 18
HDR_TRANSFERS = (PQ, HLG)
DIFFUSE_WHITE = 203.0  # cd/m2, of HDR
PEAK, HLG_GAMMA = 1000.0, 1.2  # cd/m2 of the nominal display of BT.2100, and its system gamma; this becomes white
KNEE = 0.9  # linear light up to which tone mapping changes nothing; what is brighter is compressed

Point = tuple[float, float]
Points = tuple[Point, Point, Point, Point]
# chromaticities: red, green, blue, white
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_PRIMARIES: dict[int, Points] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# what is shown on the same displays as sRGB, although it is not the same curve: a grey stays as it is
_GAMMA_24 = (1, 6, 7, 11, 12, 14, 15)


def chromaticities(primaries: int | Points) -> Points:
    """Red, green, blue and white of primaries by H.273, or as they are; of unknown ones those of BT.709."""
    return _PRIMARIES.get(primaries, _PRIMARIES[BT709]) if isinstance(primaries, int) else primaries


def is_srgb(primaries: int | Points, transfer: int | float) -> bool:
    """Whether pictures with these numbers need no conversion; what is not specified counts as BT.709."""
    return primaries in (BT709, UNSPECIFIED, 0) and not _changes_grey(transfer)


def to_srgb(rgb: np.ndarray, primaries: int | Points, transfer: int | float) -> np.ndarray:
    """Pictures of any primaries and transfer function as sRGB.

    HDR keeps what is not brighter than diffuse white, and compresses highlights towards white without a change of
    hue; colours outside of the gamut of BT.709 lose saturation until they fit (HDR) or are clipped (as colour
    management does with photos).

    Args:
        rgb: coded values, uint8 or uint16 [..., 3] over their whole range.
        primaries: number by H.273, or chromaticities.
        transfer: number by H.273, or, as a float, the exponent of a gamma curve.

    Returns:
        uint8 [..., 3].
    """
    depth = 8 * rgb.dtype.itemsize
    if not _changes_grey(transfer) and transfer != SRGB:
        linear = _curve("gamma 2.4", depth)[rgb]
    else:
        linear = _curve(transfer, depth)[rgb]
    if transfer == HLG:  # the system gamma turns scene light into light of the display
        luma = linear @ _to_xyz(primaries)[1].astype(np.float32)
        linear *= np.power(np.maximum(luma, 1e-6), np.float32(HLG_GAMMA - 1))[..., None]
        linear *= np.float32(PEAK / DIFFUSE_WHITE)
    if primaries not in (BT709, UNSPECIFIED, 0):
        linear = linear @ _to_bt709(primaries).T
    if transfer in HDR_TRANSFERS:
        linear = _into_gamut(_tone_mapped(linear))
    code = np.rint(np.clip(linear, 0, 1) * np.float32(65535)).astype(np.uint16)
    out = _encoding("gamma 2.4" if not _changes_grey(transfer) and transfer != SRGB else "srgb")
    return np.asarray(out[code])


def _changes_grey(transfer: int | float) -> bool:
    return isinstance(transfer, float) or transfer not in (*_GAMMA_24, SRGB, UNSPECIFIED, 0)


def _tone_mapped(linear: np.ndarray) -> np.ndarray:
    """Highlights compressed between the knee and white by the largest of the three values, so that hues stay."""
    top = linear.max(-1, keepdims=True)
    peak = np.float32((PEAK / DIFFUSE_WHITE - KNEE) / (1 - KNEE))
    over = np.clip((top - KNEE) / np.float32(1 - KNEE), 0, peak)
    # Reinhard's curve with a white point: slope 1 at the knee, 1 at the peak
    compressed = over * (1 + over / (peak * peak)) / (1 + over)
    wanted = np.where(top > KNEE, KNEE + (1 - KNEE) * np.minimum(compressed, 1), top)
    return np.asarray(linear * (wanted / np.maximum(top, 1e-6)), np.float32)


def _into_gamut(linear: np.ndarray) -> np.ndarray:
    """Negative values removed by mixing with grey of the same luminance."""
    low = linear.min(-1, keepdims=True)
    if low.min() >= 0:
        return linear
    grey = np.clip(linear @ _to_xyz(BT709)[1].astype(np.float32), 0, 1)[..., None]
    share = np.where(low < 0, grey / np.maximum(grey - low, 1e-6), 1)
    return np.asarray(grey + (linear - grey) * share, np.float32)


@cache
def _to_xyz(primaries: int | Points) -> np.ndarray:
    """[3, 3]: linear RGB to XYZ, white with Y = 1."""
    *rgb, white = chromaticities(primaries)
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] if y else [1.0, 0.0, 0.0] for x, y in rgb]).T
    if primaries == 10:  # XYZ itself
        columns = np.eye(3)
    scale = np.linalg.solve(columns, _xyz(white))
    return np.asarray(columns * scale)


def _xyz(white: tuple[float, float]) -> np.ndarray:
    x, y = white
    return np.array([x / y, 1.0, (1 - x - y) / y])


@cache
def _to_bt709(primaries: int | Points) -> np.ndarray:
    """float32 [3, 3]: linear RGB of some primaries to BT.709, white to white (Bradford)."""
    white = _xyz(chromaticities(primaries)[3])
    gains = (_BRADFORD @ _xyz(_D65)) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return np.asarray(np.linalg.inv(_to_xyz(BT709)) @ adapted @ _to_xyz(primaries), np.float32)


@cache
def _curve(transfer: int | float | str, depth: int) -> np.ndarray:
    """float32 [2^depth]: linear light of every coded value."""
    e = np.linspace(0, 1, 1 << depth)
    if isinstance(transfer, float):
        light = e**transfer
    elif transfer == PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        p = e ** (1 / m2)
        light = 10000 / DIFFUSE_WHITE * (np.maximum(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1)
    elif transfer == HLG:  # ARIB STD-B67, light of the scene
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(e <= 0.5, e * e / 3, (np.exp((e - c) / a) + b) / 12)
    elif transfer == SRGB:
        light = np.where(e <= 0.04045, e / 12.92, ((e + 0.055) / 1.055) ** 2.4)
    elif transfer == 8:
        light = e
    elif transfer == 9:
        light = np.where(e > 0, 10 ** (2 * (e - 1)), 0)
    elif transfer == 10:
        light = np.where(e > 0, 10 ** (2.5 * (e - 1)), 0)
    elif transfer == 17:  # DCDM
        light = e**2.6 * 52.37 / 48
    else:
        light = e ** {4: 2.2, 5: 2.8}.get(transfer if isinstance(transfer, int) else 0, 2.4)
    return light.astype(np.float32)


@cache
def _encoding(curve: str) -> np.ndarray:
    """uint8 [2^16]: coded value of linear light in [0, 1]."""
    light = np.linspace(0, 1, 1 << 16)
    if curve == "srgb":
        code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    else:
        code = light ** (1 / 2.4)
    return np.rint(255 * code).astype(np.uint8)
