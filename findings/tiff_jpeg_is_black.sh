#!/usr/bin/env bash
# JPEG-compressed TIFF in FFmpeg.
#
# Expected: a picture that FFmpeg accepts is decoded, or there is an error.
# Happens:  the JPEG-compressed TIFF that Pillow (libtiff) writes opens with the right size and pixel format and decodes
#   without an error or a line in the log, to a picture that is black all over. Other compressions are exact.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2), Pillow 13.0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 pillow==13.0.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io

import av
import numpy as np
from PIL import Image

y, x = np.mgrid[0:64, 0:96]
picture = Image.fromarray(np.stack([x * 2, y * 3, 255 - y], -1).astype(np.uint8))
for compression in ("raw", "packbits", "tiff_lzw", "tiff_deflate", "jpeg"):
    for mode in ("RGB", "L"):
        file = io.BytesIO()
        picture.convert(mode).save(file, format="TIFF", compression=compression)
        right = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB")).astype(int)
        file.seek(0)
        av.logging.set_level(av.logging.INFO)
        with av.logging.Capture() as log, av.open(file) as container:
            frame = next(container.decode(video=0))
            seen = frame.to_ndarray(format="rgb24").astype(int)
        print(f"{compression} {mode}: {frame.width} x {frame.height} {frame.format.name}, mean {seen.mean():.1f} "
              f"(right: {right.mean():.1f}), log {log}")
        assert not log
        if compression == "jpeg":
            assert right.mean() > 80 and not seen.any()
        else:
            assert np.array_equal(seen, right)
EOF
echo; echo "JPEG in TIFF: black, without a word."
