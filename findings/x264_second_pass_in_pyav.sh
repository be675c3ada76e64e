#!/usr/bin/env bash
# Two passes of x264 in one process with PyAV.
#
# Expected: after the encoder was flushed with encode(None) and the container was closed, the first pass is over: its
#   statistics are whole, and a second encoder with pass=2 opens, as it does with the ffmpeg tool, a process a pass.
# Happens:  x264 gives its statistics their name when its encoder is freed, and closing the container does not free it:
#   while the first stream is still referred to, by a variable that nobody uses any more, the second pass fails to open
#   with "Generic error in an external library". After `del` of container and stream the same lines work.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import gc
from pathlib import Path

import av
import numpy as np

rng = np.random.default_rng(0)
pictures = [np.roll(rng.integers(0, 256, (96, 128, 3), np.uint8) // 4, n, 1) for n in range(12)]


def encode(number, name):
    container = av.open(f"{name}{number}.mkv", "w")
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 128, 96, "yuv420p", 200_000
    stream.options = {"x264-params": f"pass={number}:stats={name}.log"}
    for picture in pictures:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode(None))
    container.close()
    return container, stream


kept = encode(1, "kept")
print("closed, still referred to:", sorted(path.name for path in Path().glob("kept.log*")))
assert not Path("kept.log").exists() and Path("kept.log.temp").exists()
try:
    encode(2, "kept")
except av.error.ExternalError as error:
    print("second pass:", error.strerror)
else:
    raise SystemExit("the second pass opened")

freed = encode(1, "freed")
del freed
gc.collect()
print("freed:", sorted(path.name for path in Path().glob("freed.log*")))
assert Path("freed.log").exists()
encode(2, "freed")
print("second pass: done,", Path("freed2.mkv").stat().st_size, "bytes")
EOF
echo; echo "x264's first pass is over only when its encoder is freed, not when it is flushed and its container closed."
