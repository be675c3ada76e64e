#!/usr/bin/env bash
# Saving a shrunk or painted-over JPEG as JPEG XL with the Pillow plugin.
#
# Expected: image.save("x.jxl") writes the pixels that the image object holds, as for every other format.
# Happens:  if the object was opened from a JPEG file and only changed in place (thumbnail, paste, drawing on it), the
#   plugin takes the untouched JPEG file from disk and repacks that. A thumbnail of 64 x 32 is saved at the full
#   512 x 256; a picture painted black all over shows what was painted over. (It warns that it repacks a JPEG without
#   loss, not that changes are dropped.) A copy (resize, convert, crop) is saved as it is, and lossless_jpeg=False
#   gives what was expected.
# Seen with: pillow-jxl-plugin 1.3.8, Pillow 13.0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 pillow-jxl-plugin==1.3.8 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import warnings

import numpy as np
import pillow_jxl  # noqa: F401
from PIL import Image

warnings.simplefilter("ignore")
y, x = np.mgrid[0:256, 0:512]
Image.fromarray(np.stack([x // 2, y, 255 - y], -1).astype(np.uint8)).save("photo.jpg", quality=95)

small = Image.open("photo.jpg")
small.thumbnail((64, 64))
small.save("small.jxl")
small.save("small.webp")
small.save("small_right.jxl", lossless_jpeg=False)
sizes = {name: Image.open(name).size for name in ("small.webp", "small.jxl", "small_right.jxl")}
print("thumbnail in memory:", small.size, "saved:", sizes)
assert sizes == {"small.webp": (64, 32), "small.jxl": (512, 256), "small_right.jxl": (64, 32)}

hidden = Image.open("photo.jpg")
hidden.paste((0, 0, 0), (0, 0, 512, 256))
hidden.save("hidden.jxl")
means = np.asarray(hidden).mean(), np.asarray(Image.open("hidden.jxl")).mean()
print("painted black, mean in memory and in the file: %.1f, %.1f" % means)
assert means[0] == 0 and means[1] > 120

copied = Image.open("photo.jpg").resize((64, 32))
copied.save("copied.jxl")
print("resize() instead of thumbnail():", Image.open("copied.jxl").size)
assert Image.open("copied.jxl").size == (64, 32)
EOF
echo; echo "The JPEG XL file holds the JPEG from disk, not the picture in memory."
