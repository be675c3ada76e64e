#!/usr/bin/env bash
# ViSQOL in speech mode, when most of the speech is cut away.
#
# Expected: a measure of quality that gets four seconds of speech as reference and only the first 0.8 s of it as the
#   degraded file gives a low score: four fifths of what was said is missing.
# Happens:  the score is as high as for a perfect copy (with the default network even higher). Parts of the reference
#   for which no counterpart is found are taken out of the mean, not counted as bad. Silence in place of the missing
#   half does cost points; a file that ends early loses few or none.
# Seen with: visqol-python 3.8.0, default ("lattice") mapping: perfect copy 4.563, only the first fifth 4.578,
#   first half 3.844, second half muted 2.864. Polynomial mapping: 5.000, 4.996, 4.673, 4.070.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
  "visqol-python[lattice]==3.8.0" numpy==1.26.4 scipy==1.17.1 soundfile==0.14.0 \
  libsvm-official==3.37.0 ai-edge-litert==2.3.0
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import logging

import numpy as np
from scipy.signal import lfilter
from visqol import VisqolApi

logging.disable(logging.CRITICAL)
rate, rng = 16000, np.random.default_rng(3)
n = 4 * rate
t = np.arange(n) / rate
# something like speech: glottal pulses of a wavering pitch through four formants, in syllables
pulses = (np.diff(np.floor(np.cumsum(110 + 20 * np.sin(2 * np.pi * 0.7 * t)) / rate), prepend=0) > 0).astype(float)
voice = pulses + 0.01 * rng.standard_normal(n)
for formant, width in ((600, 80), (1200, 100), (2500, 150), (3500, 200)):
    r = np.exp(-np.pi * width / rate)
    voice = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * formant / rate), r * r], voice)
voice *= lfilter(np.ones(400) / 400, [1], (np.sin(2 * np.pi * 1.5 * t) > -0.3).astype(float))
voice *= 0.5 / np.abs(voice).max()
noisy = voice + 0.02 * rng.standard_normal(n)
muted = np.where(t < 2, voice, 0.0)

for mapping, lattice in (("default network", None), ("polynomial", False)):
    judge = VisqolApi()
    judge.create(mode="speech", use_lattice_model=lattice)
    got = {
        name: judge.measure_from_arrays(voice, degraded, rate).moslqo
        for name, degraded in {
            "perfect copy": voice,
            "first fifth only": voice[: n // 5],
            "first half only": voice[: n // 2],
            "second half muted": muted,
            "all of it, with noise": noisy,
        }.items()
    }
    print(mapping, {name: round(value, 3) for name, value in got.items()})
    assert got["first fifth only"] > got["perfect copy"] - 0.02, "cutting speech away costs points now"
    assert got["second half muted"] < got["first half only"] - 0.5 < got["perfect copy"] - 0.8
    assert got["all of it, with noise"] < got["perfect copy"] - 2
EOF
echo; echo "Four fifths of the speech cut away: no points lost."
