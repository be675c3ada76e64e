"""sRGB pictures in other colours: what a camera or an HDR master would hold for them. Written from the standards, not
with the reader's own functions."""

from __future__ import annotations

import numpy as np

_XY = {
    1: [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)],
    9: [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)],
    12: [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)],
}


def _matrix(primaries: int) -> np.ndarray:
    """Linear RGB to XYZ, with the white of D65."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in _XY[primaries]]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def linear(picture: np.ndarray) -> np.ndarray:
    """Linear light of uint8 sRGB."""
    e = picture / 255
    return np.where(e <= 0.04045, e / 12.92, ((e + 0.055) / 1.055) ** 2.4)


def _code(x: np.ndarray) -> np.ndarray:
    return np.rint(65535 * np.clip(x, 0, 1)).astype(np.uint16)


def in_primaries(picture: np.ndarray, primaries: int, gamma: float | None = None) -> np.ndarray:
    """uint8 sRGB as uint16 in other primaries; coded as sRGB, or with a power function."""
    x = np.clip(
        (linear(picture) if gamma is None else (picture / 255) ** gamma)
        @ (np.linalg.inv(_matrix(primaries)) @ _matrix(1)).T,
        0,
        1,
    )
    if gamma is not None:
        return _code(x ** (1 / gamma))
    return _code(np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055))


def _bt2020(picture: np.ndarray) -> np.ndarray:
    return np.clip(linear(picture) @ (np.linalg.inv(_matrix(9)) @ _matrix(1)).T, 0, None)


def pq(picture: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """uint8 sRGB as uint16 PQ of BT.2020, white at 203 cd/m2; `gain` makes the light stronger."""
    y = (gain * _bt2020(picture) * 203 / 10000) ** (2610 / 16384)
    return _code(((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32))


def hlg(picture: np.ndarray) -> np.ndarray:
    """uint8 sRGB as uint16 HLG of BT.2020 for a display of 1000 cd/m2, white at 203 cd/m2."""
    display = _bt2020(picture) * 203 / 1000
    luma = np.maximum(display @ np.array([0.2627, 0.6780, 0.0593]), 1e-9)[..., None]
    scene = display * luma ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return _code(np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c))
