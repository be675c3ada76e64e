"""The context model (`entropy/context_model.py`) in floating point, for training.

It learns class and code of each position by cross-entropy, and is then rounded to the integers with which encoder
and decoder compute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
from .config import PRIOR, ContextConfig
from .data import CodedGrid


def balanced_classes(vectors: Tensor) -> Tensor:
    """Sort codes [S, D] into classes of similar ones, all of about the same size: [C, M], -1 where there is no code."""
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
    size = max(map(len, parts))
    return torch.stack([F.pad(part.sort().values, (0, size - len(part)), value=-1) for part in parts])


class FloatContextModel(nn.Module):
    """The context model in floating point.

    Args:
        config: its size.
        books: vectors of the codes of each level, as they are summed, along `width` axes, [K, S, D].
        scale: standard deviation of such sums along each axis [D].
        members: codes of each class [K, C, M], see `balanced_classes`; None to sort them into classes.
    """

    members: Tensor
    index: Tensor
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
        index = torch.zeros(levels, size, dtype=torch.long)
        for k in range(levels):
            known = self.members[k].flatten()
            index[k, known[known >= 0]] = (known >= 0).nonzero()[:, 0]
        self.register_buffer("index", index)  # of each code among the members, class * M + number
        # Which codes are similar is known from their vectors, and need not be learnt.
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
        """Nats that the codes of each level take in all, and how many codes there are: [K], [K]."""
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
        k, position = there.t().nonzero().unbind(1)  # level after level
        numbers = there.sum(0)
        x = (
            context[position]
            + F.embedding(k, self.level)
            + F.embedding(counts[position].clamp_max(MAX_COUNT), self.count)
        )
        before = sums[position, k] - parts[position, k]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            x = F.relu(self.middle(F.relu(x + self.before(before)))).float()
        classes, most = self.members.shape[1:]
        symbol = self.index[k, codes[position, k]]
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
        return k, codes[position, k], nats

    def _around(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The neighbourhood of each position, as far as it is coded before: [N, A]."""
        h, w, _ = sums.shape
        number = torch.from_numpy(coding_passes(h, w))
        side = 2
        sums = F.pad(sums, (0, 0, side, side, side, side)).flatten(0, 1)
        when = F.pad(number, (side,) * 4, value=1 << 30).flatten()
        levels = F.pad(counts.clamp_max(MAX_COUNT) * (COUNT_UNIT / ACTIVATION), (side,) * 4).flatten()
        row, column = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        position = ((row + side) * (w + 2 * side) + column + side).flatten()
        step = torch.tensor([[down * (w + 2 * side) + right for down, right in way] for way in NEIGHBOURS])
        other = position[:, None] + step[number.flatten().clamp_max(4)]  # [N, 4]
        earlier = (when[other] < number.flatten()[:, None]).float()
        near = torch.tensor([down * (w + 2 * side) + right for down, right in COUNT_NEIGHBOURS])
        neighbours = (F.embedding(other, sums) * earlier.unsqueeze(-1)).flatten(1)
        return torch.cat(
            [neighbours, earlier, levels[position[:, None] + near], F.one_hot(number.flatten(), PASSES)], 1
        )


@torch.no_grad()
def mean_bits(net: FloatContextModel, grids: Sequence[CodedGrid]) -> Tensor:
    """Bits that each code takes on average [K, S], smoothed towards the average of its level where it is rare."""
    levels, size = net.table.shape[:2]
    bits, counts = torch.zeros(levels * size), torch.zeros(levels * size)
    for grid in grids:
        k, code, nats = net.each(grid)
        bits.index_add_(0, k * size + code, nats / math.log(2))
        counts.index_add_(0, k * size + code, torch.ones_like(nats))
    bits, counts = bits.view(levels, size), counts.view(levels, size)
    of_level = bits.sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp_min(1)
    return (bits + PRIOR * of_level) / (counts + PRIOR)


def to_integers(net: FloatContextModel, typical: Tensor) -> ContextModel:
    """The model in integers, with the result of `mean_bits`."""

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
