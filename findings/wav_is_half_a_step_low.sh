#!/usr/bin/env bash
# Floating-point samples written as 16-bit WAV and as 16-bit FLAC.
#
# Expected: both formats hold the same integers, so the same samples become the same integers, rounded to the nearest.
# Happens:  FLAC is rounded; WAV and AIFF are rounded down, towards minus infinity. A WAV lies half a step below its
#   FLAC on average, which is an offset (DC) of half a step, and its error has four times the power: 0.33 instead of
#   0.083 steps squared.
# Seen with: soundfile 0.14.0 (libsndfile 1.2.2), NumPy 2.4.6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import numpy as np
import soundfile

samples = 0.1 * np.sin(np.arange(48000) * 0.05)
steps = samples * 32768
print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)
found = {}
for suffix in ("flac", "wav", "aiff"):
    soundfile.write(f"a.{suffix}", samples, 48000, subtype="PCM_16")
    written, _ = soundfile.read(f"a.{suffix}", dtype="int16")
    error = written - steps
    found[suffix] = written
    print(f"{suffix}: mean error {error.mean():+.3f} steps, mean square {np.square(error).mean():.3f}")
assert np.array_equal(found["flac"], np.rint(steps))
assert np.array_equal(found["wav"], np.floor(steps))
assert np.array_equal(found["aiff"], np.floor(steps))
EOF
echo; echo "WAV and AIFF were rounded down, FLAC to the nearest."
