#!/usr/bin/env bash
# Cuts of Lhotse with a temporal array beside the features (codes, phones, pitch), perturbed in speed.
#
# Expected: what is true of features is true of a temporal array: one that describes the sound before the change is
#   dropped, with a warning, or follows the change. `Cut.perturb_speed` does so with features ("will be detached").
# Happens:  features go, the array stays, without a word. `load_<name>()` then takes the rows that fit the new duration
#   at the old frame shift: of a cut that became shorter the last rows are lost, so that row and sound are ever more
#   out of step (in the middle of 40 rows by two of them at 1.1); of a cut that became longer rows are missing at the
#   end. A training on codes or aligned labels goes on with wrong pairs. And the cut that was asked for a faster copy
#   loses its own features, too. (Importing the package also needs urllib3, which it does not ask for.)
# Seen with: lhotse 1.33.0, torch 2.11.0, numpy 2.4.6, soundfile 0.14.0: at speed 1.1 features gone with a warning, 36 of
#   40 rows left without one, and at row 18 the sound of row 20 is heard; at 0.9 40 rows for 3.556 s, which are 44, and
#   the sound of row 16.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lhotse==1.33.0 torch==2.11.0 numpy==2.4.6 soundfile==0.14.0 lilcom urllib3
cat >"$work/speed.py" <<'EOF2'
import logging
import warnings

import lhotse
import numpy as np
import soundfile
from lhotse import Fbank, MonoCut, Recording
from lhotse.array import Array, TemporalArray
from lhotse.features.io import NumpyFilesWriter

ROWS, SHIFT, RATE = 40, 0.08, 16000
said = []
logging.getLogger().addHandler(type("Handler", (logging.Handler,), {"emit": lambda _, r: said.append(r.getMessage())})())
warnings.showwarning = lambda message, *_, **__: said.append(str(message))

# Row k describes the k-th stretch of 80 ms, whose samples all have the value k / 100.
sound = np.repeat(np.arange(ROWS) / 100, round(SHIFT * RATE))
soundfile.write("sound.wav", sound, RATE, subtype="FLOAT")
recording = Recording.from_file("sound.wav")
with NumpyFilesWriter("arrays") as writer:
    rows = writer.store_array("sound", np.arange(ROWS)[:, None], frame_shift=SHIFT, temporal_dim=0, start=0)
assert isinstance(rows, TemporalArray) and isinstance(rows.array, Array)
cut = MonoCut("cut", 0, recording.duration, 0, recording=recording, custom={"codes": rows})


def changed(name, cut):
    """Rows that come of a cut, rows that its duration holds, and the row whose sound is heard at row 18."""
    got = cut.load_codes()[:, 0]
    audio = cut.load_audio()[0]
    held = round(cut.duration / SHIFT)
    middle = round((18 + 0.5) * SHIFT * RATE)
    heard = round(float(np.median(audio[middle - 50 : middle + 50])) * 100)
    print(f"{name}: {len(got)} rows for {cut.duration:.3f} s, which are {held}; row 18 is {got[18]}, heard is {heard}")
    return len(got), held, int(got[18]), heard


print(lhotse.__version__)
assert changed("as it is", cut) == (ROWS, ROWS, 18, 18)
said.clear()
faster, slower = changed("speed 1.1", cut.perturb_speed(1.1)), changed("speed 0.9", cut.perturb_speed(0.9))
print("said:", said)
assert faster[0] == faster[1] < ROWS and faster[2] == 18 and faster[3] == 20
assert slower[0] == ROWS < slower[1] and slower[2] == 18 and slower[3] == 16
assert not said
with NumpyFilesWriter("features") as writer:
    full = cut.compute_and_store_features(Fbank(), writer)
assert full.has_features
copy = full.perturb_speed(1.1)
print("features, of the copy:", copy.has_features, "of the cut itself:", full.has_features, "said:", said)
assert not copy.has_features and not full.has_features and "features" in " ".join(said)
EOF2
cd "$work"
"$work/venv/bin/python" speed.py
