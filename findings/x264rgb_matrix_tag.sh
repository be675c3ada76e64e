#!/usr/bin/env bash
# A colour tag on lossless RGB video.
#
# Expected: naming a YUV matrix (BT.709) on a stream that stores R, G and B themselves has no effect: the stream has no
#   matrix to name. So it is with FFV1, HEVC and VP9.
# Happens:  with libx264rgb the tag is written instead of "RGB" and is all that tells a decoder what the three planes
#   are. The stream is then read as YUV 4:4:4: white comes back as magenta, although the coding is lossless.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2): white (255, 255, 255) comes back as (255, 172, 255), red as (200, 0, 0).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io

import av
import numpy as np

BT709 = 1
colours = [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 150, 100), (0, 0, 0)]
picture = np.repeat(np.repeat(np.array([colours], np.uint8), 64, 0), 16, 1)


def there_and_back(codec, pixels, container, options, matrix):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as back:
        frame = next(back.decode(video=0))
        seen = frame.to_ndarray(format="rgb24")
        return frame.format.name, [tuple(map(int, seen[32, 8 + 16 * i])) for i in range(6)]


quiet = {"x265-params": "log-level=none:lossless=1"}
for codec, pixels, container, options in (
    ("ffv1", "bgr0", "matroska", {}),
    ("libx265", "gbrp", "mp4", quiet),
    ("libvpx-vp9", "gbrp", "webm", {"lossless": "1"}),
    ("libx264rgb", "rgb24", "mp4", {"qp": "0"}),
):
    plain = there_and_back(codec, pixels, container, options, None)
    tagged = there_and_back(codec, pixels, container, options, BT709)
    print(f"{codec}: untagged {plain[0]} white {plain[1][0]} red {plain[1][1]}; "
          f"tagged BT.709 {tagged[0]} white {tagged[1][0]} red {tagged[1][1]}")
    assert plain[1] == colours
    if codec == "libx264rgb":
        assert tagged[0].startswith("yuv") and tagged[1][:2] == [(255, 172, 255), (200, 0, 0)], tagged
    else:
        assert tagged[1] == colours
EOF
echo; echo "Lossless RGB H.264 with a BT.709 tag: white turns magenta."
