#!/usr/bin/env bash
# TIFF with 16 bits a value and a plane for each channel in Pillow.
#
# Expected: RGB of 16 bits is read alike whether its channels are interleaved or lie in separate planes; both are in the
#   TIFF standard, Photoshop and GIS programs write both. Pillow reads 8 bits in planes, and 16 bits interleaved.
# Happens:  16 bits in planes open as RGB of the right size, without an error or a warning, and each byte is taken for a
#   value: every row of the upper half becomes two rows, with a column of noise (the lower bytes) beside each of the
#   picture, and the lower half is gone. FFmpeg and tifffile read the same file rightly.
# Seen with: Pillow 13.0.0; tifffile 2026.3.3 and PyAV 18.1.0 (FFmpeg 8.1.2) for comparison.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 av==18.1.0 \
  numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io
import warnings

import av
import numpy as np
import tifffile
from PIL import Image

warnings.simplefilter("error")
y, x = np.mgrid[0:64, 0:96]
eight = np.stack([x * 2, y * 3, 255 - y], -1).astype(np.uint8)
for bits, picture in ((8, eight), (16, eight.astype(np.uint16) * 257 - 1)):
    for planes in ("contig", "separate"):
        file = io.BytesIO()
        data = picture if planes == "contig" else picture.transpose(2, 0, 1)
        tifffile.imwrite(file, data, photometric="rgb", planarconfig=planes)
        assert np.array_equal(np.squeeze(tifffile.imread(io.BytesIO(file.getvalue()))), data)
        with av.open(io.BytesIO(file.getvalue())) as container:
            assert np.array_equal(next(container.decode(video=0)).to_ndarray(), picture)
        image = Image.open(io.BytesIO(file.getvalue()))
        seen = np.asarray(image).astype(int)
        off = np.abs(seen - (picture >> (bits - 8))).mean()
        print(f"{bits} bits, {planes}: {image.mode} {image.size}, mean error {off:.1f} levels")
        if (bits, planes) != (16, "separate"):
            assert off == 0
            continue
        assert off > 30 and image.size == (96, 64)
        for channel in range(3):  # one byte after the other, until the picture is full
            taken = np.frombuffer(picture[..., channel].tobytes(), np.uint8)[: 96 * 64]
            assert np.array_equal(seen[..., channel], taken.reshape(64, 96))
EOF
echo; echo "RGB of 16 bits in planes: another picture, without a word."
