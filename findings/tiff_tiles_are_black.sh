#!/usr/bin/env bash
# Tiled TIFF in FFmpeg.
#
# Expected: a picture that FFmpeg accepts is decoded, or there is an error.
# Happens:  TIFFs in tiles (as whole-slide scanners, GIS programs and libvips write them) open with the right size and
#   pixel format and decode without an error or a line in the log, to a picture that is black all over. The same samples
#   in strips are exact.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2), tifffile 2026.3.3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io

import av
import numpy as np
import tifffile

y, x = np.mgrid[0:64, 0:96]
rgb = np.stack([x * 2, y * 3, 255 - y], -1)
kinds = {"RGB, 8 bits": rgb.astype(np.uint8), "RGB, 16 bits": (rgb * 257).astype(np.uint16),
         "RGB, 32-bit float": (rgb / 255).astype(np.float32), "grey, 8 bits": rgb[..., 1].astype(np.uint8),
         "grey, 16 bits": (rgb[..., 1] * 257).astype(np.uint16)}
for name, values in kinds.items():
    for tile in (None, (16, 16), (32, 32)):
        file = io.BytesIO()
        tifffile.imwrite(file, values, photometric="rgb" if values.ndim == 3 else "minisblack", tile=tile)
        file.seek(0)
        assert np.array_equal(tifffile.imread(file), values)
        file.seek(0)
        av.logging.set_level(av.logging.INFO)
        with av.logging.Capture() as log, av.open(file) as container:
            frame = next(container.decode(video=0))
            seen = frame.to_ndarray()
        print(f"{name}, {'tiles of %d x %d' % tile if tile else 'strips'}: {frame.width} x {frame.height} "
              f"{frame.format.name}, mean {seen.mean():g} (right: {values.mean():g}), log {log}")
        assert not log
        if tile:
            assert not seen.any()
        else:
            assert np.array_equal(seen.reshape(values.shape), values)
EOF
echo; echo "Tiles in TIFF: black, without a word."
