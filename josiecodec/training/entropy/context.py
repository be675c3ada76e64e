"""Training the context network (`entropy/context_model.py`) that says how likely codes are, on codes that a model gave.

It learns in floating point, class and code by cross-entropy, and is then rounded to the whole numbers with which
encoder and decoder compute.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...entropy.context_model import (
    ACTIVATION,
    COUNT_NEIGHBOURS,
    COUNT_UNIT,
    LIMIT,
    MAX_COUNT,
    NEIGHBOURS,
    PASSES,
    SIDE_INPUTS,
    TABLE,
    WEIGHT,
    ContextModel,
    coding_passes,
    similarity_features,
)

PRIOR = 20.0  # times that a code has to occur before its own average counts more than its level's


@dataclass(frozen=True)
class ContextConfig:
    """Size of a context network.

    Attributes:
        levels: that it knows; deeper ones gain nothing.
        width: numbers that it knows a code by: along so many principal axes of all sums of codes.
        outer, hidden: widths of the layers that see what is around, and of those that see the levels before.
    """

    levels: int = 12
    width: int = 96
    outer: int = 256
    hidden: int = 256


@dataclass(frozen=True)
class CodedGrid:
    """Codes of a picture, or of some frames of sound (one row).

    Attributes:
        counts: int64 [h, w], levels of each place.
        codes: int64 [h, w, K], anything behind the last level.
    """

    counts: Tensor
    codes: Tensor


def balanced_classes(vectors: Tensor) -> Tensor:
    """Sort codes [S, D] into classes of like ones, all of about the same size: [C, M], -1 where there is no code."""
    count = 1
    while 2 * count * count <= len(vectors):
        count *= 2
    parts = [torch.arange(len(vectors))]
    while len(parts) < count:
        halves = []
        for part in parts:
            here = vectors[part] - vectors[part].mean(0)
            axis = torch.linalg.eigh(here.double().t() @ here.double()).eigenvectors[:, -1].to(here)
            order = (here @ axis).argsort(stable=True)
            halves += [part[order[: len(part) // 2]], part[order[len(part) // 2 :]]]
        parts = halves
    most = max(map(len, parts))
    return torch.stack([F.pad(part.sort().values, (0, most - len(part)), value=-1) for part in parts])


class TrainedContext(nn.Module):
    """The network in floating point.

    Args:
        config: its size.
        books: the codes of each level as they add up, along `width` axes, [K, S, D].
        scale: size of sums of them along each axis [D].
        members: codes of each class [K, C, M], see `balanced_classes`; None to sort them into classes.
    """

    members: Tensor
    place: Tensor
    table: Tensor
    into: Tensor
    like: Tensor
    class_like: Tensor
    embedding: Tensor

    def __init__(self, config: ContextConfig, books: Tensor, scale: Tensor, members: Tensor | None = None):
        super().__init__()
        self.config = config
        books = books[: config.levels]
        levels, size, _ = books.shape
        if members is None:
            members = torch.stack([balanced_classes(book) for book in books])
        self.register_buffer("members", members)  # [K, C, M]
        classes, most = self.members.shape[1:]
        place = torch.zeros(levels, size, dtype=torch.long)
        for k in range(levels):
            known = self.members[k].flatten()
            place[k, known[known >= 0]] = (known >= 0).nonzero()[:, 0]
        self.register_buffer("place", place)  # where each code is among the members, class * M + number
        # What codes are like is known from the beginning, not to be learnt from how they occur.
        unit = books.square().mean(1, keepdim=True).sqrt() + 1e-6  # [K, 1, D]
        table = (books / unit * TABLE).round().clamp(-128, 127)
        into = (ACTIVATION / TABLE * WEIGHT * unit[:, 0] / scale).round().clamp(0, LIMIT)
        self.register_buffer("table", table.to(torch.int8))
        self.register_buffer("into", into.to(torch.int16))
        like = torch.from_numpy(similarity_features(self.table.numpy())).float() / TABLE  # [K, S, D + GROUPS]
        here = (self.members >= 0).unsqueeze(-1)
        rows = torch.stack([part[row] for part, row in zip(like, self.members.clamp_min(0))]) * here
        self.register_buffer("like", rows.flatten(1, 2), False)  # [K, C * M, D + GROUPS]
        middle = rows.sum(2) / here.sum(2).clamp_min(1)
        self.register_buffer("class_like", (middle * ACTIVATION).round() / ACTIVATION, False)
        self.register_buffer("embedding", self.table.float() * self.into.unsqueeze(1) / (ACTIVATION * WEIGHT), False)
        features = like.shape[-1]
        self.around = nn.Linear(4 * books.shape[-1] + SIDE_INPUTS, config.outer)
        self.outer = nn.Linear(config.outer, config.hidden)
        self.before = nn.Linear(books.shape[-1], config.hidden, bias=False)
        self.level = nn.Parameter(torch.randn(levels, config.hidden))
        self.count = nn.Parameter(torch.randn(MAX_COUNT + 1, config.hidden))
        self.middle = nn.Linear(config.hidden, config.hidden)
        self.to_class = nn.Linear(config.hidden, features)
        self.class_scale = nn.Parameter(torch.full((levels, features), 0.3))
        self.class_bias = nn.Parameter(torch.zeros(levels, classes))
        self.to_code = nn.Linear(config.hidden, features)
        self.code_scale = nn.Parameter(torch.full((levels, features), 0.3))
        self.code_bias = nn.Parameter(torch.zeros(levels, classes * most))

    def forward(self, grid: CodedGrid) -> tuple[Tensor, Tensor]:
        """Nats that the codes of each level take, in sum, and how many they are: [K], [K]."""
        k, _, nats = self.each(grid)
        total = torch.zeros(self.config.levels).index_add(0, k, nats)
        return total, torch.bincount(k, minlength=self.config.levels)

    def each(self, grid: CodedGrid) -> tuple[Tensor, Tensor, Tensor]:
        """Level of each code of a grid, the code, and the nats that it takes: [n], level after level."""
        h, w = grid.counts.shape
        size = self.table.shape[1]
        codes, counts = grid.codes.flatten(0, 1)[:, : self.config.levels], grid.counts.flatten()
        levels = torch.arange(codes.shape[1])
        there = counts.unsqueeze(-1) > levels  # [N, K]
        parts = F.embedding(codes + size * levels, self.embedding.flatten(0, 1)) * there.unsqueeze(-1)
        sums = parts.cumsum(1)
        around = self._around(sums[:, -1].view(h, w, -1), grid.counts)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            context = self.outer(F.relu(self.around(around))).float()
        k, place = there.t().nonzero().unbind(1)  # level after level
        numbers = there.sum(0)
        x = context[place] + F.embedding(k, self.level) + F.embedding(counts[place].clamp_max(MAX_COUNT), self.count)
        before = sums[place, k] - parts[place, k]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            x = F.relu(self.middle(F.relu(x + self.before(before)))).float()
        classes, most = self.members.shape[1:]
        symbol = self.place[k, codes[place, k]]
        own = torch.div(symbol, most, rounding_mode="floor")
        wanted = self.to_class(x) * F.embedding(k, self.class_scale)
        ends = zip(wanted.split(numbers.tolist()), self.class_like.unbind(), self.class_bias.unbind())
        nats = F.cross_entropy(torch.cat([F.linear(*end) for end in ends]), own, reduction="none")
        rows = (k * classes + own).unsqueeze(-1) * most + torch.arange(most)
        like = F.embedding(k * classes + own, self.like.view(-1, most * self.like.shape[-1])).unflatten(1, (most, -1))
        wanted = self.to_code(x) * F.embedding(k, self.code_scale)
        logits = torch.bmm(like, wanted.unsqueeze(-1))[..., 0]
        logits = logits + F.embedding(rows, self.code_bias.view(-1, 1))[..., 0]
        logits = logits.masked_fill(self.members[k, own] < 0, -1e4)
        nats = nats + F.cross_entropy(logits, symbol % most, reduction="none")
        return k, codes[place, k], nats

    def _around(self, sums: Tensor, counts: Tensor) -> Tensor:
        """What the network sees around each place: [N, A]."""
        h, w, _ = sums.shape
        stage = torch.from_numpy(coding_passes(h, w))
        side = 2
        sums = F.pad(sums, (0, 0, side, side, side, side)).flatten(0, 1)
        when = F.pad(stage, (side,) * 4, value=1 << 30).flatten()
        levels = F.pad(counts.clamp_max(MAX_COUNT) * (COUNT_UNIT / ACTIVATION), (side,) * 4).flatten()
        row, column = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        place = ((row + side) * (w + 2 * side) + column + side).flatten()
        step = torch.tensor([[down * (w + 2 * side) + right for down, right in way] for way in NEIGHBOURS])
        other = place[:, None] + step[stage.flatten().clamp_max(4)]  # [N, 4]
        earlier = (when[other] < stage.flatten()[:, None]).float()
        near = torch.tensor([down * (w + 2 * side) + right for down, right in COUNT_NEIGHBOURS])
        seen = (F.embedding(other, sums) * earlier.unsqueeze(-1)).flatten(1)
        return torch.cat([seen, earlier, levels[place[:, None] + near], F.one_hot(stage.flatten(), PASSES)], 1)


def train_context(
    config: ContextConfig,
    books: Tensor,
    grids: Sequence[CodedGrid],
    minutes: float,
    places: int = 1500,
    lr: float = 1.5e-3,
    say: Callable[[str], None] = lambda _: None,
    seed: int = 0,
    net: TrainedContext | None = None,
) -> TrainedContext:
    """Train a network for so many minutes.

    Args:
        config: its size.
        books: the codes of each level as they add up, [levels, S, D]; deeper levels are left out.
        grids: what to learn from.
        minutes: of training.
        places: in a step, about.
        lr: learning rate at the beginning; it falls to nothing.
        say: receives a line meant for a person once a minute.
        seed: of everything random.
        net: to train on, for these books; None for a new one.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    if net is None:
        net = TrainedContext(config, *_along_axes(books[: config.levels], grids, config.width))
        _start_biases(net, grids)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=1e-2, fused=True)
    begin, step, told = time.monotonic(), 0, time.monotonic()
    bits, seen = 0.0, 0  # since then
    while (done := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 50) * (1 - done) + 1e-6
        taken, nats, numbers = 0, torch.zeros(()), 0
        while taken < places:
            grid = grids[int(random.integers(len(grids)))]
            grid = _turned(grid, random)
            found, count = net(grid)
            nats, numbers, taken = nats + found.sum(), numbers + int(count.sum()), taken + grid.counts.numel()
        optimizer.zero_grad(set_to_none=True)
        (nats / max(numbers, 1)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        bits += float(nats.detach()) / math.log(2)
        seen += numbers
        if time.monotonic() - told > 60:
            say(f"context network, step {step}: {bits / max(seen, 1):.3f} bits a code")
            told, bits, seen = time.monotonic(), 0.0, 0
    return net


def _turned(grid: CodedGrid, random: np.random.Generator) -> CodedGrid:
    """A grid that begins at a random place, as pieces of pictures in blocks do."""
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
def _start_biases(net: TrainedContext, grids: Sequence[CodedGrid]) -> None:
    """Begin with how often codes occur."""
    for k in range(net.config.levels):
        seen = [grid.codes[..., k][grid.counts > k] for grid in grids if grid.codes.shape[-1] > k]
        codes = torch.cat([*seen, torch.zeros(0, dtype=torch.long)])
        classes, most = net.members.shape[1:]
        often = torch.bincount(net.place[k][codes], minlength=classes * most).float() + 0.5
        net.code_bias[k] = often.log()
        net.class_bias[k] = often.view(classes, most).sum(1).log()
        net.code_bias[k] -= net.code_bias[k].mean()
        net.class_bias[k] -= net.class_bias[k].mean()


@torch.no_grad()
def typical_bits(net: TrainedContext, grids: Sequence[CodedGrid]) -> Tensor:
    """Bits that each code takes on average [K, S]; those of its level, more or less, where it is rare."""
    levels, size = net.table.shape[:2]
    bits, seen = torch.zeros(levels * size), torch.zeros(levels * size)
    for grid in grids:
        k, code, nats = net.each(grid)
        bits.index_add_(0, k * size + code, nats / math.log(2))
        seen.index_add_(0, k * size + code, torch.ones_like(nats))
    bits, seen = bits.view(levels, size), seen.view(levels, size)
    usual = bits.sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp_min(1)
    return (bits + PRIOR * usual) / (seen + PRIOR)


def rounded(net: TrainedContext, typical: Tensor) -> ContextModel:
    """The network in whole numbers, with what `typical_bits` found."""

    def whole(x: Tensor, scale: int) -> np.ndarray:
        most = LIMIT * max(scale // WEIGHT, 1)
        return (x.detach().double() * scale).round().clamp(-most, most).numpy()

    both = ACTIVATION * WEIGHT
    return ContextModel(
        {
            "members": net.members.numpy().astype(np.int16),
            "table": net.table.numpy(),
            "into": net.into.numpy(),
            "around": whole(net.around.weight, WEIGHT),
            "around_bias": whole(net.around.bias, both),
            "outer": whole(net.outer.weight, WEIGHT),
            "outer_bias": whole(net.outer.bias, both),
            "before": whole(net.before.weight, WEIGHT),
            "level": whole(net.level, ACTIVATION),
            "count": whole(net.count, ACTIVATION),
            "middle": whole(net.middle.weight, WEIGHT),
            "middle_bias": whole(net.middle.bias, both),
            "to_class": whole(net.to_class.weight, WEIGHT),
            "to_class_bias": whole(net.to_class.bias, both),
            "class_scale": whole(net.class_scale, WEIGHT),
            "classes": whole(net.class_like, ACTIVATION),
            "class_bias": whole(net.class_bias, ACTIVATION * ACTIVATION),
            "to_code": whole(net.to_code.weight, WEIGHT),
            "to_code_bias": whole(net.to_code.bias, both),
            "code_scale": whole(net.code_scale, WEIGHT),
            "code_bias": whole(net.code_bias, ACTIVATION * TABLE),
            "typical": whole(typical, ACTIVATION),
        }
    )
