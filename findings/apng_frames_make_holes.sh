#!/usr/bin/env bash
# Half-transparent frames of an animated PNG in Pillow.
#
# Expected: a frame with the blend operation "over" (1 in `fcTL`) is composited on what is there (PNG, third edition,
#   11.3.6.2: as simple alpha compositing). Whatever lies on an opaque picture leaves it opaque: alpha 255, and blue of
#   half opacity on red is half of each.
# Happens:  Pillow pastes the frame with its own alpha as the mask of all four channels, alpha among them, as if that were
#   a colour. The canvas becomes transparent where the frame is half-transparent (alpha 191 of 255), and ever more so
#   with each such frame; on white the picture gets lighter. Besides, the first frame is blended over the picture that
#   the file has for programs that know no animations, and that is no part of the animation. FFmpeg has both right.
# Seen with: Pillow 13.0.0; PyAV 18.1.0 (FFmpeg 8.1.2) for comparison.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io

import av
import numpy as np
from PIL import Image, PngImagePlugin

OVER = PngImagePlugin.Blend.OP_OVER
SIZE = (32, 32)
red, green = (Image.new("RGBA", SIZE, color) for color in ((255, 0, 0, 255), (0, 255, 0, 255)))
# No two are the same: equal ones would be left out when they are written.
glass = [Image.new("RGBA", SIZE, (0, 0, 255 - n, 128)) for n in range(3)]


def animation(first, others, **more):
    file = io.BytesIO()
    first.save(file, "PNG", save_all=True, append_images=others, blend=OVER, disposal=0, duration=100, **more)
    return file.getvalue()


def by_pillow(data):
    found = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(image.n_frames):
            image.seek(number)
            found.append(image.convert("RGBA").getpixel((9, 9)))
    return found


def by_ffmpeg(data):
    with av.open(io.BytesIO(data)) as container:
        return [tuple(f.to_ndarray(format="rgba")[9, 9].tolist()) for f in container.decode(video=0)]


def over(above, below):
    a, b = above[3] / 255, below[3] / 255
    alpha = a + b * (1 - a)
    colors = [(x * a + y * b * (1 - a)) / alpha for x, y in zip(above[:3], below[:3])]
    return (*colors, 255 * alpha)


right = [red.getpixel((0, 0))]
for pane in glass:
    right.append(over(pane.getpixel((0, 0)), right[-1]))
data = animation(red, glass)
found, other = by_pillow(data), by_ffmpeg(data)
for number, (a, b, c) in enumerate(zip(right, found, other, strict=True)):
    print(f"frame {number}: right {np.rint(a).astype(int).tolist()}, Pillow {list(b)}, FFmpeg {list(c)}")
    assert np.abs(np.subtract(a, c)).max() < 2
assert [pixel[3] for pixel in other] == [255] * 4
assert [pixel[3] for pixel in found] == [255, 191, 159, 143]

data = animation(green, glass[:2], default_image=True)
found, other = by_pillow(data), by_ffmpeg(data)
print(f"with a picture for other programs: its first frame in Pillow {list(found[1])}, in FFmpeg {list(other[0])}")
assert other[0] == (0, 0, 255, 128), "nothing lies below the first frame"
assert found[1][1] > 100, "green shows through"
EOF
echo; echo "An opaque animation with holes."
