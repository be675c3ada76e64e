#!/usr/bin/env bash
# Visual information fidelity (VIF) of pictures in [0, 1] by torchmetrics.
#
# Expected: as with PSNR and SSIM, pictures in [0, 1] have the value that the same pictures have in 0 to 255, or are
#   refused, or the range is asked for.
# Happens:  the noise of the eye in the measure is a variance of 2 steps squared of 255, whatever the pictures are.
#   Beside pictures in [0, 1], what networks put out and what the other metrics of the package take, it is 65025 times
#   too strong and drowns everything, so that little but a ratio of contrasts is left: strong grain has 0.97 where 0.20
#   is right and passes half the resolution, 0.77 in place of 0.59; a fifth more contrast gives 1.37 in place of 1.00.
#   The order of two codecs can turn round. There is no argument for the range; `255 * x` on both sides gives the right
#   value.
# Seen with: torchmetrics 1.9.0 (torch 2.11.0).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0 torchmetrics==1.9.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF2'
import torch
from torch.nn.functional import interpolate
from torchmetrics.functional.image import visual_information_fidelity as vif

# A picture of clouds, in 0 to 255: noise of several scales.
random = torch.Generator().manual_seed(0)
picture = torch.zeros(1, 1, 256, 256)
for octave in range(2, 9):
    rough = torch.randn(1, 1, 2**octave, 2**octave, generator=random)
    picture += 60 / 2 ** (0.6 * octave) * interpolate(rough, (256, 256), mode="bicubic", align_corners=False)
picture = (128 + 2 * picture).clamp(0, 255)

changed = {"a fine grain of 5": picture + 5 * torch.randn(picture.shape, generator=random)}
changed["strong grain of 25"] = picture + 25 * torch.randn(picture.shape, generator=random)
small = interpolate(picture, (128, 128), mode="area")
changed["half the resolution"] = interpolate(small, (256, 256), mode="bilinear", align_corners=False)
changed["contrast x 1.2"] = 128 + 1.2 * (picture - 128)
found = {}
for name, other in changed.items():
    other = other.clamp(0, 255)
    found[name] = vif(other, picture).item(), vif(other / 255, picture / 255).item()
    print(f"{name}: VIF {found[name][0]:.3f} in 0 to 255, {found[name][1]:.3f} in [0, 1]")
grain, half = found["strong grain of 25"], found["half the resolution"]
assert grain[0] < 0.3 and half[0] > 0.5 and grain[1] > 0.9 > half[1]
assert abs(found["contrast x 1.2"][0] - 1) < 0.1 and found["contrast x 1.2"][1] > 1.3
EOF2
echo; echo "VIF of pictures in [0, 1] hardly sees noise."
