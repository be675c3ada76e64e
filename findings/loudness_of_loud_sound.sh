#!/usr/bin/env bash
# Integrated loudness (ITU-R BS.1770) of sound near full scale by torchaudio.
#
# Expected: loudness is 20 log10 of a gain: half the amplitude is 6.02 LU less, at any level. A loud and a soft copy of
#   one sound differ by their gain, and bringing both to one loudness makes them equal.
# Happens:  the filters in front of the meter cut off at full scale. K-weighting raises what is above 2 kHz by 4 dB, so
#   what peaks above -4 dBFS there is clipped before it is measured: a tone of 8 kHz at full scale is 2.7 LU too low,
#   one of 3 kHz 2.3, noise that fills the scale 1.6. Below about -4 dBFS the value is right (pyloudnorm agrees to 0.1
#   LU). Loud recordings are thus measured too low and come out louder than others after "normalising". biquad(),
#   treble_biquad() and their like all end in lfilter(), which clips unless told not to, and they cannot be told.
# Seen with: torchaudio 2.11.0 (torch 2.11.0), pyloudnorm 0.2.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.11.0 torchaudio==2.11.0 pyloudnorm==0.2.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF2'
import numpy as np
import pyloudnorm
import torch
import torchaudio

RATE = 48000
time = np.arange(5 * RATE) / RATE
sounds = {
    "tone of 200 Hz": np.sin(2 * np.pi * 200 * time),
    "tone of 3 kHz": np.sin(2 * np.pi * 3000 * time),
    "tone of 8 kHz": np.sin(2 * np.pi * 8000 * time),
    "noise": np.random.default_rng(0).uniform(-1, 1, len(time)),
}
print("torchaudio", torchaudio.__version__)
meter, low = pyloudnorm.Meter(RATE), {}
for name, sound in sounds.items():
    found = []
    for gain in (1, 0.5, 0.25):
        heard = torchaudio.functional.loudness(torch.from_numpy(gain * sound)[None], RATE).item()
        found.append((heard, meter.integrated_loudness(gain * sound)))
    print(f"{name}:", ", ".join(f"{a:.2f} ({b:.2f})" for a, b in found), "LKFS at gain 1, 0.5, 0.25 (pyloudnorm)")
    assert abs(found[1][0] - found[1][1]) < 0.1 and abs(found[2][0] - found[2][1]) < 0.1
    assert abs(found[1][0] - found[2][0] - 6.02) < 0.01
    low[name] = found[1][0] + 6.02 - found[0][0]
print("too low at full scale, LU:", {name: round(value, 1) for name, value in low.items()})
assert abs(low["tone of 200 Hz"]) < 0.05
assert low["tone of 3 kHz"] > 1.5 and low["tone of 8 kHz"] > 2 and low["noise"] > 1

loud = torch.from_numpy(sounds["tone of 8 kHz"])[None]
whole, tenth = (torchaudio.functional.treble_biquad(x, RATE, 4.0, 1500.0).abs().max().item() for x in (loud, loud / 10))
print(f"4 dB more treble: peak of {whole:.2f} at full scale, {tenth:.3f} at a tenth of it")
assert whole == 1 and 0.14 < tenth < 0.16
EOF2
echo; echo "Full scale is measured up to 2.7 LU too low."
