#!/usr/bin/env bash
# The sample format of TIFF in FFmpeg.
#
# Expected: samples are read as what tag 339 (SampleFormat) says, or there is an error.
# Happens:  the number of bits alone decides. Half-precision floats, grey and RGB, are taken for integers of 16 bits: 1.0
#   (0x3C00) becomes 15360 of 65535, a dark picture. RGB of 32-bit unsigned integers is taken for floats: what is white
#   (0xFFFFFFFF) is not a number. No error, no line in the log. 16-bit integers and 32-bit floats are exact.
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

white = np.ones((64, 96, 3))
kinds = {"uint16": (white * 65535).astype(np.uint16), "float32": white.astype(np.float32),
         "float16": white.astype(np.float16), "uint32": (white * 4294967295).astype(np.uint32)}
for name, values in kinds.items():
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb")
    file.seek(0)
    assert np.array_equal(tifffile.imread(file), values)
    file.seek(0)
    av.logging.set_level(av.logging.INFO)
    with av.logging.Capture() as log, av.open(file) as container:
        frame = next(container.decode(video=0))
        seen = frame.to_ndarray()
    print(f"white as {name}: {frame.format.name}, first value {seen.flat[0]}, log {log}")
    assert not log
    if name == "float16":
        assert (seen == 15360).all()
    elif name == "uint32":
        assert np.isnan(seen).all()
    else:
        assert np.array_equal(seen, values)
EOF
echo; echo "White is dark grey, or not a number, without a word."
