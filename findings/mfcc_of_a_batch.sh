#!/usr/bin/env bash
# Cepstra (MFCC) of a batch of clips by torchaudio.
#
# Expected: MFCC of a batch [clips, samples] are those of the clips one by one: nothing is normalised over a batch.
# Happens:  with its default settings MFCC takes decibels that end 80 dB below the loudest value, and a batch of that
#   shape counts as one sound of several channels, so the loudest clip sets the floor of all. Of a clip 36 dB softer
#   than its neighbour many bands are lifted to that floor: coefficients are up to 77 away from those of the same clip
#   alone, the first one by 70 on average; those of LFCC even more. Units by clustering, probes and cepstral distances
#   then depend on which clips shared a batch. As [clips, 1, samples] each clip is by itself.
# Seen with: torchaudio 2.11.0 (torch 2.11.0): mean of the first coefficient -241 alone, -171 in the batch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0 torchaudio==2.11.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF2'
import warnings

import torch
import torchaudio

warnings.simplefilter("ignore")
RATE = 16000
random = torch.Generator().manual_seed(0)
# Two clips with the slope of speech, 6 dB per octave, one far from the microphone.
noise = torch.randn(2, 2 * RATE, generator=random).cumsum(-1)
noise -= torchaudio.functional.resample(torchaudio.functional.resample(noise, RATE, 200), 200, RATE)[:, : 2 * RATE]
noise /= noise.square().mean(-1, keepdim=True).sqrt()
soft, loud = 0.003 * noise[0], 0.2 * noise[1]

print("torchaudio", torchaudio.__version__)
transforms = {
    "MFCC": torchaudio.transforms.MFCC(RATE, melkwargs={"n_fft": 512, "n_mels": 40}),
    "LFCC": torchaudio.transforms.LFCC(RATE),
    "MelSpectrogram": torchaudio.transforms.MelSpectrogram(RATE, n_fft=512, n_mels=40),
}
for name, transform in transforms.items():
    alone = transform(soft[None])[0]
    batch = transform(torch.stack([soft, loud]))[0]
    channel = transform(torch.stack([soft, loud])[:, None])[0, 0]
    change, apart = (batch - alone).abs().max().item(), (channel - alone).abs().max().item()
    print(f"{name}: [2, samples] changes the soft clip by up to {change:.3g}, [2, 1, samples] by {apart:.1g}; "
          f"mean of its first row {alone[0].mean():.4g} alone, {batch[0].mean():.4g} in the batch")
    assert apart <= 1e-3 * alone.abs().max()
    assert change > 10 if name != "MelSpectrogram" else change <= 1e-5 * alone.abs().max()
EOF2
echo; echo "MFCC of a soft clip depend on the clip beside it."
