#!/usr/bin/env bash
# Crops of Ogg Vorbis by sphn.
#
# Expected: sphn.read(name, start_sec=s, duration_sec=d) gives d seconds from s seconds on, the same samples as that
#   piece of the whole file. So it does with WAV and FLAC.
# Happens:  all crops of a Vorbis file but those from 0 s begin 512 samples late at 16 and 24 kHz and 1024 at 48 kHz
#   (32, 21 and 21 ms), half a long block of the codec; and a crop to the end is that much shorter. The samples
#   themselves are right, so nothing looks wrong, but transcripts with times, and codes of whole files, lie beside the
#   sound of a crop, and after the first of several pieces in a row that much is skipped.
# Seen with: sphn 0.2.1, soundfile 0.14.0 (libsndfile 1.2.2).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sphn==0.2.1 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF2'
import numpy as np
import soundfile
import sphn

STARTS = (0, 0.1, 0.5, 1, 2.345, 5)
for rate, expected in ((16000, 512), (24000, 512), (48000, 1024)):
    sound = np.random.default_rng(rate).standard_normal(8 * rate)
    sound = 0.1 * np.convolve(sound, np.hanning(9) / 4, "same")
    for suffix, options in (("flac", {}), ("ogg", {"format": "OGG", "subtype": "VORBIS"})):
        soundfile.write(f"a.{suffix}", sound, rate, **options)
        whole = sphn.read(f"a.{suffix}")[0][0]
        right = soundfile.read(f"a.{suffix}", dtype="float32")[0]
        assert len(whole) == len(right) and np.abs(whole - right).max() < 1e-5
        late = []
        for start in STARTS:
            crop = sphn.read(f"a.{suffix}", start_sec=start, duration_sec=0.5)[0][0]
            first = round(start * rate)
            near = range(max(-2048, -first), 2049)
            steps = [n for n in near if np.abs(whole[first + n :][:99] - crop[:99]).max() < 1e-4]
            assert len(steps) == 1 and np.abs(whole[first + steps[0] :][: len(crop)] - crop).max() < 1e-4
            late += steps
        rest = sphn.read(f"a.{suffix}", start_sec=5, duration_sec=9)[0][0]
        print(f"{rate} Hz {suffix}: crops at {STARTS} s are {late} samples late; "
              f"from 5 s to the end {len(rest)} of {3 * rate}")
        wanted = 0 if suffix == "flac" else expected
        assert late == [0] + [wanted] * 5 and len(rest) == 3 * rate - wanted
EOF2
echo; echo "Crops of Vorbis begin half a block late."
