"""Entropy tables from the codes that a model gives for a lot of material."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ...atomic import write_bytes
from ...bitstream.container import BLOCK_FRAMES
from ...coding.jodio import Jodio
from ...coding.jovio import Jovio
from ...coding.rdo import alone, cheapest, dearness
from ...entropy.code_tables import REMAINING_CLASSES, EntropyTables, frame_bits, patch_bits, remaining_class
from ...entropy.context_model import GROUPS, ContextModel
from ...entropy.range_coder import FREQUENCY_BITS
from ...entropy.tables_file import parse_tables, tables_bytes, with_context
from ...errors import ModelError
from ...fingerprint import TABLES_FILE
from ...hub.store import load
from ...quantization.kmeans import assign, kmeans
from ...quantization.vq import VectorQuantizer
from ...vision.grouping import padded, to_groups
from ..audio.data import Recordings
from ..vision.data import Pictures
from .context import CodedGrid, ContextConfig, TrainedContext, rounded, train_context, typical_bits
from .warm_start import carried_over

SOUND_CLASSES, PICTURE_CLASSES = 32, 24
SOUND_LEVELS = 2  # with contexts; deeper ones gain nothing from them
WEIGHTS = (0.002, 0.3)  # of a bit, in pictures
EVEN = 0.15  # share of the pictures that have all levels everywhere
PRIOR = 20.0  # observations that a context is worth before it has any
HELD_OUT = 20  # every so many-th picture or block decides whether a network is worth having
QUICK_BEAMS = 4  # of the search for the codes that are counted
SOUND_NETWORK = ContextConfig(levels=9, width=64, outer=128, hidden=128)
PICTURE_NETWORK = ContextConfig()
NEW_LR, CARRIED_LR = 1.5e-3, 8e-4  # of a new network, and of one that is trained on


@dataclass
class Seen:
    """What was seen of the codes of a level: three arrays [N], contexts -1 where there is none."""

    codes: list[np.ndarray] = field(default_factory=list)
    first: list[np.ndarray] = field(default_factory=list)
    second: list[np.ndarray] = field(default_factory=list)

    def add(self, codes: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        """Take more."""
        self.codes.append(codes.reshape(-1))
        self.first.append(first.reshape(-1))
        self.second.append(second.reshape(-1))


def classes_of(quantizer: VectorQuantizer, count: int) -> np.ndarray:
    """Sort the codes of a codebook into at most `count` classes of like codes: [S]."""
    codes = quantizer.codes_in_use().detach().cpu()
    centers, _ = kmeans(codes, min(count, len(codes)), generator=torch.Generator().manual_seed(0))
    found = assign(codes, centers).numpy()
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def fit_level(classes: np.ndarray, seen: Seen, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, shares of classes in context and of codes in their class, as `LevelTable` takes them.

    Args:
        classes: [S].
        seen: what was seen; contexts are classes (or -1), of which a dimension of 1 means that they do not matter.
        shape: numbers of contexts, with "none" as the last one.
    """
    codes, a, b = (np.concatenate([*part, np.zeros(0, np.int64)]).astype(np.int64) for part in _parts(seen))
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
    shares = np.zeros(len(classes), np.int64)
    for c in range(count):
        members = classes == c
        shares[members] = to_shares(within[members] / sums[c])
    return classes, np.apply_along_axis(to_shares, -1, given), shares


def _parts(seen: Seen) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    return seen.codes, seen.first, seen.second


def _counted(places: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    flat = np.ravel_multi_index(places, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(float)


def _smoothed(counts: np.ndarray, prior: np.ndarray) -> np.ndarray:
    mixed = counts + PRIOR * prior
    return mixed / mixed.sum(-1, keepdims=True)


def to_shares(likely: np.ndarray) -> np.ndarray:
    """Probabilities [N] -> whole numbers of at least 1, 2^FREQUENCY_BITS together."""
    room = (1 << FREQUENCY_BITS) - len(likely)
    shares = np.floor(likely / likely.sum() * room).astype(np.int64) + 1
    shares[np.argsort(-likely, kind="stable")[: (1 << FREQUENCY_BITS) - int(shares.sum())]] += 1
    return shares


def _books(model: Jodio | Jovio) -> list[VectorQuantizer]:
    """The codebook of each level."""
    if isinstance(model, Jovio):
        return [model.rvq.level(k)[0] for k in range(model.n_q)]
    return [model.semantic_rvq, *(model.acoustic_rvq.level(k)[0] for k in range(model.n_q - 1))]


@torch.no_grad()
def sound_tables(model: Jodio, recordings: Recordings, seconds: float = 1e9) -> bytes:
    """Tables of a codec of sound, from recordings (at most so many seconds of them)."""
    return fit_sound(model, sound_codes(model, recordings, seconds))


@torch.no_grad()
def sound_codes(model: Jodio, recordings: Recordings, seconds: float = 1e9) -> list[np.ndarray]:
    """Codes [K, F] of recordings, all levels."""
    order = np.random.default_rng(0).permutation(len(recordings.segments))
    found = []
    for index in order:
        wave = recordings.waveform(recordings.segments[index])
        found.append(model.encode(wave[None, None].to(model.device), model.n_q)[0].cpu().numpy())
        seconds -= len(wave) / model.sample_rate
        if seconds < 0:
            break
    return found


def fit_sound(model: Jodio, found: list[np.ndarray]) -> bytes:
    """Tables from codes [K, F] of recordings."""
    classes = [classes_of(book, SOUND_CLASSES) for book in _books(model)]
    seen = [Seen() for _ in classes]
    for codes in found:
        known = np.stack([c[row] for c, row in zip(classes, codes)])
        before = np.concatenate([np.full((len(codes), 1), -1), known[:, :-1]], 1)
        before[:, ::BLOCK_FRAMES] = -1
        for k, part in enumerate(seen):
            part.add(codes[k], before[k], known[k - 1] if k else np.full(codes.shape[1], -1))
    parts = []
    for k, part in enumerate(seen):
        before_count = len(np.unique(classes[k - 1])) if k else 0
        shape = (len(np.unique(classes[k])) + 1, before_count + 1) if k < SOUND_LEVELS else (1, 1)
        parts.append(fit_level(classes[k], part, shape))
    return tables_bytes(parts, (0,))


@torch.no_grad()
def picture_tables(model: Jovio, pictures: Pictures, most: int = 1 << 30) -> tuple[bytes, list[CodedGrid]]:
    """Tables of a codec of pictures, from pictures and pairs of a video's pictures (at most so many of each).

    Also returns the codes of the pictures.
    """
    grids = []
    classes = [classes_of(book, PICTURE_CLASSES) for book in _books(model)]
    seen = [Seen() for _ in classes]
    random = np.random.default_rng(0)
    for index in random.permutation(len(pictures.images))[:most]:
        video = pictures.image(int(index)).float()[None] / 255
        latent = model.latent(to_groups(padded(video.to(model.device), model.patch), model.config.group))[0, 0]
        counts, codes = _chosen(model, latent, 0, random)
        _see(seen, classes, counts, codes, (latent.shape[0], latent.shape[1]), 0)
        rows = torch.from_numpy(codes[:, : int(counts.max(initial=0))])
        grids.append(CodedGrid(torch.from_numpy(counts).view(latent.shape[:2]), rows.view(*latent.shape[:2], -1)))
    starts = (0, *model.config.starts)
    for index in random.permutation(len(pictures.videos))[:most] if pictures.videos else ():
        video = pictures.video(int(index))[:, :9].float()[None] / 255
        latents = model.latent(to_groups(padded(video.to(model.device), model.patch), model.config.group))[0]
        for before, latent in itertools.pairwise(latents):
            dear = dearness(model, latent.flatten(0, 1))
            for start in starts[1:]:
                counts, codes = _chosen(model, latent - before, start, random, dear)
                _see(seen, classes, counts, codes, (latent.shape[0], latent.shape[1]), start)
    parts = []
    for k, part in enumerate(seen):
        contexts = len(np.unique(classes[max(k - 1, 0)])) + 1
        parts.append(fit_level(classes[k], part, (contexts, contexts if k == 0 else REMAINING_CLASSES + 1)))
    return tables_bytes(parts, starts), grids


def sound_grids(found: list[np.ndarray], random: np.random.Generator, usual: int) -> list[CodedGrid]:
    """Codes [K, F] of recordings as blocks of a file have them, with all levels, the usual ones or some."""
    grids = []
    for codes in found:
        for first in range(0, codes.shape[1], BLOCK_FRAMES):
            block = torch.from_numpy(codes[:, first : first + BLOCK_FRAMES].astype(np.int64))
            levels = usual if random.random() < 0.5 else int(random.integers(1, len(codes) + 1))
            grids.append(CodedGrid(torch.full((1, block.shape[1]), levels), block[:levels].t()[None]))
    return grids


def network_for(
    model: Jodio | Jovio,
    grids: list[CodedGrid],
    minutes: float,
    say: Callable[[str], None],
    start: TrainedContext | None = None,
) -> ContextModel:
    """A context network for a model, trained (from `start` on) for so many minutes on codes that the model gave."""
    books = code_books(model)
    if start is None:
        config = SOUND_NETWORK if isinstance(model, Jodio) else PICTURE_NETWORK
        levels, width = min(config.levels, len(books)), max(GROUPS, min(config.width, books.shape[-1]))
        books = F.pad(books, (0, max(0, width - books.shape[-1])))
        config, lr = dataclasses.replace(config, levels=levels, width=width), NEW_LR
    else:
        config, lr = start.config, CARRIED_LR
    net = train_context(config, books, grids, minutes, lr=lr, say=say, net=start).eval()
    return rounded(net, typical_bits(net, grids))


def start_from(before: Jodio | Jovio, model: Jodio | Jovio) -> TrainedContext:
    """The context network of a model as a beginning of another's.

    Raises:
        ModelError: if it has none, or other codebooks.
    """
    if before.tables is None or before.tables.context is None:
        raise ModelError("the model to take a context network from has none")
    return carried_over(before.tables.context, code_books(before), code_books(model))


def worth_having(network: ContextModel, tables: EntropyTables, grids: list[CodedGrid]) -> bool:
    """Whether a network takes fewer bits than tables for codes that it was not trained on."""
    with_it, without = 0.0, 0.0
    for grid in grids:
        counts, codes = grid.counts.numpy(), grid.codes.numpy()
        with_it += float(network.bits(counts, codes).sum())
        if len(counts) == 1:
            without += float(frame_bits(codes[0], tables)[: network.levels].sum())
        else:
            flat = codes[np.arange(codes.shape[-1]) < counts[..., None]]
            without += float(patch_bits(np.zeros_like(counts), counts, flat, tables)[: network.levels].sum())
    return with_it < without


def code_books(model: Jodio | Jovio) -> torch.Tensor:
    """The codes of each level as they add up [K, S, D]; the semantic ones of sound have dimensions of their own."""
    if isinstance(model, Jovio):
        parts = [model.rvq.level(k) for k in range(model.n_q)]
        return torch.stack([book.codes_in_use().detach() * scale for book, scale in parts]).float().cpu()
    own = model.semantic_rvq.codes_in_use().detach().float().cpu()
    parts = [model.acoustic_rvq.level(k) for k in range(model.n_q - 1)]
    rest = torch.stack([book.codes_in_use().detach() * scale for book, scale in parts]).float().cpu()
    return torch.cat([F.pad(own, (0, rest.shape[-1]))[None], F.pad(rest, (own.shape[-1], 0))])


def _chosen(
    model: Jovio,
    latent: torch.Tensor,
    start: int,
    random: np.random.Generator,
    dear: torch.Tensor | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Counts [N] and codes [N, L] that a random weight of a bit would choose; now and then all of them."""
    weight = 0.0 if random.random() < EVEN else float(np.exp(random.uniform(*np.log(WEIGHTS))))
    found = alone(model, latent, model.n_q - start, weight, start, min(model.settings.beams, QUICK_BEAMS), dear)
    counts = cheapest(model, found.found.errors, weight * found.dear.unsqueeze(-1))
    return counts.cpu().numpy(), found.found.path(counts).cpu().numpy()


def _see(
    seen: list[Seen],
    classes: list[np.ndarray],
    counts: np.ndarray,
    codes: np.ndarray,
    shape: tuple[int, int],
    start: int,
) -> None:
    """Note the codes of patches in their contexts, as `tokens.entropy.encode_patches` has them."""
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
        seen[start + k].add(codes[has, k], first[has], second[has])
        before = own


def make_tables(
    folder: Path,
    material: Recordings | Pictures,
    most: float = 1e9,
    minutes: float = 0.0,
    say: Callable[[str], None] = lambda _: None,
    before: Jodio | Jovio | None = None,
) -> int:
    """Write the tables of the model in `folder` beside it, which changes its fingerprint. Returns their bytes.

    Args:
        folder: of the model.
        material: recordings or pictures that the codes of are counted.
        most: seconds of sound, or pictures.
        minutes: of training of a context network; 0 for none. It is left out if it is no better than tables alone.
        say: receives lines meant for a person.
        before: a model with the same codes, more or less, whose context network is trained on.

    Raises:
        ModelError: if the model cannot be loaded, or is not for this material; if `before` has no context network, or
            other codebooks.
    """
    model = load(folder)
    start = None if before is None else start_from(before, model)
    if isinstance(model, Jodio) and isinstance(material, Recordings):
        found = sound_codes(model, material, most)
        data = fit_sound(model, found)
        grids = sound_grids(found, np.random.default_rng(0), model.settings.n_q)
    elif isinstance(model, Jovio) and isinstance(material, Pictures):
        data, grids = picture_tables(model, material, round(most))
    else:
        raise ModelError(f"{folder}: not a model for this material")
    held_out = grids[::HELD_OUT]
    grids = [grid for place, grid in enumerate(grids) if place % HELD_OUT]
    if minutes and grids:
        network = network_for(model, grids, minutes, say, start)
        if worth_having(network, parse_tables(data), held_out):
            data = with_context(data, network)
    write_bytes(folder / TABLES_FILE, data)
    return len(data)
