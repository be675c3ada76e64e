"""How much an encoder of still pictures with a detail layer tries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureEffort:
    """What is tried.

    Attributes:
        beams: bounds of the hypotheses that the settings ask for.
        close: how near a size has to come, in its logarithm.
        tries: of steps, at most.
        sampled: patches that sizes are estimated from.
        foresees: whether what the decoder's filter adds is reckoned with, which takes a second look for the step.
        bases: lambdas of the bases that are tried, in units of the usual one.
    """

    beams: tuple[int, int]
    close: float
    tries: int
    sampled: int
    foresees: bool
    bases: tuple[float, ...] = (1.0,)


EFFORTS = {
    "fast": PictureEffort((1, 4), 0.012, 3, 512, False),
    "default": PictureEffort((1, 256), 0.004, 7, 1024, True),
    "high": PictureEffort((32, 256), 0.003, 8, 4096, True, (0.7, 1.0, 1.4)),
}
