"""ICC profiles as numbers: HDR, whose curves profiles can only hint at, and pictures that LittleCMS would have to be
given with eight bits.

Tags: ICC.1:2022, 9.2 and 10. `cicp` (9.2.17) has the numbers of H.273.
"""

from __future__ import annotations

import struct

from .color_math import HDR_TRANSFERS, SRGB, Point, Points

_HEAD, _TABLE, _ENTRY = 132, 128, 12
MAX_TAGS = 200
_MATRIX = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_D50: Point = (0.34570, 0.35854)
_WHITE = (0.9642, 1.0, 0.8249)  # the same as XYZ
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_NEAR = 2e-3
_LEAST_AREA, _LEAST_GAMMA, _MOST_GAMMA = 1e-3, 0.1, 10.0  # of primaries and curves that can be meant


def hdr_numbers(profile: bytes | None) -> tuple[int, int] | None:
    """Primaries and transfer function of a profile for PQ or HLG, by H.273; None of any other."""
    data = _tags(profile).get(b"cicp", b"")
    if len(data) < 12 or data[9] not in HDR_TRANSFERS:
        return None
    return data[8], data[9]


def matrix_numbers(profile: bytes | None) -> tuple[Points, int | float] | None:
    """Primaries, relative to the white of profiles, and transfer function (13 of sRGB, else a gamma) of a profile of
    RGB that consists of nothing else; None of any other."""
    tags = _tags(profile)
    if profile is None or profile[16:20] != b"RGB " or profile[20:24] != b"XYZ " or b"A2B0" in tags:
        return None
    curves = {_curve(tags.get(name, b"")) for name in _CURVES}
    columns = [_xyz(tags.get(name, b"")) for name in _MATRIX]
    curve = curves.pop()
    white = [sum(values) for values in zip(*columns)]
    if curves or curve is None or any(abs(a - b) > _NEAR for a, b in zip(white, _WHITE)):
        return None
    red, green, blue = ((x / (x + y + z), y / (x + y + z)) for x, y, z in columns)
    area = (green[0] - red[0]) * (blue[1] - red[1]) - (blue[0] - red[0]) * (green[1] - red[1])
    if abs(area) < _LEAST_AREA or not (isinstance(curve, int) or _LEAST_GAMMA < curve < _MOST_GAMMA):
        return None
    return (red, green, blue, _D50), curve


def _tags(profile: bytes | None) -> dict[bytes, bytes]:
    if not isinstance(profile, bytes) or len(profile) < _HEAD:
        return {}
    found = {}
    for n in range(min(int.from_bytes(profile[_TABLE:_HEAD], "big"), MAX_TAGS)):
        entry = profile[_HEAD + _ENTRY * n : _HEAD + _ENTRY * (n + 1)]
        if len(entry) == _ENTRY:
            at, size = struct.unpack(">II", entry[4:])
            found[entry[:4]] = profile[at : at + size]
    return found


def _xyz(tag: bytes) -> tuple[float, float, float]:
    """An XYZ tag; zeros, but for a sum that can be divided by, if it is none that a primary can have."""
    if tag[:4] == b"XYZ " and len(tag) >= 20:
        x, y, z = (value / 65536 for value in struct.unpack(">3i", tag[8:20]))
        if x + y + z > 0 and y > 0:
            return x, y, z
    return 0.0, 0.0, 1e-9


def _numbers(data: bytes) -> list[tuple[int]]:
    return list(struct.iter_unpack(">i", data[: len(data) // 4 * 4]))


def _curve(tag: bytes) -> int | float | None:
    """Transfer function of a curve that is a power, or that of sRGB as a formula; None of a table."""
    if tag[:4] == b"curv" and len(tag) >= 12:
        count = int.from_bytes(tag[8:12], "big")
        if not count:
            return 1.0
        return int.from_bytes(tag[12:14], "big") / 256 if count == 1 and len(tag) >= 14 else None
    if tag[:4] == b"para" and len(tag) >= 16:
        kind, values = int.from_bytes(tag[8:10], "big"), [v / 65536 for (v,) in _numbers(tag[12:32])]
        if kind == 0:
            return values[0]
        if kind == 3 and len(values) == 5:
            if all(abs(a - b) < _NEAR for a, b in zip(values, _SRGB_CURVE)):
                return SRGB
            if values[1] == 1 and not values[2] and not values[4]:  # a power, as libjxl writes it
                return values[0]
    return None
