"""Training a network that reads words, on a pronouncing dictionary."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ..speech.letters import SLOTS, LettersToPhones

Report = Callable[[str], None]
LEFT_OUT = 50  # every so many words is kept for the measure
WORDS = 384  # of a step


def split_words(network: LettersToPhones, known: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Words to learn from, and words that are left out: every fiftieth, together with its inflected forms."""
    usable = []
    for word, phones in known.items():
        again = sum(a == b for a, b in itertools.pairwise(phones))
        if set(word) <= set(network.config.letters) and len(phones) + again <= SLOTS * len(word) and len(word) > 1:
            usable.append(word)
    usable.sort()
    stems = {word[:6] for word in usable[::LEFT_OUT] if len(word) >= 6}  # all that begin alike are left out
    measured = [word for word in usable if word[:6] in stems]
    return [word for word in usable if word[:6] not in stems], measured[:: max(1, len(measured) // 1500)]


def train_letters(
    network: LettersToPhones,
    known: dict[str, list[str]],
    minutes: float,
    seed: int = 0,
    report: Report = lambda line: None,
    lr: float = 2e-3,
) -> dict[str, float]:
    """Train for some minutes of processor time.

    Args:
        network: what is trained.
        known: words with their phones.
        report: called with lines of progress.

    Returns:
        errors on words that were left out, as shares: `phones` (insertions, deletions, substitutions by phones), and
        `words`, of words with any.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    learnt, measured = split_words(network, known)
    number = {phone: i + 1 for i, phone in enumerate(network.config.phones)}
    letters = [torch.tensor(network.ids(word)) for word in learnt]
    phones = [torch.tensor([number[p] for p in known[word]]) for word in learnt]
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()
    begun, step, loss = time.process_time(), 0, torch.zeros(())
    pad = torch.nn.utils.rnn.pad_sequence
    while (done := (time.process_time() - begun) / 60 / minutes) < 1:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 200) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
        rows = rng.choice(len(learnt), min(WORDS, len(learnt)), replace=False)
        ids = pad([letters[i] for i in rows], True)
        keep = pad([torch.ones(len(letters[i]), 1) for i in rows], True)
        answers = network(ids, keep).log_softmax(-1).transpose(0, 1)
        lengths = [torch.tensor([len(x[i]) for i in rows]) for x in (letters, phones)]
        loss = F.ctc_loss(answers, torch.cat([phones[i] for i in rows]), SLOTS * lengths[0], lengths[1])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            report(f"{done:4.0%} step {step} loss {float(loss.detach()):.3f}")
        step += 1
    network.eval()
    return measure(network, known, measured)


def measure(network: LettersToPhones, known: dict[str, list[str]], words: list[str]) -> dict[str, float]:
    """Errors of reading `words`, as `train_letters` says."""
    wrong = off = total = 0
    for word in words:
        errors = distance(known[word], network.read(word))
        off, wrong, total = off + errors, wrong + (errors > 0), total + len(known[word])
    return {"phones": off / max(total, 1), "words": wrong / max(len(words), 1), "measured": float(len(words))}


def distance(wanted: list[str], got: list[str]) -> int:
    """Insertions, deletions and substitutions between two rows."""
    row = list(range(len(got) + 1))
    for i, a in enumerate(wanted, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(got, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]
