"""All commands of `train`."""

from __future__ import annotations

from .train import train_group
from .train_detail import detail
from .train_hearing import aligner, speaker
from .train_waveform import waveform

__all__ = ["train_group"]

train_group.add_command(waveform)
train_group.add_command(detail)
train_group.add_command(speaker)
train_group.add_command(aligner)
