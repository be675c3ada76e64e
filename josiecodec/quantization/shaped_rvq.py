"""A residual stack for vectors whose variances are known beforehand: every vector shapes the codes for itself.

Encoder and decoder know how large each number of a vector is likely to be. Level k is to take its share of the bits
off where that costs least, and reverse water-filling (Cover and Thomas, section 10.3.3) says how much of each number
that is: `shapes[k]`, a standard deviation for each number. A code of level k is then `shapes[k] * E[j]`, with E of unit
variance. Codes drawn at random from a Gaussian are as good as any for such a source, so codebooks need not be stored;
the numbers are made from whole ones alone, and are the same on every machine.

Shapes change smoothly with variances. So machines that differ in the last digits of these decode to the same, but for
as little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CodesError, ConfigError
from ..nn.linear import FEW_ROWS, stable_linear
from .beam_search import _greatest
from .random_codes import STEP, random_codes

AT_ONCE = 128  # vectors compared with all codes together: what they give has to fit the processor's cache


def gaussian_codes(books: int, codebook_size: int, dim: int, seed: int = 0) -> Tensor:
    """`random_codes` as a tensor."""
    return torch.from_numpy(random_codes(books, codebook_size, dim, seed))


def water_levels(log_variance: Tensor, levels: int, bits: float) -> Tensor:
    """Above which variance nothing is left after 1, 2, ... levels: natural logarithms [levels, N, 1] for [N, D].

    Args:
        log_variance: natural logarithms, in any order.
        levels: of codes.
        bits: that each level takes off a vector.
    """
    descending = log_variance.sort(dim=1, descending=True).values
    total = descending.cumsum(1)
    count = torch.arange(1, total.shape[1] + 1, device=total.device, dtype=total.dtype)
    # With the m largest above water at level w: total[m] - m w = rate. The m that are coded are the most for which
    # descending[m] > w; what they cost, total[m] - m descending[m], never falls with m.
    rates = 2 * math.log(2) * bits * torch.arange(1, levels + 1, device=total.device, dtype=total.dtype)
    coded = torch.searchsorted(total - count * descending, rates.expand(len(total), -1).contiguous())
    coded = coded.clamp(1, total.shape[1])
    water = (total.gather(1, coded - 1) - rates) / coded.to(total.dtype)
    return water.t().unsqueeze(-1)


def shapes_of(left: Tensor) -> Tensor:
    """Standard deviation of what each level takes off: variances left [levels + 1, N, D] -> [levels, N, D]."""
    return (left[:-1] - left[1:]).clamp_min(0).sqrt()


class ShapedResidualQuantizer(nn.Module):
    """Vectors [N, D] with shapes [L, N, D] -> codes [N, L] and back.

    Args:
        dim: D.
        levels: the most levels L.
        codebook_size: codes of each level.
        books: codebooks. Levels share them, each with its numbers turned by another number of places: codes that are
            random all over are as good as others then, and one codebook fits the processor's cache. Learned codes suit
            their places, so there should be one codebook a level.
        learned: codes are tensors of the model, stored with its weights, else random ones that are made anew.
        seed: of random ones.
    """

    codes: Tensor
    scale: Tensor

    def __init__(
        self, dim: int, levels: int, codebook_size: int = 2048, books: int = 1, learned: bool = False, seed: int = 0
    ):
        super().__init__()
        turns = -(-levels // books)
        if turns > dim:
            raise ConfigError(f"{levels} levels are too many for {books} codebooks of {dim} numbers")
        self.dim, self.levels, self.books = dim, levels, books
        self.turn = dim // turns
        self.register_buffer("codes", gaussian_codes(books, codebook_size, dim, seed), learned)
        self.register_buffer("scale", torch.full((books,), 1 / STEP), learned)
        self._tables: tuple[tuple[int, ...], tuple[Tensor, Tensor]] | None = None

    @property
    def codebook_size(self) -> int:
        """Codes of each level."""
        return self.codes.shape[1]

    @torch.no_grad()
    def set_codebooks(self, codebooks: Tensor) -> None:
        """Take over codes [books, codebook_size, dim], rounded to 255 steps a codebook."""
        peak = codebooks.abs().amax((1, 2)).clamp_min(1e-9)
        self.scale.copy_(peak / 127)
        self.codes.copy_((codebooks / self.scale.view(-1, 1, 1)).round().clamp(-127, 127))

    @torch.no_grad()
    def tables(self) -> tuple[Tensor, Tensor]:
        """The codes and minus half their squares, float32 [books, codebook_size, dim]; kept while they stay so."""
        key: tuple[int, ...] | None = None
        if not self.codes.is_inference():
            key = tuple(part for t in (self.codes, self.scale) for part in (t.data_ptr(), t._version))
        if self._tables is None or key is None or self._tables[0] != key:
            codes = self.codes.float() * self.scale.float().view(-1, 1, 1)
            made = codes, -0.5 * codes.square()
            if key is None:
                return made
            self._tables = key, made
        return self._tables[1]

    def level(self, k: int) -> tuple[int, int]:
        """Codebook of level k, and by how many places its numbers are turned."""
        return k % self.books, k // self.books * self.turn

    @torch.no_grad()
    def encode(
        self,
        x: Tensor,
        shapes: Tensor,
        beams: int = 1,
        weights: Sequence[Tensor] | None = None,
        counts: Tensor | None = None,
    ) -> Tensor:
        """Search codes for vectors of known shapes.

        Args:
            x: [N, D].
            shapes: [L, N, D] of the levels wanted.
            beams: hypotheses kept, see `beam_search.py`; 1 takes the best code of each level.
            weights: [N, D] of each level, by which squared errors count there; None for all alike.
            counts: [N], levels to use of each vector, 0 .. L; None for all.

        Returns:
            int64 [N, L]. 0 of a level that is not used, or whose every code would do harm (if the codes are random
            ones).
        """
        found = torch.zeros(len(x), len(shapes), dtype=torch.long, device=x.device)
        for part, codes in self._parts(x, shapes, beams, weights, counts):
            found[part, : codes.shape[1]] = codes
        return found

    @torch.no_grad()
    def paths(
        self,
        x: Tensor,
        shapes: Tensor,
        beams: int = 1,
        weights: Sequence[Tensor] | None = None,
        counts: Tensor | None = None,
    ) -> Tensor:
        """What `encode` finds with every number of levels up to `counts`: int64 [N, L, L], with c levels in row c - 1.

        One search gives them all; the codes of few levels need not be the first ones of many.
        """
        found = torch.zeros(len(x), len(shapes), len(shapes), dtype=torch.long, device=x.device)
        kept: dict[int, Tensor] = {}
        for part, codes in self._parts(x, shapes, beams, weights, counts, kept):
            for k in range(codes.shape[1]):
                found[part[: len(kept[k])], k, : k + 1] = kept[k]
        return found

    def _parts(
        self,
        x: Tensor,
        shapes: Tensor,
        beams: int,
        weights: Sequence[Tensor] | None,
        counts: Tensor | None,
        kept: dict[int, Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices of a few vectors at a time, and `encode` of these."""
        if len(shapes) > self.levels:
            raise CodesError(f"{len(shapes)} levels of codes for a stack of {self.levels}")
        weights = [torch.ones_like(x)] * len(shapes) if weights is None else weights
        if counts is None:
            order = torch.arange(len(x), device=x.device)
            counts = torch.full_like(order, len(shapes))
        else:  # those of most levels first, so that those still searched lie together
            order = counts.argsort(descending=True, stable=True)
        for part in order.split(AT_ONCE):
            levels = int(counts[part[0]])
            own = [w[part] for w in weights[:levels]]
            yield part, self._search(x[part], shapes[:levels, part], own, beams, counts[part], kept)

    def _search(
        self,
        x: Tensor,
        shapes: Tensor,
        weights: Sequence[Tensor],
        beams: int,
        counts: Tensor,
        kept: dict[int, Tensor] | None = None,
    ) -> Tensor:
        """`encode` of a few vectors in falling order of counts; no row depends on those beside it.

        Args:
            kept: is given the best codes after each level k, [n, k + 1] of the n vectors that have more levels than k.
        """
        tables, _ = self.tables()
        found = torch.zeros(len(x), len(shapes), dtype=torch.long, device=x.device)
        searched = [int((counts > k).sum()) for k in range(len(shapes))] + [0]
        rest = x[: searched[0]].unsqueeze(1)  # [n, m, D], what each hypothesis leaves over
        chosen: list[Tensor] = []  # the code of each level so far in each hypothesis, [n, m]
        for k, own in enumerate(self._energies(shapes, weights, searched)):
            n = searched[k]
            (book, turn), shape, weight = self.level(k), shapes[k, :n], weights[k][:n]
            # w |r - a e|^2 = w |r|^2 - 2 ((w r a).e - (w a^2).e^2 / 2), all codes of a vector at once
            query = (rest * (shape * weight).unsqueeze(1)).roll(-turn, -1)
            score = stable_linear(query, tables[book], None).add_(own.unsqueeze(1))
            _, places = _greatest(score, -0.5 * (rest.square() * weight.unsqueeze(1)).sum(-1), beams)
            parent, code = places // self.codebook_size, places % self.codebook_size
            taken = shape.unsqueeze(1) * F.embedding(code, tables[book]).roll(turn, -1)
            chosen = [*(codes.gather(1, parent) for codes in chosen), code]
            if kept is not None:
                kept[k] = torch.stack([codes[:, 0] for codes in chosen], -1)
            stay = searched[k + 1]
            if stay < n:  # the others have all their levels
                found[stay:n, : k + 1] = torch.stack([codes[stay:, 0] for codes in chosen], -1)
                chosen = [codes[:stay] for codes in chosen]
                rest, parent, taken = rest[:stay], parent[:stay], taken[:stay]
            rest = rest.gather(1, parent.unsqueeze(-1).expand(-1, -1, self.dim)) - taken
        return found

    def _energies(self, shapes: Tensor, weights: Sequence[Tensor], searched: Sequence[int]) -> Iterator[Tensor]:
        """Minus half the weighted squared lengths of all codes of each level, of the first n [n, codebook_size]."""
        squares = self.tables()[1]
        # Of few vectors several levels make one product: products of a few rows cost as much as those of many.
        together = max(1, FEW_ROWS // max(1, shapes.shape[1])) if self.books == 1 else 1
        for first in range(0, len(shapes), together):
            n = searched[first]
            turned = [
                (shapes[k, :n].square() * weights[k][:n]).roll(-self.level(k)[1], -1)
                for k in range(first, min(first + together, len(shapes)))
            ]
            products = stable_linear(torch.stack(turned), squares[first % self.books], None)
            yield from (product[: searched[k]] for k, product in enumerate(products, first))

    def decode(self, codes: Tensor, shapes: Tensor) -> Tensor:
        """Codes [N, L] of the first L levels and the shapes of as many (or more) -> vectors [N, D]."""
        if codes.shape[1] > len(shapes):
            raise CodesError(f"{codes.shape[1]} levels of codes for shapes of {len(shapes)}")
        tables, _ = self.tables()
        total = torch.zeros_like(shapes[0])
        for k in range(codes.shape[1]):
            book, turn = self.level(k)
            total = total + shapes[k] * F.embedding(codes[:, k], tables[book]).roll(turn, -1)
        return total
