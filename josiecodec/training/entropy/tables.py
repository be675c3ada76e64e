"""Fitting entropy tables: how often codes occur, by class and context."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import torch

from ...bitstream.container import BLOCK_FRAMES
from ...coding.jodio import Jodio
from ...coding.jovio import Jovio
from ...coding.rdo import masking_scale
from ...entropy.code_tables import REMAINING_CLASSES, remaining_class
from ...entropy.range_coder import FREQUENCY_BITS
from ...entropy.tables_file import tables_bytes
from ...quantization.kmeans import assign, kmeans
from ...quantization.vq import VectorQuantizer
from ...vision.grouping import padded, to_groups
from ..vision.data import Pictures
from .config import AUDIO_CLASSES, AUDIO_CONTEXT_LEVELS, PRIOR, VISION_CLASSES
from .data import CodedGrid, level_codebooks, searched_codes


@dataclass
class Observations:
    """Codes of a level with their contexts: three arrays [N]; a context is -1 where there is none."""

    codes: list[np.ndarray] = field(default_factory=list)
    first: list[np.ndarray] = field(default_factory=list)
    second: list[np.ndarray] = field(default_factory=list)

    def add(self, codes: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        """Add codes, and the first and second context of each."""
        self.codes.append(codes.reshape(-1))
        self.first.append(first.reshape(-1))
        self.second.append(second.reshape(-1))


def classes_of(quantizer: VectorQuantizer, count: int) -> np.ndarray:
    """Sort the codes of a codebook into at most `count` classes of similar codes: [S]."""
    codes = quantizer.codes_in_use().detach().cpu()
    centers, _ = kmeans(codes, min(count, len(codes)), generator=torch.Generator().manual_seed(0))
    nearest = assign(codes, centers).numpy()
    return np.unique(nearest, return_inverse=True)[1].astype(np.int64)


def fit_level(
    classes: np.ndarray, observed: Observations, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, frequencies of classes in context and of codes in their class, as `LevelTable` takes them.

    Args:
        classes: [S].
        observed: codes and contexts; contexts are classes, or -1.
        shape: numbers of contexts, with "none" as the last one; 1 for a context that is not used.
    """
    codes, a, b = (
        np.concatenate([*part, np.zeros(0, np.int64)]).astype(np.int64)
        for part in (observed.codes, observed.first, observed.second)
    )
    count = int(classes.max()) + 1
    own = classes[codes]
    within = np.bincount(codes, minlength=len(classes)) + 0.5
    sums = np.bincount(classes, within, count)
    a, b = (x % n if n > 1 else x * 0 for x, n in zip((a, b), shape))
    overall = np.bincount(own, minlength=count) + 0.5
    overall = overall / overall.sum()
    one = _smoothed(_counted((a, own), (shape[0], count)), overall)  # [A, C]
    other = _smoothed(_counted((b, own), (shape[1], count)), overall)
    both = one[:, None] * other[None] / overall
    both /= both.sum(-1, keepdims=True)
    given = _smoothed(_counted((a, b, own), (*shape, count)), both)
    frequencies = np.zeros(len(classes), np.int64)
    for c in range(count):
        members = classes == c
        frequencies[members] = to_frequencies(within[members] / sums[c])
    return classes, np.apply_along_axis(to_frequencies, -1, given), frequencies


def _counted(indices: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    flat = np.ravel_multi_index(indices, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(float)


def _smoothed(counts: np.ndarray, prior: np.ndarray) -> np.ndarray:
    mixed = counts + PRIOR * prior
    return mixed / mixed.sum(-1, keepdims=True)


def to_frequencies(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities [N] -> integer frequencies of at least 1 that sum to 2^FREQUENCY_BITS."""
    room = (1 << FREQUENCY_BITS) - len(probabilities)
    frequencies = np.floor(probabilities / probabilities.sum() * room).astype(np.int64) + 1
    frequencies[np.argsort(-probabilities, kind="stable")[: (1 << FREQUENCY_BITS) - int(frequencies.sum())]] += 1
    return frequencies


def audio_tables(model: Jodio, codes: list[np.ndarray], layers: list[np.ndarray] | None = None) -> bytes:
    """Tables from codes [K, F] of recordings, K being the levels of the base.

    Those of the layers after it are equally likely: what a level codes is made as random as its codes are. Where layers
    code by frame, zeros at the end of a frame say how many levels it has: these are a class of their own.

    Args:
        model: whose codes these are.
        codes: of the base.
        layers: codes [L, F] of the levels after the base, in frames as they deserve them, of a model by frame.
    """
    classes = [classes_of(book, AUDIO_CLASSES) for book in level_codebooks(model)]
    observed = [Observations() for _ in classes]
    for rows in codes:
        known = np.stack([c[row] for c, row in zip(classes, rows)])
        before = np.concatenate([np.full((len(rows), 1), -1), known[:, :-1]], 1)
        before[:, ::BLOCK_FRAMES] = -1
        for k, part in enumerate(observed):
            part.add(rows[k], before[k], known[k - 1] if k else np.full(rows.shape[1], -1))
    parts = []
    for k, part in enumerate(observed):
        before_count = len(np.unique(classes[k - 1])) if k else 0
        shape = (len(np.unique(classes[k])) + 1, before_count + 1) if k < AUDIO_CONTEXT_LEVELS else (1, 1)
        parts.append(fit_level(classes[k], part, shape))
    if layers:
        return tables_bytes(parts + layer_tables(model, layers), (0,))
    uniform = fit_level(np.zeros(model.codebook_size, np.int64), Observations(), (1, 1))
    parts += [uniform] * (model.n_q - model.base_levels)
    return tables_bytes(parts, (0,))


def layer_tables(model: Jodio, layers: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Tables of the levels after the base, from their codes [L, F]: zero or not, in both contexts, and which code."""
    classes = (np.arange(model.codebook_size) > 0).astype(np.int64)
    parts = []
    for k in range(model.n_q - model.base_levels):
        observed = Observations()
        for rows in layers:
            own = classes[rows[k]]
            before = np.concatenate([[-1], own[:-1]])
            before[::BLOCK_FRAMES] = -1
            # What was coded before the first of these levels is a code of the base, whose classes are others.
            observed.add(own, before, classes[rows[k - 1]] if k else np.zeros_like(own))
        _, given, _ = fit_level(np.arange(2), observed, (3, 3 if k else 1))
        within = np.concatenate([[1.0], np.full(model.codebook_size - 1, 1 / (model.codebook_size - 1))])
        frequencies = np.concatenate([to_frequencies(within[:1]), to_frequencies(within[1:])])
        parts.append((classes, given, frequencies))
    return parts


@torch.no_grad()
def vision_tables(model: Jovio, pictures: Pictures, max_items: int = 1 << 30) -> tuple[bytes, list[CodedGrid]]:
    """Tables from images and pairs of a video's pictures, of at most `max_items` images and videos each.

    Also returns the codes of the images.
    """
    grids = []
    classes = [classes_of(book, VISION_CLASSES) for book in level_codebooks(model)]
    observed = [Observations() for _ in classes]
    random = np.random.default_rng(0)
    for index in random.permutation(len(pictures.images))[:max_items]:
        video = pictures.image(int(index)).float()[None] / 255
        latent = model.latent(to_groups(padded(video.to(model.device), model.patch), model.config.group))[0, 0]
        counts, codes = searched_codes(model, latent, 0, random)
        _observe(observed, classes, counts, codes, (latent.shape[0], latent.shape[1]), 0)
        rows = torch.from_numpy(codes[:, : int(counts.max(initial=0))])
        grids.append(CodedGrid(torch.from_numpy(counts).view(latent.shape[:2]), rows.view(*latent.shape[:2], -1)))
    starts = (0, *model.config.starts)
    for index in random.permutation(len(pictures.videos))[:max_items] if pictures.videos else ():
        video = pictures.video(int(index))[:, :9].float()[None] / 255
        latents = model.latent(to_groups(padded(video.to(model.device), model.patch), model.config.group))[0]
        for before, latent in itertools.pairwise(latents):
            lambda_scale = masking_scale(model, latent.flatten(0, 1))
            for start in starts[1:]:
                counts, codes = searched_codes(model, latent - before, start, random, lambda_scale)
                _observe(observed, classes, counts, codes, (latent.shape[0], latent.shape[1]), start)
    parts = []
    for k, part in enumerate(observed):
        contexts = len(np.unique(classes[max(k - 1, 0)])) + 1
        parts.append(fit_level(classes[k], part, (contexts, contexts if k == 0 else REMAINING_CLASSES + 1)))
    return tables_bytes(parts, starts), grids


def _observe(
    observed: list[Observations],
    classes: list[np.ndarray],
    counts: np.ndarray,
    codes: np.ndarray,
    shape: tuple[int, int],
    start: int,
) -> None:
    """Add the codes of patches with their contexts, as `entropy.code_tables.encode_patches` has them."""
    before = np.full(len(counts), -1)
    for k in range(int(counts.max(initial=0))):
        has = counts > k
        own = np.where(has, classes[start + k][codes[:, k]], -1)
        if start + k == 0:
            grid = own.reshape(shape)
            left, above = np.full_like(grid, -1), np.full_like(grid, -1)
            left[:, 1:], above[1:] = grid[:, :-1], grid[:-1]
            first, second = left.reshape(-1), above.reshape(-1)
        else:
            first, second = before, np.array([remaining_class(max(n - k - 1, 0)) for n in counts])
        observed[start + k].add(codes[has, k], first[has], second[has])
        before = own
