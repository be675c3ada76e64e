"""Pictures of linear light in floating-point numbers: OpenEXR, and Radiance's RGBE (`.hdr`), decoded by FFmpeg.

1 is white; what is brighter is cut off. OpenEXR: "OpenEXR File Layout"; its alpha is premultiplied.
"""

from __future__ import annotations

import os
import struct
import warnings
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .color_math import BT709, Points
from .image_color import NUMBERS
from .image_deep import eight_bits

if TYPE_CHECKING:
    from PIL import Image

STARTS = (b"\x76\x2f\x31\x01", b"#?RADIANCE\n")
_EXR = STARTS[0]
_DWAA, _DWAB = 8, 9  # compressions of which FFmpeg (8.1) decodes alpha and single channels to zeros
_LINES = {2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32}  # packed together, by compression
_NO_LINES = 0x1A  # flags: tiles, deep, several parts
_LINEAR = 8  # transfer function by H.273
_MOST_PACKED = 1024  # pixels in a byte, at most
_MAX_ATTRIBUTES = 1000
# planes of FFmpeg's formats, in the order of red, green, blue, alpha
_PLANES = {"gray": (0,), "gbrp": (2, 0, 1), "gbrap": (2, 0, 1, 3)}


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
        compression, points, end = _attributes(head)
        if compression in (_DWAA, _DWAB):
            raise ValueError("an OpenEXR with the lossy compression DWA; save it with ZIP or PIZ")
    values = np.nan_to_num(_decoded(file, most), nan=0.0, posinf=0.0, neginf=0.0)
    if head.startswith(_EXR) and not head[5] & _NO_LINES and end:
        _check_end(file, end, -(-len(values) // _LINES.get(compression, 1)))
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
            pixels = context.width * context.height
            if pixels > most:
                raise ValueError(f"{context.width} x {context.height} pixels are too many")
            if pixels > _MOST_PACKED * size:
                raise ValueError("cut off")
            frame = next(container.decode(video=0))
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
    values = np.stack([r[: frame.height, : frame.width] for r in rows], -1).astype(np.float32)
    return np.repeat(values, 3, -1) if values.shape[2] == 1 else values


def _check_end(file: IO[bytes], at: int, count: int) -> None:
    """See whether all lines of an OpenEXR are in the file, by the table of their places: FFmpeg leaves them black.

    Raises:
        ValueError: if not.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(at)
    places = np.frombuffer(file.read(8 * count), "<u8")
    last = int(places.max(initial=0))
    file.seek(last if last < size else size)
    head = file.read(8)
    if len(places) < count or len(head) < 8 or last + 8 + int.from_bytes(head[4:], "little") > size:
        raise ValueError("cut off")


def _attributes(head: bytes) -> tuple[int, Points | None, int]:
    """Compression and chromaticities of an OpenEXR, and where its header ends; 0 if that is further on."""
    compression, points, at = 0, None, 8
    for _ in range(_MAX_ATTRIBUTES):
        name, _, rest = head[at:].partition(b"\0")
        kind, _, rest = rest.partition(b"\0")
        if not name or not kind or len(rest) < 4:
            return compression, points, 0 if name or at >= len(head) else at + 1
        size = int.from_bytes(rest[:4], "little")
        data = rest[4 : 4 + size]
        if name == b"compression" and data:
            compression = data[0]
        elif name == b"chromaticities" and len(data) == 32:
            x = struct.unpack("<8f", data)
            found: Points = ((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7]))
            area = (x[2] - x[0]) * (x[5] - x[1]) - (x[4] - x[0]) * (x[3] - x[1])
            if all(np.isfinite(x)) and abs(area) > 1e-3 and min(x[1::2]) > -1 and x[7] > 0.01:
                points = found
        at += len(name) + 1 + len(kind) + 1 + 4 + size
    return compression, points, 0
