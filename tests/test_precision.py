"""What is said about bfloat16 before a run."""

from __future__ import annotations

import pytest
import torch

from josiecodec.training.core.precision import advice, bf16_ratio

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "ratio", "said"),
    [
        ("bf16", 58.0, "58.0 times slower than in float32 on this processor: --set 'precision=\"fp32\"'"),
        ("fp32", 0.25, "4.0 times faster than in float32 on this processor: --set 'precision=\"bf16\"'"),
        ("bf16", 0.25, ""),
        ("fp32", 58.0, ""),
        ("bf16", 1.0, ""),
        ("fp32", 1.0, ""),
    ],
)
def test_advice(precision, ratio, said):
    found = advice(precision, CPU, ratio)
    assert found.endswith(said)
    assert bool(found) == bool(said)


def test_ratio_is_measured():
    assert 0 < bf16_ratio(CPU) < 1000


def test_nothing_is_said_of_other_devices():
    assert not advice("fp32", torch.device("cuda"), 0.01)
