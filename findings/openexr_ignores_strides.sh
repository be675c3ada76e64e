#!/usr/bin/env bash
# Flipped, transposed or cropped arrays written with the Python package of OpenEXR.
#
# Expected: a NumPy array is written as it is, whether it is contiguous in memory or a view: a flipped or cropped picture
#   (`x[::-1]`, `x[8:24, 8:40]`), or what comes from a tensor [C, H, W] by `permute(1, 2, 0).numpy()`. Pillow, tifffile
#   and imageio do that, and the file has the shape of the view.
# Happens:  strides are ignored: the values that lie in memory from the first one on are written, in the order in which
#   they lie there. A flipped picture begins with its last row and goes on behind the end of the array; a cropped one is
#   sheared; planes become interleaved colours. There is no error and no warning, size and channels are right.
# Seen with: OpenEXR 3.5.3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check OpenEXR==3.5.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import numpy as np
import OpenEXR

HEADER = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}


def written_and_read(picture):
    OpenEXR.File(dict(HEADER), {"RGB": picture}).write("a.exr")
    with OpenEXR.File("a.exr") as file:
        return file.channels()["RGB"].pixels.copy()


# Behind the picture lie 1000 rows of sevens, so that nothing outside of the array is read.
memory = np.full((1064, 96, 3), 7, np.float32)
memory[:64] = np.random.default_rng(0).random((64, 96, 3), np.float32)
picture = memory[:64]
planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
views = {"whole": picture, "planes as [H, W, C]": planes.transpose(1, 2, 0), "mirrored": picture[:, ::-1],
         "flipped": picture[::-1], "cropped": picture[8:24, 8:40], "every second": picture[::2, ::2]}
for name, view in views.items():
    copy = np.ascontiguousarray(view)
    assert np.array_equal(written_and_read(copy), copy)
    found = written_and_read(view)
    same = float((found == view).mean())
    print(f"{name}: {found.shape}, {same:.0%} of the values are right")
    assert found.shape == view.shape
    if view.flags.c_contiguous:
        assert same == 1
        continue
    assert same < 0.3
    start = (view.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // 4
    lies = planes.ravel() if name.startswith("planes") else memory.ravel()[start:]
    lies = lies[: view.size]
    if len(lies) == view.size:
        assert np.array_equal(found.ravel(), lies), "the values that lie in memory"
EOF
echo; echo "A view is written as another picture, without a word."
