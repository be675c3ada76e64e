"""Making the entropy tables of a model, and training its context model, on the codes of a lot of material."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...atomic import write_bytes
from ...coding.jodio import Jodio
from ...coding.jovio import Jovio
from ...entropy.context_model import GROUPS, ContextModel
from ...entropy.tables_file import parse_tables, with_context
from ...errors import ModelError
from ...fingerprint import TABLES_FILE
from ...hub.store import load
from ..audio.data import Recordings
from ..vision.data import Pictures
from .config import AUDIO_CONTEXT, HELD_OUT, LAYER_SECONDS, NEW_LR, VISION_CONTEXT, WARM_LR, ContextConfig
from .data import CodedGrid, audio_codes, audio_grids, codebook_vectors, layer_codes
from .model import FloatContextModel, mean_bits, to_integers
from .tables import audio_tables, vision_tables
from .validate import saves_bits
from .warm_start import warm_start


def make_tables(
    folder: Path,
    material: Recordings | Pictures,
    limit: float = 1e9,
    minutes: float = 0.0,
    report: Callable[[str], None] = lambda _: None,
    before: Jodio | Jovio | None = None,
) -> int:
    """Write the tables of the model in `folder` beside it, which changes its fingerprint. Returns their bytes.

    Args:
        folder: of the model.
        material: recordings or pictures that the codes of are counted.
        limit: seconds of audio, or images and videos.
        minutes: of training of a context model; 0 for none. It is left out if it is no better than tables alone.
        report: receives lines meant for a person.
        before: a model with the same codes, more or less, whose context model is trained on.

    Raises:
        ModelError: if the model cannot be loaded, or is not for this material; if `before` has no context model, or
            other codebooks.
    """
    model = load(folder)
    start = None if before is None else warm_start_from(before, model)
    if isinstance(model, Jodio) and isinstance(material, Recordings):
        codes = audio_codes(model, material, limit)
        waveform = model.config.waveform
        layers = layer_codes(model, material, min(limit, LAYER_SECONDS)) if waveform and waveform.by_frame else None
        data = audio_tables(model, codes, layers)
        grids = audio_grids(codes, np.random.default_rng(0), min(model.settings.n_q, model.base_levels))
    elif isinstance(model, Jovio) and isinstance(material, Pictures):
        data, grids = vision_tables(model, material, round(limit))
    else:
        raise ModelError(f"{folder}: not a model for this material")
    held_out = grids[::HELD_OUT]
    grids = [grid for number, grid in enumerate(grids) if number % HELD_OUT]
    if minutes and grids:
        context = context_model_for(model, grids, minutes, report, start)
        if saves_bits(context, parse_tables(data), held_out):
            data = with_context(data, context)
    write_bytes(folder / TABLES_FILE, data)
    return len(data)


def context_model_for(
    model: Jodio | Jovio,
    grids: list[CodedGrid],
    minutes: float,
    report: Callable[[str], None],
    start: FloatContextModel | None = None,
) -> ContextModel:
    """A context model for a codec, trained (from `start` on) for so many minutes on codes of that codec."""
    books = codebook_vectors(model)
    if start is None:
        config = AUDIO_CONTEXT if isinstance(model, Jodio) else VISION_CONTEXT
        levels, width = min(config.levels, len(books)), max(GROUPS, min(config.width, books.shape[-1]))
        books = F.pad(books, (0, max(0, width - books.shape[-1])))
        config, lr = dataclasses.replace(config, levels=levels, width=width), NEW_LR
    else:
        config, lr = start.config, WARM_LR
    net = train_context_model(config, books, grids, minutes, lr=lr, report=report, net=start).eval()
    return to_integers(net, mean_bits(net, grids))


def warm_start_from(before: Jodio | Jovio, model: Jodio | Jovio) -> FloatContextModel:
    """The context model of a codec as the start of another's.

    Raises:
        ModelError: if it has none, or other codebooks.
    """
    if before.tables is None or before.tables.context is None:
        raise ModelError("the model of --from has no context model")
    return warm_start(before.tables.context, codebook_vectors(before), codebook_vectors(model))


def train_context_model(
    config: ContextConfig,
    books: Tensor,
    grids: Sequence[CodedGrid],
    minutes: float,
    positions: int = 1500,
    lr: float = 1.5e-3,
    report: Callable[[str], None] = lambda _: None,
    seed: int = 0,
    net: FloatContextModel | None = None,
) -> FloatContextModel:
    """Train a context model for so many minutes.

    Args:
        config: its size.
        books: vectors of the codes of each level, as they are summed, [levels, S, D]; deeper levels are left out.
        grids: what to learn from.
        minutes: of training.
        positions: in a step, about.
        lr: learning rate at the beginning; it falls to nothing.
        report: receives a line meant for a person once a minute.
        seed: of everything random.
        net: to train on, for these books; None for a new one.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    if net is None:
        net = FloatContextModel(config, *_along_axes(books[: config.levels], grids, config.width))
        _start_biases(net, grids)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=1e-2, fused=True)
    begin, step, reported = time.monotonic(), 0, time.monotonic()
    bits, counted = 0.0, 0  # since then
    while (done := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 50) * (1 - done) + 1e-6
        taken, nats, numbers = 0, torch.zeros(()), 0
        while taken < positions:
            grid = grids[int(random.integers(len(grids)))]
            grid = _cropped(grid, random)
            found, count = net(grid)
            nats, numbers, taken = nats + found.sum(), numbers + int(count.sum()), taken + grid.counts.numel()
        optimizer.zero_grad(set_to_none=True)
        (nats / max(numbers, 1)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        bits += float(nats.detach()) / math.log(2)
        counted += numbers
        if time.monotonic() - reported > 60:
            report(f"context model, step {step}: {bits / max(counted, 1):.3f} bits per code")
            reported, bits, counted = time.monotonic(), 0.0, 0
    return net


def _cropped(grid: CodedGrid, random: np.random.Generator) -> CodedGrid:
    """A grid that begins at a random position, as pieces of pictures in blocks do."""
    h, w = grid.counts.shape
    top, left = int(random.integers(min(4, h))), int(random.integers(min(4, w)))
    return CodedGrid(grid.counts[top:, left:], grid.codes[top:, left:])


def _along_axes(books: Tensor, grids: Sequence[CodedGrid], width: int) -> tuple[Tensor, Tensor]:
    """Codes [K, S, D] along the principal axes of their sums in some grids [K, S, width], and the sums' sizes there."""
    total = []
    for grid in grids[:: max(1, len(grids) // 100)]:
        counts, codes = grid.counts.flatten(), grid.codes.flatten(0, 1)
        levels = range(min(codes.shape[1], len(books)))
        parts = [books[k][codes[:, k]] * (counts > k).unsqueeze(-1) for k in levels]
        total.append(torch.stack(parts).sum(0) if parts else books.new_zeros(1, books.shape[-1]))
    sums = torch.cat(total)
    if width < books.shape[-1]:
        here = (sums - sums.mean(0)).double()
        axes = torch.linalg.eigh(here.t() @ here).eigenvectors.flip(1)[:, :width].to(books)
        books, sums = books @ axes, sums @ axes
    return books, sums.std(0) + 1e-6


@torch.no_grad()
def _start_biases(net: FloatContextModel, grids: Sequence[CodedGrid]) -> None:
    """Let biases begin as the logarithms of how often codes occur."""
    for k in range(net.config.levels):
        parts = [grid.codes[..., k][grid.counts > k] for grid in grids if grid.codes.shape[-1] > k]
        codes = torch.cat([*parts, torch.zeros(0, dtype=torch.long)])
        classes, size = net.members.shape[1:]
        often = torch.bincount(net.index[k][codes], minlength=classes * size).float() + 0.5
        net.code_bias[k] = often.log()
        net.class_bias[k] = often.view(classes, size).sum(1).log()
        net.code_bias[k] -= net.code_bias[k].mean()
        net.class_bias[k] -= net.class_bias[k].mean()
