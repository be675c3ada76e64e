"""Weights of the filter of decoded pictures of videos, by least squares over clips.

    python benchmarks/enhance_bank.py OUT CLIP... [--steps 76 92 100 108] [--pictures 17] [--add FILE]

Clips are coded at two of the steps each, in turn, with the weights that there are, and what the filter was given is
held against the originals, in units of the step. Of pictures that none is predicted from every fourth is taken. `--add`
keeps sums in a file and adds to those that are there, so that clips can be taken a few at a time.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from video import read

import josiecodec
from josiecodec.coding import motion_pictures
from josiecodec.coding.motion_choice import LAMBDA
from josiecodec.settings import Rate
from josiecodec.vision.motion_enhance import LEVELS, PAIRS, cell_kinds, pair_differences
from josiecodec.vision.motion_planes import Planes, to_planes
from josiecodec.vision.motion_residual import sizes_of, step_size

CLASSES, TAPS = 5 * (len(LEVELS) + 1), len(PAIRS)
CHOSEN = 4  # one picture of so many that none is predicted from
STIFF = 2e-3  # of the mean square of a class, by which its weights are drawn to those of all classes
PIXELS = 1 << 17  # of a picture that are taken, at most


class Sums:
    """Normal equations of luma of key pictures and of others, and of their chroma, by class."""

    def __init__(self) -> None:
        self.square, self.product = np.zeros((4, CLASSES, TAPS, TAPS)), np.zeros((4, CLASSES, TAPS))

    def add(self, picture: Planes, original: Planes, step: int, offsets: np.ndarray, layer: int) -> None:
        luma, chroma = sizes_of(step, offsets)
        luma = luma.repeat(2, 0).repeat(2, 1)
        for name, sizes in (("y", luma), ("u", chroma), ("v", chroma)):
            plane, wanted, bank = getattr(picture, name), getattr(original, name), (layer > 0) + 2 * (name != "y")
            kinds, unit = cell_kinds(plane, sizes).repeat(8, 0).repeat(8, 1).ravel(), step_size(step, False) / 16
            x = pair_differences(plane, sizes).reshape(-1, TAPS) / unit
            y = (wanted.astype(np.float64) - plane).ravel() / unit
            for kind in np.unique(kinds):
                own = kinds == kind
                self.square[bank, kind] += x[own].T @ x[own]
                self.product[bank, kind] += x[own].T @ y[own]

    def weights(self) -> np.ndarray:
        """int8 [4, classes, taps]."""
        out = np.empty(self.product.shape)
        for square, product, into in zip(self.square, self.product, out):
            scale = np.trace(square.sum(0)) / TAPS
            usual = np.linalg.solve(square.sum(0) + 1e-3 * scale * np.eye(TAPS), product.sum(0))
            for a, b, w in zip(square, product, into):
                stiff = (STIFF * np.trace(a) / TAPS + 1e-6 * scale) * np.eye(TAPS)
                w[:] = usual + np.linalg.solve(a + stiff, b - a @ usual)
        return np.clip(np.rint(128 * out), -127, 127).astype(np.int8)


def learn(codec: Any, clip: Path, step: int, pictures: int, sums: Sums) -> None:
    """Add what one clip at one step says."""
    x, rate = read(clip, pictures)
    side = PIXELS // x.shape[3] // 2 * 2
    x = x[:, :, :side]
    given: list[Any] = []
    usual = motion_pictures.filtered

    def watched(planes: Planes, own_step: int, picture: Any, strength: int) -> Planes:
        given.append((planes, own_step, 4 * picture.offsets.astype(int), picture.layer))
        return usual(planes, own_step, picture, strength)

    shown = []
    decode = motion_pictures.PictureDecoder.decode

    def noted(self: Any, payload: Any) -> tuple[int, Planes]:
        shown.append(self.state.coded + payload.head.later)
        return decode(self, payload)

    data = codec.compress(
        x, rate=Rate(rd_lambda=LAMBDA * (2 ** (step / 16) / 255) ** 2), pictures_per_second=Fraction(rate)
    )
    motion_pictures.filtered, motion_pictures.PictureDecoder.decode = watched, noted  # type: ignore[method-assign]
    try:
        codec.decompress(data)
    finally:
        motion_pictures.filtered, motion_pictures.PictureDecoder.decode = usual, decode  # type: ignore[method-assign]
    for at, (planes, own_step, offsets, layer) in zip(shown, given, strict=True):
        if layer < 2 or at % CHOSEN == 1:
            sums.add(planes, to_planes(x[:, at].numpy()), own_step, offsets, layer)


def written(weights: np.ndarray) -> str:
    """A module of Python that holds weights."""
    lines = [
        '"""Weights of the filter of `motion_enhance.py`, in 128ths, from `benchmarks/enhance_bank.py`.',
        "",
        f"Of luma of key pictures and of others, of chroma of both: int8, {CLASSES} classes of {TAPS} weights each.",
        '"""',
        "",
        "BANKS = (",
    ]
    for bank in weights:
        text = bank.tobytes().hex()
        rows = [f'        "{text[n : n + 100]}"' for n in range(0, len(text), 100)]
        lines += ["    bytes.fromhex(", *rows, "    ),"]
    return "\n".join([*lines, ")", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--steps", nargs="+", type=int, default=[108, 92, 100, 76])
    parser.add_argument("--pictures", type=int, default=17)
    parser.add_argument("--add", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    codec, sums = josiecodec.load("jovio-16"), Sums()
    if args.add and args.add.exists():
        with np.load(args.add) as known:
            sums.square, sums.product = known["square"], known["product"]
    for n, clip in enumerate(args.clips):
        for step in args.steps[2 * n % len(args.steps) :][:2]:
            learn(codec, clip, step, args.pictures, sums)
            print(clip.stem, step, flush=True)
            if args.add:
                np.savez(args.add, square=sums.square, product=sums.product)
    args.out.write_text(written(sums.weights()))


if __name__ == "__main__":
    main()
