#!/usr/bin/env bash
# A low quality for JPEG XL cuts off three quarters of the picture.
#
# Expected: image.save("x.jxl", quality=15) gives the whole picture, coarsely coded.
# Happens:  if the image was opened from a JPEG file, quality does nothing from 20 to 100 (the JPEG is repacked without
#   loss), and at 15 and less the file holds only the top left quarter of the picture, exact to the pixel and a quarter
#   of the size. The encoder has set itself to code at half resolution, and the repacked JPEG data are at the full one.
#   An image that does not come from a JPEG file is saved whole at any quality.
# Seen with: pillow-jxl-plugin 1.3.8, Pillow 13.0.0: 512 x 256 becomes 256 x 128.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 pillow-jxl-plugin==1.3.8 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import os
import warnings

import numpy as np
import pillow_jxl  # noqa: F401
from PIL import Image

warnings.simplefilter("ignore")
y, x = np.mgrid[0:256, 0:512]
drawn = Image.fromarray(np.stack([x // 2, y, 255 - y], -1).astype(np.uint8))
drawn.save("photo.jpg", quality=95)
photo = np.asarray(Image.open("photo.jpg")).astype(int)


def saved(image, quality):
    image.save("out.jxl", quality=quality)
    return np.asarray(Image.open("out.jxl").convert("RGB")).astype(int), os.path.getsize("out.jxl")


whole, sizes = {}, {}
for quality in (100, 50, 20, 15, 1):
    pixels, size = saved(Image.open("photo.jpg"), quality)
    whole[quality], sizes[quality] = pixels.shape[:2] == (256, 512), size
    part = photo if whole[quality] else photo[:128, :256]
    difference = np.abs(pixels - part).max() if pixels.shape == part.shape else None
    print(f"quality {quality}: {pixels.shape[1]} x {pixels.shape[0]}, largest difference from "
          f"{'the photo' if whole[quality] else 'its top left quarter'}: {difference}")
    assert difference is not None and difference <= 3
assert whole == {100: True, 50: True, 20: True, 15: False, 1: False}
assert sizes[100] == sizes[50] == sizes[20] and sizes[15] == sizes[1]
assert saved(drawn, 15)[0].shape[:2] == (256, 512)
print("the same picture, not opened from a JPEG, at quality 15: 512 x 256")
EOF
echo; echo "Quality 15: only the top left quarter is left."
