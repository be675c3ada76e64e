#!/usr/bin/env bash
# Random crops of MP3 by soundfile: `read(file, start=..., frames=...)`, as loaders of training data do it.
#
# Expected: a crop of an MP3 has the samples of the same place of the whole file; where the decoder needs earlier
#   packets (the bit reservoir), the library reads them, as it does for Ogg Opus and Vorbis.
# Happens:  libsndfile's decoder takes a fixed few packets before the place. With a variable bitrate, packets
#   of pauses and simple sounds are small, and a reservoir reaches farther back: the main data is not complete, and the
#   crop begins with silence or with wrong samples, for some ten to 200 ms, without an exception (a line on standard
#   error now and then). The default of soundfile's own MP3 writer is such a file: an eighth of the crops of a
#   speech-like sound are wrong at 16 kHz, all crops of a steady tone. At a constant bitrate of 40 kbit/s none is.
#   Reading a second more before the place, and cutting it off, mends it.
# Seen with: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.4.6: variable bitrate 13 of 100 crops wrong at their start,
#   the longest for 167 ms; constant 0; a tone 100, for up to 271 ms; with a second of preroll 0; Opus 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
cat >"$work/crops.py" <<'EOF2'
import numpy as np
import soundfile

RATE, SECONDS = 16000, 20
random = np.random.default_rng(0)
time = np.arange(SECONDS * RATE) / RATE
pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 5 * time)
phase = 2 * np.pi * np.cumsum(pitch) / RATE
voiced = sum(np.sin(k * phase) / k**1.2 for k in range(1, 30))
syllables = np.clip(np.sin(2 * np.pi * 2.1 * time), 0, 1) * (np.sin(2 * np.pi * 0.3 * time) > -0.6)
hiss = random.standard_normal(len(time)) * np.clip(-np.sin(2 * np.pi * 2.1 * time), 0, 1) ** 4
speech = 0.2 * (voiced * syllables + 0.1 * hiss)
tone = 0.3 * np.sin(2 * np.pi * 440 * time)


def wrong(name, sound, kind, subtype, preroll=0, **options):
    """Number of 100 crops of half a second with wrong samples at their start, and the longest such start in ms."""
    with soundfile.SoundFile("file", "w", RATE, 1, subtype, format=kind, **options) as file:
        file.write(sound)
    whole, _ = soundfile.read("file")
    starts = []
    for start in random.integers(RATE, len(whole) - RATE, 100):
        crop, _ = soundfile.read("file", start=start - preroll, frames=RATE // 2 + preroll)
        different = np.abs(crop[preroll:] - whole[start : start + RATE // 2]) > 1e-3
        starts.append(1000 * (np.flatnonzero(different).max(initial=-1) + 1) / RATE)
    count = sum(length > 0 for length in starts)
    print(f"{name}: {count} of 100 crops begin wrong, the longest for {max(starts):.0f} ms")
    return count, max(starts)


print(soundfile.__version__, soundfile.__libsndfile_version__)
variable = wrong("MP3, default (variable bitrate)", speech, "MP3", "MPEG_LAYER_III")
constant = wrong("MP3, constant bitrate", speech, "MP3", "MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=0.8)
steady = wrong("MP3, default, a tone", tone, "MP3", "MPEG_LAYER_III")
early = wrong("MP3, default, a second more read before", speech, "MP3", "MPEG_LAYER_III", preroll=RATE)
opus = wrong("Ogg Opus", speech, "OGG", "OPUS")
assert 5 <= variable[0] <= 40 and variable[1] > 50
assert steady[0] > 90
assert constant[0] == early[0] == opus[0] == 0
EOF2
cd "$work"
venv/bin/python crops.py 2>"$work/decoder.txt" || { cat "$work/decoder.txt"; exit 1; }
echo; echo "Crops of MP3 with variable bitrate begin with what is not in the file."
