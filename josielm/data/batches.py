"""Batches from datasets of tokens.

The batch of a step is a function of the seed and the step alone: nothing has to be remembered to go on in the middle
of a run, and any number of processes share the same batches among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from josiecodec.datasets.dataset import DatasetInfo, TokenDataset
from josiecodec.errors import CodecError, ConfigError, ModelError

from ..model.config import ModelConfig
from ..model.ids import Ids
from ..model.language_model import Inputs
from .chat import Packed, Turn, pack
from .groups import by_group, meta_value, partners
from .text import TextRows
from .vision import Pictures, Prefix


@dataclass(frozen=True)
class Item:
    """Rows of one clip, or a piece of it: as `Packed`, and the pictures that belong to it.

    Attributes:
        codes: int64 [K, T]; text: int64 [T] or None; user: int64 [K, T] or None; learn: bool [T].
        prefix: pictures, or None.
    """

    codes: np.ndarray
    text: np.ndarray | None
    user: np.ndarray | None
    learn: np.ndarray
    prefix: Prefix | None = None


def open_datasets(folders: Sequence[str | Path], n_q: int | None = None) -> list[TokenDataset]:
    """Datasets of audio that one codec made.

    Raises:
        CodecError: if there is none, one is no audio, or holds no clip.
        ModelError: if they were made by different codecs.
    """
    datasets = [TokenDataset(folder, n_q) for folder in folders]
    if not datasets:
        raise CodecError("no dataset was given")
    for dataset in datasets:
        if dataset.info.kind != "audio":
            raise CodecError(f"{dataset.folder}: holds vision tokens; the model needs audio")
        if not len(dataset) or not int(dataset.lengths.sum()):
            raise CodecError(f"{dataset.folder}: no clips in it")
        first = datasets[0].info
        if dataset.info.fingerprint != first.fingerprint:
            raise ModelError(
                f"{dataset.folder}: made by {dataset.info.codec} ({dataset.info.fingerprint[:12]}), "
                f"{datasets[0].folder} by {first.codec} ({first.fingerprint[:12]})"
            )
    return datasets


class Pieces:
    """Draws pieces of clips, or conversations, from datasets.

    Args:
        datasets: see `open_datasets`.
        config: of the model.
        frames: of a piece.
        rows: makes text, or None for none.
        weights: how often each dataset is drawn from; None for as often as it has frames.
        pictures: of some of the clips, or None.
        turns: give windows of conversations instead: groups of clips that have a `role`, the assistant among them.

    Raises:
        CodecError: if the datasets do not have what the model needs.
        ConfigError: if the assistant says nothing in any conversation.
    """

    def __init__(
        self,
        datasets: Sequence[TokenDataset],
        config: ModelConfig,
        frames: int,
        rows: TextRows | None = None,
        weights: Sequence[float] | None = None,
        pictures: Pictures | None = None,
        turns: bool = False,
    ):
        check_layout(datasets[0].info, config, min(d.n_q for d in datasets))
        self.datasets, self.config, self.frames, self.rows, self.pictures = datasets, config, frames, rows, pictures
        self.ids = Ids(config.codebook_size, config.text_size)
        rate = datasets[0].info.frame_rate
        both = [partners(d, rate[0] / rate[1]) if config.streams == 2 else ({}, set()) for d in datasets]
        self._partners = [partner for partner, _ in both]
        self._talks = [_conversations(d) for d in datasets] if turns else []
        if turns and not any(self._talks):
            raise CodecError("no conversations: clips need a group and a role")
        self._talks = [
            [talk for talk in talks if any(role == "assistant" for _, role in talk)] for talks in self._talks
        ]
        if turns and not any(self._talks):
            raise ConfigError("turns: nothing to learn, no conversation has a turn of the assistant")
        self._lengths = [_drawn(d.lengths, others) for d, (_, others) in zip(datasets, both)]
        sizes = np.array([len(t) for t in self._talks] if turns else [n.sum() for n in self._lengths], float)
        share = sizes if weights is None else np.array(weights, float)
        if len(share) != len(datasets) or share.min() < 0 or not share.sum() or share[sizes == 0].any():
            raise CodecError("every dataset needs a weight, none of them negative, and clips to draw from")
        self._share = np.cumsum(share / share.sum())
        self._ends = [np.cumsum(n) for n in self._lengths]
        self._text = lru_cache(maxsize=4096)(self._whole_text)

    def batch(self, seed: int, step: int, which: range) -> Inputs:
        """The items `which` of the batch of a step."""
        return collate([self.draw(np.random.default_rng([seed, step, i])) for i in which], self.ids)

    def draw(self, random: np.random.Generator) -> Item:
        """A piece of a random clip, long ones more often; or a window of a random conversation with words to learn."""
        number = int(np.searchsorted(self._share, random.random(), side="right").clip(0, len(self.datasets) - 1))
        if self._talks:
            talk = self._talks[number][int(random.integers(len(self._talks[number])))]
            whole = self._conversation(number, talk)
            return self._window(whole, _window_start(whole.learn, self.frames, random))
        ends = self._ends[number]
        clip = int(np.searchsorted(ends, random.integers(ends[-1]), side="right"))
        spare = int(self.datasets[number].lengths[clip]) - self.frames
        return self.piece(number, clip, int(random.integers(spare + 1)) if spare > 0 else 0)

    def piece(self, number: int, clip: int, start: int) -> Item:
        """`frames` frames of a clip from `start` on, fewer where it ends."""
        codes = self.datasets[number].crop(clip, start, self.frames)[:, : self.config.n_q].T.astype(np.int64)
        frames = codes.shape[1]
        text = self._text(number, clip)[start : start + frames] if self.rows is not None else None
        prefix = None
        if self.pictures is not None:
            prefix = self.pictures.of(meta_value(self.datasets[number].meta(clip), "group"), start)
        user = self._user(number, clip, start, frames) if self.config.streams == 2 else None
        return Item(codes, text, user, np.ones(frames, bool), prefix)

    def sequence(self) -> Iterator[Item]:
        """Every clip from its first frame to its last, in pieces; or conversations where they teach something."""
        for number, dataset in enumerate(self.datasets):
            if self._talks:
                for talk in self._talks[number]:
                    whole = self._conversation(number, talk)
                    windows = (self._window(whole, at) for at in range(0, len(whole.learn), self.frames))
                    yield from (window for window in windows if window.learn.any())
                continue
            for clip in np.nonzero(self._lengths[number])[0]:
                for start in range(0, int(dataset.lengths[clip]), self.frames):
                    yield self.piece(number, int(clip), start)

    def _whole_text(self, number: int, clip: int) -> np.ndarray:
        assert self.rows is not None  # only asked for where there is text
        dataset = self.datasets[number]
        return self.rows.row(dataset.meta(clip), int(dataset.lengths[clip]))

    def _user(self, number: int, clip: int, start: int, frames: int) -> np.ndarray | None:
        partner = self._partners[number].get(clip)
        if partner is None:
            return None
        out = np.full((self.config.n_q, frames), self.ids.absent)
        first = start - partner[1]  # the frame of the partner that falls on our first one
        heard = self.datasets[number].crop(partner[0], max(first, 0), frames - max(-first, 0) if first > -frames else 0)
        begin = max(-first, 0)
        out[:, begin : begin + len(heard)] = heard[:, : self.config.n_q].T
        return out

    def _conversation(self, number: int, talk: list[tuple[int, str]]) -> Item:
        assert self.rows is not None  # a model of turns has text
        dataset = self.datasets[number]
        turns = []
        for clip, role in talk:
            said = dataset[clip]
            turns.append(Turn(role, str(said.meta.get("text") or ""), said.codes if len(said.codes) else None))
        packed: Packed = pack(turns, self.rows, self.config)
        return Item(packed.codes, packed.text, packed.user, packed.learn)

    def _window(self, whole: Item, start: int) -> Item:
        part = slice(start, start + self.frames)
        text = None if whole.text is None else whole.text[part]
        user = None if whole.user is None else whole.user[:, part]
        return Item(whole.codes[:, part], text, user, whole.learn[part])


def _window_start(learn: np.ndarray, frames: int, random: np.random.Generator) -> int:
    """A random place for a window of so many frames, at least one of them to be learnt."""
    known = np.nonzero(learn)[0]
    target = int(known[random.integers(len(known))])
    last = max(min(target, len(learn) - frames), 0)
    return int(random.integers(max(target - frames + 1, 0), last + 1)) if last else 0


def check_layout(info: DatasetInfo, config: ModelConfig, levels: int) -> None:
    """Refuse codes that the model cannot read.

    Raises:
        ModelError: if there are too few levels or codes of another size.
    """
    if info.codebook_size != config.codebook_size or levels < config.n_q:
        raise ModelError(
            f"{config.name} reads {config.n_q} levels of {config.codebook_size} codes; "
            f"{info.codec} gave {levels} of {info.codebook_size}"
        )


def collate(items: Sequence[Item], ids: Ids) -> Inputs:
    """Items beside each other, the shorter ones filled up with what counts as nothing."""
    frames = max(item.codes.shape[1] for item in items)
    text = [i.text for i in items] if any(i.text is not None for i in items) else None
    user = [i.user for i in items] if any(i.user is not None for i in items) else None
    shape = items[0].codes.shape[0]
    prefixes = [i.prefix for i in items if i.prefix is not None]
    vision = grid = None
    if prefixes:
        levels, patches = prefixes[0].codes.shape[0], max(p.codes.shape[1] for p in prefixes)
        vision = _padded(
            [i.prefix.codes if i.prefix else None for i in items], (levels, patches), prefixes[0].absent, True
        )
        grid = _padded([i.prefix.grid if i.prefix else None for i in items], (3, patches), 0, True).mT
    return Inputs(
        codes=_padded([i.codes for i in items], (shape, frames), ids.absent),
        text=None if text is None else _padded(text, (frames,), ids.text_absent),
        user=None if user is None else _padded(user, (shape, frames), ids.absent),
        vision=vision,
        grid=grid,
        learn=_padded([i.learn for i in items], (frames,), 0).bool(),
    )


def _padded(rows: Sequence[np.ndarray | None], shape: tuple[int, ...], fill: int, before: bool = False) -> torch.Tensor:
    """Rows of different lengths beside each other, filled up behind, or before."""
    kind = next(row.dtype for row in rows if row is not None)
    out = np.full((len(rows), *shape), fill, kind)
    for target, row in zip(out, rows):
        if row is not None and row.shape[-1]:
            target[..., slice(-row.shape[-1], None) if before else slice(row.shape[-1])] = row
    return torch.from_numpy(out)


def _drawn(lengths: np.ndarray, others: set[int]) -> np.ndarray:
    """Frames of each clip, 0 for those that are only listened to."""
    out = lengths.copy()
    out[list(others)] = 0
    return out


def _conversations(dataset: TokenDataset) -> list[list[tuple[int, str]]]:
    """Groups of clips that have a role: (clip, role) in the order in which they were said."""
    groups = by_group(dataset).values()
    talks = ([(clip, str(meta_value(m, "role"))) for clip, m in members if meta_value(m, "role")] for members in groups)
    return [talk for talk in talks if talk]
