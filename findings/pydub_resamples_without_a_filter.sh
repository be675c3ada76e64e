#!/usr/bin/env bash
# Recordings brought to 16 kHz by pydub, as before many a speech recogniser or codec.
#
# Expected: what is above 8 kHz is filtered away first; a tone of 10 kHz is gone afterwards.
# Happens:  AudioSegment.set_frame_rate draws straight lines between samples and has no filter; from 48 kHz it takes
#   every third sample. The tone is one of 6 kHz, as strong as before. All above 8 kHz, s and cymbals, is folded down
#   into what is kept: from 48 kHz all of its power, from 44.1 half; libsoxr leaves nothing. From 44.1 kHz the treble
#   that is kept becomes softer besides. Codecs and recognisers that are trained or measured on such files learn sounds
#   that were never there, and pay bits for them.
# Seen with: pydub 0.25.1 (CPython 3.11), soxr 1.1.0, numpy 2.4.6: 0.0 dB at 6000 Hz for a tone of 10 kHz from 48 kHz,
#   -1.5 dB from 44.1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pydub==0.25.1 soxr==1.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'EOF2'
import numpy as np
import soxr
from pydub import AudioSegment

OUT = 16000


def by_pydub(sound, rate):
    segment = AudioSegment(sound.tobytes(), frame_rate=rate, sample_width=2, channels=1)
    return np.frombuffer(segment.set_frame_rate(OUT).raw_data, np.int16)


def by_soxr(sound, rate):
    return soxr.resample(sound, rate, OUT)


def decibel(got, sound):
    return 10 * np.log10((np.square(got.astype(float)).mean() + 1e-9) / np.square(sound.astype(float)).mean())


def tone(frequency, rate):
    return np.rint(8000 * np.sin(2 * np.pi * frequency * np.arange(2 * rate) / rate)).astype(np.int16)


def hiss(rate):  # nothing below 8.2 kHz
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(2 * rate))
    spectrum[: 8200 * 2] = 0
    return np.rint(2000 * np.fft.irfft(spectrum)).astype(np.int16)


left = {}
for rate in (48000, 44100):
    sounds = {"tone of 10 kHz": tone(10000, rate), "tone of 7 kHz": tone(7000, rate), "hiss above 8.2 kHz": hiss(rate)}
    for name, sound in sounds.items():
        got, right = by_pydub(sound, rate), by_soxr(sound, rate)
        strongest = np.abs(np.fft.rfft(got * np.hanning(len(got)))).argmax() * OUT / len(got)
        left[rate, name] = decibel(got, sound), decibel(right, sound), strongest
        print(f"{rate} to {OUT} Hz, {name}: pydub {decibel(got, sound):.1f} dB, strongest at {strongest:.0f} Hz; "
              f"libsoxr {decibel(right, sound):.1f} dB")
    assert left[rate, "tone of 10 kHz"][0] > -2 and left[rate, "tone of 10 kHz"][2] == 6000
    assert left[rate, "hiss above 8.2 kHz"][0] > -4
    assert max(left[rate, name][1] for name in ("tone of 10 kHz", "hiss above 8.2 kHz")) < -40
EOF2
echo; echo "A tone of 10 kHz is one of 6 kHz after pydub."
