#!/usr/bin/env bash
# Multi-scale structural similarity by torchmetrics on pictures of 161 to 175 pixels.
#
# Expected: five scales halve a picture four times, and the smallest one must hold the window of 11 pixels: a side of
#   more than 160 pixels will do (161 / 16 is above 10), as the library's own message says, "must be larger than 160".
# Happens:  sides of 161 to 175 pixels are refused, with that very message. It divides by 16 and rounds down, and wants
#   the rest to be more than 10, so the first side that works is 176. A table of small pictures loses whole rows.
# Seen with: torchmetrics 1.9.0 (torch 2.11.0).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0 torchmetrics==1.9.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

refused, message = [], ""
for side in range(150, 190):
    picture = torch.rand(1, 3, side, 200, generator=torch.Generator().manual_seed(side))
    try:
        value = ms_ssim(picture, picture, data_range=1.0)
    except ValueError as error:
        refused.append(side)
        message = str(error)
    else:
        assert abs(float(value) - 1) < 1e-5
print("refused:", refused[0], "to", refused[-1], "pixels")
print("message:", message)
assert refused == list(range(150, 176))
assert message.endswith("must be larger than 160.")
EOF
echo; echo "MS-SSIM of torchmetrics wants 176 pixels and says 161."
