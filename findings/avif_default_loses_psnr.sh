#!/usr/bin/env bash
# AVIF by Pillow with nothing but a quality: what a new release makes of the same call.
#
# Expected: a release with a newer library makes the same or better AVIF from `save(..., "AVIF", quality=50)`. At equal
#   bytes PSNR stays or rises, and a curve of it can be compared with one of last year.
# Happens:  from Pillow 12.1 (libavif 1.3.0) to 13.0 (libavif 1.4.2) the default changes from tune "ssim" to tune "iq",
#   which follows the eye: at equal bytes the PSNR of a grainy picture falls by 0.3 to 0.6 dB, and at low
#   qualities files are nearly twice as large. `advanced={"tune": "psnr"}` or "ssim" gives the numbers of the release
#   before. A table that says "AVIF" without version and tune says little, and a codec that is measured against the new
#   default by PSNR alone wins half a decibel that it has not earned (by MS-SSIM it loses as much).
# Seen with: Pillow 12.1.0 and 13.0.0, numpy 2.4.6. dB at .3, .5 and .8 bit per pixel: 35.15 36.30 38.01 before, and
#   34.89 35.84 37.40 after; with tune "psnr" 35.11 36.27 37.99.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 12.1.0 13.0.0; do
  "${PYTHON:-python3}" -m venv "$work/$version"
  "$work/$version/bin/pip" install --quiet --disable-pip-version-check "pillow==$version" numpy==2.4.6
done
cat >"$work/curve.py" <<'EOF2'
import io
import sys

import numpy as np
from PIL import Image, features

RATES = (0.3, 0.5, 0.8)


def picture(seed, height=384, width=512):
    """Clouds, discs and grain, more of it on the right."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    layers = []
    for _ in range(3):
        cloud = np.zeros((height, width))
        for octave in range(1, 7):
            rough = random.standard_normal((2**octave * 3 // 4 + 2, 2**octave + 2)).astype(np.float32)
            cloud += np.array(Image.fromarray(rough).resize((width, height), Image.BICUBIC)) / 2 ** (0.8 * octave)
        layers.append(cloud)
    rgb = np.stack(layers, -1)
    rgb = 0.85 * rgb.mean(2, keepdims=True) + 0.15 * rgb
    for _ in range(25):
        column, row, radius = random.integers(width), random.integers(height), random.integers(5, 60)
        rgb[(x - column) ** 2 + (y - row) ** 2 < radius**2] += 0.4 * random.standard_normal(3)
    grain = random.standard_normal((height, width, 1)) * np.where(x > width / 2, 6, 2)[..., None]
    return np.clip(128 + 45 * rgb + grain, 0, 255).astype(np.uint8)


def curve(rgb, **options):
    """PSNR in dB at `RATES`, and bytes at quality 35."""
    points, small = [], 0
    for quality in range(20, 95, 5):
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "AVIF", quality=quality, speed=6, **options)
        back = np.array(Image.open(io.BytesIO(file.getvalue())).convert("RGB")).astype(float)
        size = len(file.getvalue())
        small = size if quality == 35 else small
        points.append((8 * size / rgb[..., 0].size, 10 * np.log10(255**2 / ((back - rgb) ** 2).mean())))
    rates, quality = np.array(points).T
    return [*np.interp(np.log(RATES), np.log(rates), quality), small]


options = {"advanced": {"tune": sys.argv[1]}} if len(sys.argv) > 1 else {}
mean = np.mean([curve(picture(seed), **options) for seed in range(3)], 0)
print(features.version("avif"), *(f"{value:.2f}" for value in mean[:3]), round(mean[3]))
EOF2
cd "$work"
before=$(12.1.0/bin/python curve.py)
after=$(13.0.0/bin/python curve.py)
psnr=$(13.0.0/bin/python curve.py psnr)
echo "libavif, dB at .3 .5 .8 bit per pixel, bytes at quality 35"
printf 'Pillow 12.1.0         %s\nPillow 13.0.0         %s\nPillow 13.0.0 (psnr)  %s\n' "$before" "$after" "$psnr"
python3 - "$before" "$after" "$psnr" <<'EOF2'
import sys

before, after, psnr = ([float(part) for part in line.split()[1:]] for line in sys.argv[1:])
assert all(0.15 < b - a < 1 for a, b in zip(after[:3], before[:3]))
assert after[3] > 1.4 * before[3]
assert all(abs(p - b) < 0.1 for p, b in zip(psnr[:3], before[:3]))
EOF2
echo; echo "The default of AVIF files lost 0.3 to 0.6 dB of PSNR from Pillow 12.1 to 13.0; tune psnr has it."
