#!/usr/bin/env bash
# Resampling by sphn, as in sphn.read(name, sample_rate=24000) before a speech tokenizer.
#
# Expected: T samples at rate a become T b / a at rate b, and what is heard at one second is heard at one second after
#   it, as with libsoxr, libsamplerate, torchaudio or SciPy.
# Happens:  everything is 11 to 32 ms late: 11.7 ms from 44.1 to 24 kHz, 32 ms from 16 to 24 kHz, 21 ms from 24 to 16
#   kHz. There are a few hundred samples more than there should be, and often too few to hold what was delayed: from 24
#   to 16 kHz the last 12 ms of the recording are missing. The delay differs from rate to rate, so files of different
#   rates that began together no longer do, marks of words are off by up to a third of a frame, and codes of a file are
#   not those of the same file resampled elsewhere. By which is not said anywhere; it is measured here.
# Seen with: sphn 0.2.1, soxr 1.1.0, numpy 2.4.6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sphn==0.2.1 soxr==1.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF2'
import numpy as np
import soundfile
import soxr
import sphn


def bump(rate, at, seconds=2.0):
    """A smooth pulse of some milliseconds around the time `at`, in seconds."""
    time = np.arange(round(rate * seconds)) / rate
    return np.exp(-(((time - at) / 0.002) ** 2)).astype(np.float32)


def late(sound, rate, at=1.0):
    """Milliseconds from `at` to the centre of the pulse."""
    return (np.average(np.arange(len(sound)), weights=np.abs(sound)) / rate - at) * 1000


found = {}
for a, b in ((44100, 24000), (48000, 24000), (32000, 24000), (16000, 24000), (24000, 16000), (24000, 48000)):
    other = soxr.resample(bump(a, 1.0), a, b)
    got = sphn.resample(bump(a, 1.0)[None], a, b)[0]
    soundfile.write("a.wav", bump(a, 1.0), a, subtype="FLOAT")
    read, rate = sphn.read("a.wav", sample_rate=b)
    assert rate == b and abs(late(read[0], b) - late(got, b)) < 0.2
    end = sphn.resample(bump(a, 1.994)[None], a, b)[0]  # 6 ms before the end
    kept = float(np.abs(end).sum() / np.abs(got).sum())
    found[a, b] = late(got, b), len(got) - 2 * b, kept
    print(f"{a} to {b} Hz: {late(got, b):.1f} ms late (libsoxr {late(other, b):.1f}), {len(got)} samples of {2 * b}, "
          f"{kept:.0%} left of what is 6 ms before the end")
    assert abs(late(other, b)) < 0.1 and len(other) == 2 * b
    assert found[a, b][0] > 8 and found[a, b][1] > 0
assert abs(found[16000, 24000][0] - 32) < 0.5 and abs(found[24000, 16000][0] - 21.4) < 0.5
assert found[24000, 16000][2] < 0.05
EOF2
echo; echo "Resampled by sphn, sound is 11 to 32 ms late, and the end may be missing."
