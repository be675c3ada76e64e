#!/usr/bin/env bash
# PNG of grey with 2 or 4 bits in which one grey is transparent, in Pillow.
#
# Expected: the `tRNS` chunk of a grey PNG names the value that is transparent, in the bits of the file (PNG, third
#   edition, 11.3.1.1). Optimizers (oxipng, optipng, zopflipng) make such files of icons and masks: with 16 greys, 4 bits
#   and this chunk are the smallest form. `convert("RGBA")` gives alpha 0 where that value stands, as it does for files
#   of 1, 8 and 16 bits.
# Happens:  Pillow spreads the pixels of 2 and 4 bits to 0 to 255, and leaves the value of the chunk as it is: 5 of 15,
#   while its pixels are 85. Nothing is equal to that, so that the picture is opaque, without a word; only black (0) is
#   found. pypng gives the transparency.
# Seen with: Pillow 13.0.0; pypng 0.20220715.0 for comparison.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 pypng==0.20220715.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io
import struct
import warnings
import zlib

import numpy as np
import png
from PIL import Image

warnings.simplefilter("error")
HEIGHT, WIDTH = 16, 32


def written(values, depth, hidden):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :].reshape(HEIGHT, -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"tRNS", struct.pack(">H", hidden))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


for depth in (1, 2, 4, 8):
    top = 2**depth - 1
    values = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) // 3) % (top + 1)
    for hidden in sorted({0, 1, top // 3, top}):
        data = written(values, depth, hidden)
        right = values == hidden
        image = Image.open(io.BytesIO(data)).convert("RGBA")
        found = np.asarray(image)[..., 3] == 0
        assert np.array_equal(np.asarray(image)[..., 0], values * 255 // top), "the greys are right"
        rows = list(png.Reader(bytes=data).asRGBA8()[2])
        other = np.array([list(row) for row in rows]).reshape(HEIGHT, WIDTH, 4)[..., 3] == 0
        print(f"{depth} bits, value {hidden}: {right.sum()} transparent pixels; Pillow has {found.sum()}, "
              f"pypng {other.sum()}")
        assert np.array_equal(other, right)
        if depth in (2, 4) and hidden:
            assert not found.any()
        else:
            assert np.array_equal(found, right)
EOF
echo; echo "A mask that hides nothing."
