"""When each letter of a text is said: the best way through the letters, found by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE = 0  # the letter that stands for no word
ANY = -1  # a sound that has no letter, as of a number in digits: whatever is not silence

MAX_STEPS = 1 << 29  # bytes of the table of steps: about ten minutes of speech

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Path:
    """Words on a recording.

    Attributes:
        words: first frame of each word, and the frame behind its last one.
        score: log-probability of the path, a frame.
    """

    words: list[tuple[int, int]]
    score: float


def states_of(words: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Silence, the letters of a word, silence, those of the next, ..., silence.

    Returns:
        the letter of each state, whether it can be left out (silence can), and the word that it is of (-1 for silence).
    """
    letters, optional, owners = [SILENCE], [True], [-1]
    for number, word in enumerate(words):
        letters += [*word, SILENCE]
        optional += [*[False] * len(word), True]
        owners += [*[number] * len(word), -1]
    return np.array(letters), np.array(optional), np.array(owners)


def emissions(frames: Scores, letters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-probabilities [F, S] of states, of those [F, L] of letters; `ANY` has the likeliest letter but silence."""
    both = np.concatenate([frames, frames[:, 1:].max(1, keepdims=True)], 1)
    return both[:, letters].astype(np.float64)  # `ANY` is the last one


def shortest(words: Sequence[Sequence[int]]) -> int:
    """Frames that words take at least: one a letter."""
    return sum(len(word) for word in words)


def best_states(frames: Scores, words: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], float]:
    """The likeliest way through words: all letters in their order, each for a frame or more, with silence between words
    or without.

    Args:
        frames: log-probabilities [F, L] of letters, the first of them silence.
        words: the letters of each, `ANY` for a sound without one; none is empty.

    Returns:
        states [F], as `states_of` numbers them, and the log-probability of the way.

    Raises:
        ValueError: if there are fewer frames than letters, no words, or more of both than memory is taken for.
    """
    if not words or not all(words):
        raise ValueError("there is no word")
    if len(frames) < shortest(words):
        raise ValueError(f"{shortest(words)} letters do not fit into {len(frames)} frames of 20 ms")
    letters, optional, _ = states_of(words)
    count, size = len(frames), len(letters)
    if count * size > MAX_STEPS:
        raise ValueError(f"{count} frames and {size - 1} letters are too long to be aligned as one")
    scores = emissions(frames, letters)
    best = np.full(size, -np.inf)
    best[:2] = scores[0, :2]
    steps = np.zeros((count, size), np.int8)  # states that each frame has come forward by
    choices = np.full((3, size), -np.inf)
    skipping = np.where(optional[1:-1], 0.0, -np.inf)
    for at in range(1, count):
        choices[0], choices[1, 1:] = best, best[:-1]
        choices[2, 2:] = best[:-2] + skipping
        steps[at] = choices.argmax(0)
        best = choices.max(0) + scores[at]
    state = size - 1 if best[-1] > best[-2] else size - 2
    score = float(best[state])
    states = np.empty(count, np.int64)
    for at in range(count - 1, -1, -1):
        states[at] = state
        state -= int(steps[at, state])
    return states, score


def best_path(frames: Scores, words: Sequence[Sequence[int]]) -> Path:
    """Where words are on the likeliest way through them; arguments and errors are those of `best_states`."""
    states, score = best_states(frames, words)
    spoken = states_of(words)[2][states]
    edges = [np.flatnonzero(spoken == number)[[0, -1]] for number in range(len(words))]
    return Path([(int(first), int(last) + 1) for first, last in edges], score / len(frames))
