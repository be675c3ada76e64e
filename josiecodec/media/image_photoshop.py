"""Files of Photoshop (PSD and PSB): the merged picture, of 8, 16 and 32 bits, of greys, RGB, CMYK and Lab.

Layout: "Adobe Photoshop File Formats Specification". Pillow reads 8 bits alone, takes any fourth channel for
transparency, and leaves in the white that Photoshop puts behind what is transparent.
"""

from __future__ import annotations

import os
import struct
import warnings
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from .color_math import BT709
from .image_color import NUMBERS
from .image_deep import eight_bits

if TYPE_CHECKING:
    from PIL import Image

_START, _PSD, _PSB = b"8BPS", 1, 2
_GREY, _RGB, _CMYK, _DUOTONE, _LAB = 1, 3, 4, 8, 9
_COLORS = {_GREY: 1, _DUOTONE: 1, _RGB: 3, _CMYK: 4, _LAB: 3}
_LEFT_TO_PILLOW = (0, 2)  # bitmaps and palettes
_ICC, _VERSION = 1039, 1057  # resources
_LONG_LENGTHS = (b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph")  # of eight bytes in PSB
_LAYERS, _TRANSPARENT = (b"Layr", b"Lr16", b"Lr32"), (b"Mtrn", b"Mt16", b"Mt32")
_RAW, _RLE = 0, 1
_MOST_PACKED = 64  # bytes that one packed byte can stand for
_MAX_PARTS, _MAX_CHANNELS = 10_000, 56
_LINEAR = 8  # transfer function by H.273, of files of 32 bits


@dataclass(frozen=True)
class _Head:
    """What comes before the pixels."""

    large: bool
    channels: int
    height: int
    width: int
    depth: int
    mode: int
    profile: bytes | None
    merged: bool
    transparent: bool
    pixels: int


def photoshop(file: IO[bytes], head: bytes, name: str, most: int) -> Image.Image | None:
    """The merged picture of a file of Photoshop; None of another file, and of what Pillow reads right.

    Args:
        file: of the picture.
        head: its first bytes.
        name: for messages.
        most: pixels that it may have.

    Raises:
        ValueError: if it has no merged picture, or one of another kind.
    """
    if not head.startswith(_START) or len(head) < 26:
        return None
    version, mode = (int.from_bytes(head[at : at + 2], "big") for at in (4, 24))
    if version not in (_PSD, _PSB) or (version == _PSD and mode in _LEFT_TO_PILLOW):
        return None
    found = _read_head(file, head)
    if not found.height or not found.width:
        raise ValueError("no pixels in it")
    if found.height * found.width > most:
        raise ValueError(f"{found.width} x {found.height} pixels are too many")
    colors = _COLORS.get(found.mode, 0)
    if found.depth not in (8, 16, 32) or not colors <= found.channels <= _MAX_CHANNELS or not colors:
        raise ValueError("a file of Photoshop of a kind that is not known; save it as TIFF or PNG")
    if not found.merged:
        raise ValueError("a file of Photoshop without its merged picture; save it with 'maximize compatibility'")
    alpha = found.transparent and found.channels > colors and found.mode != _CMYK
    if found.channels > colors + alpha:
        warnings.warn(f"{name}: channels that are neither colours nor alpha are left out", stacklevel=5)
    return _picture(_pixels(file, found, colors + alpha), found, colors, name)


def _read_head(file: IO[bytes], head: bytes) -> _Head:
    version, channels, height, width, depth, mode = struct.unpack(">H6xHIIHH", head[4:26])
    large = version == _PSB
    at = 30 + int.from_bytes(head[26:30], "big")
    file.seek(at)
    resources = at + 4, int.from_bytes(file.read(4), "big")
    profile, merged = _resources(file, *resources)
    at = sum(resources)
    file.seek(at)
    long = 8 if large else 4
    layers = at + long, int.from_bytes(file.read(long), "big")
    transparent = _is_transparent(file, *layers, large)
    return _Head(large, channels, height, width, depth, mode, profile, merged, transparent, sum(layers))


def _resources(file: IO[bytes], at: int, size: int) -> tuple[bytes | None, bool]:
    """The ICC profile, and whether the merged picture is one."""
    profile, merged, end = None, True, at + size
    for _ in range(_MAX_PARTS):
        file.seek(at)
        begin = file.read(7)
        if at >= end or begin[:4] != b"8BIM":
            break
        at += 6 + (begin[6] + 2) // 2 * 2
        file.seek(at)
        length, kind = int.from_bytes(file.read(4), "big"), int.from_bytes(begin[4:6], "big")
        if kind == _ICC:
            profile = file.read(min(length, end - at)) or None
        elif kind == _VERSION:
            merged = file.read(5)[4:] != b"\0"
        at += 4 + length + length % 2
    return profile, merged


def _is_transparent(file: IO[bytes], at: int, size: int, large: bool) -> bool:
    """Whether the first channel behind the colours is the transparency of the merged picture: the number of layers is
    negative then, or a block says so."""
    end, long = at + size, 8 if large else 4
    if size < long + 2:
        return False
    file.seek(at)
    length = int.from_bytes(file.read(long), "big")
    if length and int.from_bytes(file.read(2), "big", signed=True) < 0:
        return True
    at += long + length
    file.seek(at)
    at += 4 + int.from_bytes(file.read(4), "big")  # the mask of all layers
    for _ in range(_MAX_PARTS):
        file.seek(at)
        begin = file.read(8)
        if at + 12 > end or begin[:4] not in (b"8BIM", b"8B64"):
            return False
        name, wide = begin[4:], 8 if large and begin[4:] in _LONG_LENGTHS else 4
        length = int.from_bytes(file.read(wide), "big")
        if name in _TRANSPARENT or (name in _LAYERS and int.from_bytes(file.read(2), "big", signed=True) < 0):
            return True
        at += 8 + wide + (length + 3) // 4 * 4
    return False


def _pixels(file: IO[bytes], head: _Head, channels: int) -> np.ndarray:
    """Values [H, W, C] as they are stored: uint8, uint16, or float32."""
    from PIL import Image

    left = file.seek(0, os.SEEK_END) - head.pixels - 2
    file.seek(head.pixels)
    coding, row = int.from_bytes(file.read(2), "big"), head.width * head.depth // 8
    kind = {8: ">u1", 16: ">u2", 32: ">f4"}[head.depth]
    if coding == _RAW:
        sizes = [row * head.height] * channels
    elif coding == _RLE:
        width = 4 if head.large else 2
        table = file.read(width * head.channels * head.height)
        if len(table) < width * head.channels * head.height:
            raise ValueError("cut off")
        lengths = np.frombuffer(table, f">u{width}").astype(np.int64)
        sizes = lengths.reshape(head.channels, head.height).sum(1)[:channels].tolist()
    else:
        raise ValueError("a file of Photoshop whose pixels are packed in a way that is not known")
    if sum(sizes) > left or any(row * head.height > _MOST_PACKED * size for size in sizes):
        raise ValueError("cut off")
    planes = np.empty((channels, head.height, head.width), kind[1:])
    for plane, size in zip(planes, sizes):
        data = file.read(size)
        if coding == _RLE:
            data = Image.frombytes("L", (row, head.height), data, "packbits", "L").tobytes()
        plane[:] = np.frombuffer(data, kind).reshape(head.height, head.width)
    return planes.transpose(1, 2, 0)


def _picture(values: np.ndarray, head: _Head, colors: int, name: str) -> Image.Image:
    from PIL import Image

    about = Image.new("RGB", (1, 1))
    about.format = "PSD"
    if head.profile:
        about.info["icc_profile"] = head.profile
    if head.mode in (_CMYK, _LAB):
        return _with(_other_colors(values, head), about)
    if head.depth == 32:
        values, about.info[NUMBERS] = _finite(values, colors, name), (BT709, _LINEAR)
    if values.shape[2] > colors:
        values = _without_white(values)
    if head.depth == 8:
        grey = values[..., 0] if colors == 1 else values
        return _with(Image.fromarray(np.ascontiguousarray(grey if values.shape[2] == 1 else values)), about)
    if values.shape[2] == 1 and head.depth == 16:
        return _with(Image.fromarray(np.ascontiguousarray(values[..., 0])), about)
    spread = np.concatenate([np.repeat(values[..., :1], 3, -1), values[..., 1:]], -1) if colors == 1 else values
    return eight_bits(spread, about)


def _with(image: Image.Image, about: Image.Image) -> Image.Image:
    image.info, image.format = about.info, about.format
    return image


def _other_colors(values: np.ndarray, head: _Head) -> Image.Image:
    """CMYK, which is stored inverted, or Lab, in eight bits."""
    from PIL import Image

    if head.depth == 32:
        raise ValueError("a file of Photoshop of 32 bits that is not RGB")
    if head.depth == 16:
        values = np.rint(values / np.float32(257)).astype(np.uint8)
    if head.mode == _CMYK:
        return Image.fromarray(np.ascontiguousarray(255 - values[..., :4]), "CMYK")
    lab = values[..., :3].copy()
    lab[..., 1:] ^= 128  # Pillow has them signed
    return Image.frombytes("LAB", (head.width, head.height), lab.tobytes())


def _finite(values: np.ndarray, colors: int, name: str) -> np.ndarray:
    """Linear light as numbers of 16 bits; 1 is white."""
    numbers = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    high = float(numbers[..., :colors].max(initial=0))
    if high > 1.001:
        warnings.warn(f"{name}: values up to {high:g}, what is above 1 is cut off", stacklevel=6)
    scaled: np.ndarray = np.rint(numbers.clip(0, 1) * np.float32(65535)).astype(np.uint16)
    return scaled


def _without_white(values: np.ndarray) -> np.ndarray:
    """Colours with transparency, without the white that they are stored on."""
    full = np.float32(np.iinfo(values.dtype).max)
    opacity = values[..., -1:] / full
    colors = full - (full - values[..., :-1]) / np.maximum(opacity, 1 / full)
    return np.concatenate([np.rint(colors.clip(0, full)).astype(values.dtype), values[..., -1:]], -1)
