#!/usr/bin/env bash
# Orientation given to a HEIF file as a Pillow Exif object.
#
# Expected: image.save("x.heic", exif=exif) with exif an Image.Exif object, the way Pillow documents it, keeps the
#   orientation that the object holds, as JPEG, WebP and AVIF do. (pillow-heif turns it into a transformation of
#   the container, so the picture comes back upright.)
# Happens:  the turn is lost. The object is stored as an EXIF block, but only EXIF given as bytes is looked at for the
#   transformation; on reading, the tag is set to 1, since a HEIF reader must not turn by it. The picture lies on its
#   side and says that it is upright. exif=exif.tobytes() works.
# Seen with: pillow-heif 1.8.1, Pillow 13.0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 pillow-heif==1.8.1
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import pillow_heif
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
picture = Image.new("RGB", (128, 64), "blue")
picture.paste("red", (0, 0, 64, 32))  # top left; a turn by 90 degrees clockwise brings it to the top right


def sideways():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    return exif


def shown(name):
    upright = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    ends = {"left": 8, "right": upright.width - 9}
    red = [side for side, at in ends.items() if upright.getpixel((at, 8))[0] > 128]
    return upright.size, "".join(red)


got = {}
for name in ("object.jpg", "object.webp", "object.avif", "object.heic", "bytes.heic"):
    picture.save(name, exif=sideways().tobytes() if "bytes" in name else sideways())
    got[name] = shown(name)
    size, red = got[name]
    print(f"{name}: shown as {size}, red at the top {red}, tag {Image.open(name).getexif().get(0x0112)}")
turned, not_turned = ((64, 128), "right"), ((128, 64), "left")
assert got == {name: not_turned if name == "object.heic" else turned for name in got}
assert Image.open("object.heic").getexif()[0x0112] == 1
EOF
echo; echo "Exif as an object: the turn is lost; the same as bytes: kept."
