#!/usr/bin/env bash
# One Exif object for several files.
#
# Expected: image.save(..., exif=exif) only reads its argument, so the same object can go into an AVIF and a JPEG of the
#   same photo.
# Happens:  saving AVIF takes the orientation out of the Exif object that it was given (it belongs into the container
#   there). Whatever is saved with that object afterwards has lost its orientation and is shown on its side. With the
#   AVIF saved last, or with exif.tobytes(), all is well. JPEG, PNG, WebP and TIFF leave the object alone.
# Seen with: Pillow 13.0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'EOF'
from PIL import Image, ImageOps

ORIENTATION, MAKE = 0x0112, 0x010F
photo = Image.new("RGB", (64, 32), "green")


def new_exif():
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "camera"
    return exif


def shown(name):
    return ImageOps.exif_transpose(Image.open(name)).size


for suffix in ("jpg", "png", "webp", "tif", "avif"):
    exif = new_exif()
    photo.save(f"a.{suffix}", exif=exif)
    print(f"after saving {suffix}: {dict(exif)}")
    assert dict(exif) == ({MAKE: "camera"} if suffix == "avif" else {ORIENTATION: 6, MAKE: "camera"})

exif = new_exif()
photo.save("first.jpg", exif=exif)
photo.save("second.avif", exif=exif)
photo.save("third.jpg", exif=exif)
sizes = [shown(name) for name in ("first.jpg", "second.avif", "third.jpg")]
print("JPEG, AVIF, JPEG with one Exif object are shown as", sizes)
assert sizes == [(32, 64), (32, 64), (64, 32)]
exif = new_exif()
photo.save("fourth.avif", exif=exif.tobytes())
assert exif[ORIENTATION] == 6
EOF
echo; echo "Saving AVIF changed the Exif object of the caller."
