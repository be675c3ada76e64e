"""Pictures of linear light in floating-point numbers: OpenEXR, and Radiance's RGBE (`.hdr`), decoded by FFmpeg.

1 is white; what is brighter is cut off. OpenEXR: "OpenEXR File Layout"; its alpha is premultiplied.
"""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .color_math import BT709, Points
from .image_color import NUMBERS
from .image_deep import eight_bits

if TYPE_CHECKING:
    from PIL import Image

STARTS = (b"\x76\x2f\x31\x01", b"#?RADIANCE\n", b"#?RGBE\n")
_EXR = STARTS[0]
_DWAA, _DWAB = 8, 9  # compressions of which FFmpeg (8.1) decodes alpha and single channels to zeros
_LINES = {3: 16, 4: 32, 5: 16, 6: 32, 7: 32}  # packed together, by compression; of others one
_TILED, _NOT_PLAIN = 0x02, 0x18  # flags: tiles; deep, several parts
_FRONT = 1 << 20  # bytes within which the header of an OpenEXR ends
_LINEAR = 8  # transfer function by H.273
_MOST_PACKED = 1024  # pixels in a byte, at most
_MAX_ATTRIBUTES = 1000
# planes of FFmpeg's formats, in the order of red, green, blue, alpha
_PLANES = {"gray": (0,), "ya": (0,), "gbrp": (2, 0, 1), "gbrap": (2, 0, 1, 3)}
_MAX_SIDE = 1 << 20
_SIZE = re.compile(rb"([-+])Y +([0-9]{1,9}) +([-+])X +([0-9]{1,9})\n")  # of Radiance, behind an empty line


@dataclass(frozen=True)
class _Header:
    """What the header of an OpenEXR says. Windows are left, top, right, bottom, all inside.

    Attributes:
        compression: its number.
        points: chromaticities, if they can be used.
        data: window of the pixels that are stored.
        display: window of the picture.
        display_at: byte where that is stored.
        tile: width and height, if there are tiles.
        end: byte behind it; 0 if that is not found.
    """

    compression: int = 0
    points: Points | None = None
    data: tuple[int, ...] = ()
    display: tuple[int, ...] = ()
    display_at: int = 0
    tile: tuple[int, int] | None = None
    end: int = 0


def light_picture(file: IO[bytes], head: bytes, name: str, most: int) -> Image.Image | None:
    """A picture of linear light in sRGB; None of any other file.

    Args:
        file: of the picture.
        head: its first bytes.
        name: for messages.
        most: pixels that it may have.

    Raises:
        ValueError: if it cannot be decoded.
    """
    from PIL import Image

    if not head.startswith(STARTS):
        return None
    about = Image.new("RGB", (1, 1))
    about.format = "EXR" if head.startswith(_EXR) else "HDR"
    points: Points | None = None
    if head.startswith(_EXR):
        file.seek(0)
        found = _header(file.read(_FRONT))
        points = found.points
        if found.compression in (_DWAA, _DWAB):
            raise ValueError("an OpenEXR with the lossy compression DWA; save it with ZIP or PIZ")
        if not head[5] & _NOT_PLAIN and found.end and found.data:
            _check_end(file, found, bool(head[5] & _TILED))
        decoded = _in_window(file, found, most)
    else:
        decoded, points = _radiance(file, most)
    values = np.nan_to_num(decoded, nan=0.0, posinf=0.0, neginf=0.0)
    if values.shape[2] == 4:
        opacity = values[..., 3:].clip(0, 1)
        values = np.concatenate([values[..., :3] / np.maximum(opacity, 1e-6) * (opacity > 0), opacity], -1)
    high = float(values[..., :3].max(initial=0))
    if high > 1.001:
        warnings.warn(f"{name}: values up to {high:g}, what is above 1 is cut off", stacklevel=5)
    about.info[NUMBERS] = points or BT709, _LINEAR
    return eight_bits(np.rint(values.clip(0, 1) * np.float32(65535)).astype(np.uint16), about)


def _decoded(file: IO[bytes], most: int) -> np.ndarray:
    """[H, W, 3 or 4] float32."""
    import av

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    container: Any
    try:
        with av.open(file) as container:
            context = container.streams.video[0].codec_context
            _check_size(context.width, context.height, size, most)
            frame = next(container.decode(video=0))
    except av.PatchWelcomeError:
        raise ValueError("channels that FFmpeg does not know; save it with R, G, B and A, or Y") from None
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise ValueError(str(getattr(error, "strerror", None) or "no picture in it")) from None
    form = frame.format.name
    layout, kind = next(
        ((layout, form.removeprefix(layout)) for layout in _PLANES if form.startswith(layout)), ("", "")
    )
    if kind not in ("f32le", "f16le"):
        raise ValueError(f"floating-point values in a form that is not known ({form})")
    width = 4 if kind == "f32le" else 2
    planes = [frame.planes[number] for number in _PLANES[layout]]
    rows = [np.frombuffer(p, f"<f{width}").reshape(-1, p.line_size // width) for p in planes]
    if layout == "ya":  # of one plane
        rows = [rows[0][:, ::2], rows[0][:, 1::2]]
    values = np.stack([r[: frame.height, : frame.width] for r in rows], -1).astype(np.float32)
    return np.concatenate([np.repeat(values[..., :1], 3, -1), values[..., 1:]], -1) if values.shape[2] < 3 else values


def _check_size(width: int, height: int, size: int, most: int) -> None:
    """See whether a file of so many bytes may be so large a picture.

    Raises:
        ValueError: if not.
    """
    if width * height > most:
        raise ValueError(f"{width} x {height} pixels are too many")
    if width * height > _MOST_PACKED * size:
        raise ValueError("cut off")


def _radiance(file: IO[bytes], most: int) -> tuple[np.ndarray, Points | None]:
    """What `_decoded` gives of a picture of Radiance, and its primaries. FFmpeg (8.1) knows one of its two first lines,
    takes X, Y and Z for red, green and blue, and does not turn what is stored from below or from the right."""
    file.seek(0)
    data = file.read()
    head = data[:_FRONT].partition(b"\n\n")[0]
    size = _SIZE.match(data, len(head) + 2)
    told = dict(line.partition(b"=")[::2] for line in head.split(b"\n"))
    if told.get(b"FORMAT", b"32-bit_rle_rgbe").strip() != b"32-bit_rle_rgbe":
        raise ValueError("a picture of Radiance that is not RGBE; save it as RGBE")
    if size is None:
        raise ValueError("a picture of Radiance without its size, or stored by columns")
    up, height, left, width = size.groups()
    _check_size(int(width), int(height), len(data), most)
    start = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (int(height), int(width))
    values = _decoded(io.BytesIO(start + data[size.end() :]), most)
    values = values[:: -1 if up == b"+" else 1, :: -1 if left == b"-" else 1]
    try:
        numbers = [float(number) for number in told.get(b"PRIMARIES", b"").split()]
    except ValueError:
        numbers = []
    return values, _points(numbers) if len(numbers) == 8 else None


def _in_window(file: IO[bytes], header: _Header, most: int) -> np.ndarray:
    """What `_decoded` gives of an OpenEXR. FFmpeg (8.1) takes the left top of the display window for 0, 0: the picture
    would be moved, or cut off."""
    left, top, right, bottom = header.display or (0, 0, 0, 0)
    _check_size(right + 1, bottom + 1, file.seek(0, os.SEEK_END), most)
    if not left and not top:
        return _decoded(file, most)
    if min(left, top) < 0:
        raise ValueError("an OpenEXR whose display window begins before 0, 0")
    file.seek(0)
    data = bytearray(file.read())
    data[header.display_at : header.display_at + 16] = struct.pack("<4i", 0, 0, right, bottom)
    return _decoded(io.BytesIO(bytes(data)), most)[top:, left:]


def _check_end(file: IO[bytes], header: _Header, tiled: bool) -> None:
    """See whether all lines or tiles of an OpenEXR are in the file, by the table of their places: FFmpeg leaves them
    black. Of several sizes of a picture those of the first, the largest, are looked at.

    Raises:
        ValueError: if not.
    """
    left, top, right, bottom = header.data
    width, height = right - left + 1, bottom - top + 1
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise ValueError("a window without pixels, or of too many")
    if tiled and header.tile is None:
        return
    across, down = header.tile if tiled and header.tile else (width, _LINES.get(header.compression, 1))
    count, front = -(-width // across) * -(-height // down), 20 if tiled else 8
    size = file.seek(0, os.SEEK_END)
    if count * 8 > size:
        raise ValueError("cut off")
    file.seek(header.end)
    places = np.frombuffer(file.read(8 * count), "<u8")
    last = int(places.max(initial=0))
    file.seek(last if last < size else size)
    head = file.read(front)
    if len(places) < count or len(head) < front or last + front + int.from_bytes(head[-4:], "little") > size:
        raise ValueError("cut off")


def _header(head: bytes) -> _Header:
    """What is known of an OpenEXR by its first bytes."""
    header, at = _Header(), 8
    for _ in range(_MAX_ATTRIBUTES):
        name, kind, *_ = *head[at : at + 512].split(b"\0", 2), b"", b""
        if not name or not kind:
            return header if name or at >= len(head) else replace(header, end=at + 1)
        at += len(name) + len(kind) + 6
        size = int.from_bytes(head[at - 4 : at], "little")
        header = _with_attribute(header, name, head[at : at + size], at)
        at += size
    return header


def _with_attribute(header: _Header, name: bytes, data: bytes, at: int) -> _Header:
    """A header with one attribute more, whose data are at a byte of the file."""
    if name == b"compression" and data:
        return replace(header, compression=data[0])
    if name == b"dataWindow" and len(data) == 16:
        return replace(header, data=struct.unpack("<4i", data))
    if name == b"displayWindow" and len(data) == 16:
        return replace(header, display=struct.unpack("<4i", data), display_at=at)
    if name == b"tiles" and len(data) == 9:
        across, down = struct.unpack("<2I", data[:8])
        return replace(header, tile=(across, down) if across and down else None)
    if name == b"chromaticities" and len(data) == 32:
        return replace(header, points=_points(struct.unpack("<8f", data)))
    return header


def _points(x: Sequence[float]) -> Points | None:
    """Red, green, blue and white, from x and y of each; None if these cannot be."""
    area = (x[2] - x[0]) * (x[5] - x[1]) - (x[4] - x[0]) * (x[3] - x[1])
    if not (all(np.isfinite(x)) and abs(area) > 1e-3 and min(x[1::2]) > -1 and x[7] > 0.01):
        return None
    return (x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7])
