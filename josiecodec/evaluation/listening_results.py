"""What listeners heard: scores of a listening test with intervals, after screening them as in ITU-R BS.1534-3."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CodecError
from .listening_test import ANCHORS, REFERENCE

SHARE = 0.15  # of the trials in which a listener may be wrong
GOOD = 90.0  # below which the hidden reference, or above which the mid anchor, must not be rated more often


def read_results(key_path: Path, paths: list[Path]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The key of a test, and results of listeners of that test.

    Raises:
        CodecError: if a file cannot be read, is of another test, or two are of one listener.
    """
    key = _read(key_path, ("kind", "test", "trials"))
    _check_key(key_path, key)
    results: list[dict[str, Any]] = []
    for path in paths:
        result = _read(path, ("test", "listener", "answers"))
        if result["test"] != key["test"]:
            raise CodecError(f"{path} is of another test than {key_path}")
        if not isinstance(result["listener"], str):
            raise CodecError(f"{path}: the name of its listener is no text")
        if any(result["listener"] == other["listener"] for other in results):
            raise CodecError(f"{path}: a second result of the listener {result['listener']!r}")
        _check(path, key, result)
        results.append(result)
    return key, results


def _read(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CodecError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict) or not set(names) <= found.keys():
        raise CodecError(f"{path} has no {', '.join(names)}: not a file of a listening test")
    return found


def _check_key(path: Path, key: dict[str, Any]) -> None:
    """The kind is known, and every trial has named sounds: two of ABX and AB."""
    good = key["kind"] in ("mushra", "abx", "ab") and isinstance(key["trials"], list)
    for trial in key["trials"] if good else ():
        sounds: Any = trial.get("sounds") if isinstance(trial, dict) else None
        good = good and isinstance(sounds, dict) and all(isinstance(name, str) for name in sounds.values())
        good = good and (key["kind"] == "mushra" or len(sounds) == 2) and (key["kind"] != "abx" or "x_is" in trial)
    if not good:
        raise CodecError(f"{path} is not the key of a listening test")


def _check(path: Path, key: dict[str, Any], result: dict[str, Any]) -> None:
    """Every answer is of a trial, each once, and of its sounds."""
    try:
        seen = [answer["trial"] for answer in result["answers"]]
        if sorted(seen) != sorted(set(seen)) or not all(0 <= n < len(key["trials"]) for n in seen):
            raise ValueError
        for answer in result["answers"]:
            names = key["trials"][answer["trial"]]["sounds"]
            sounds = {sound for sound, name in names.items() if key["kind"] != "mushra" or name != REFERENCE}
            if key["kind"] == "mushra":
                scores = answer["scores"]  # of all sounds, as the page asks for: who left some out cannot be screened
                good = scores.keys() == sounds and all(0 <= float(score) <= 100 for score in scores.values())
            else:
                good = answer["choice"] in sounds
            if not good:
                raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise CodecError(f"{path}: its answers do not fit the test") from None


def screened(key: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, str]:
    """Listeners to leave out by BS.1534-3, each with the reason; of MUSHRA alone.

    These rate the hidden reference below 90, or the anchor of 7 kHz above 90, in more than 15 % of the trials.
    """
    out = {}
    for result in results if key["kind"] == "mushra" else ():
        rated = [_by_name(key, answer) for answer in result["answers"]]
        low = sum(scores.get(f"hidden {REFERENCE}", 100.0) < GOOD for scores in rated)
        high = sum(scores.get(list(ANCHORS)[-1], 0.0) > GOOD for scores in rated)
        if low > SHARE * len(rated):
            out[result["listener"]] = f"rated the hidden reference below {GOOD:g} in {low} of {len(rated)} trials"
        elif high > SHARE * len(rated):
            out[result["listener"]] = f"rated the anchor of 7 kHz above {GOOD:g} in {high} of {len(rated)} trials"
    return out


def _by_name(key: dict[str, Any], answer: dict[str, Any]) -> dict[str, float]:
    sounds = key["trials"][answer["trial"]]["sounds"]
    return {sounds[sound]: float(score) for sound, score in answer["scores"].items()}


def evaluate(key: dict[str, Any], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each codec, reference and anchor of MUSHRA; for each pair of ABX and AB.

    Intervals are of 95 %: by Student's t over all ratings of MUSHRA, by Wilson of shares; `p` is that of the exact
    binomial test against guessing (ABX) or no preference (AB), two-sided for the latter.
    """
    if key["kind"] == "mushra":
        return _mushra(key, results)
    return _pairs(key, results)


def _scipy_stats() -> Any:
    try:
        import scipy.stats
    except ImportError:
        raise CodecError("listening tests need the package scipy (extra 'eval')") from None
    return scipy.stats


def _mushra(key: dict[str, Any], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    t = _scipy_stats().t
    scores: dict[str, list[float]] = {}
    for result in results:
        for answer in result["answers"]:
            for name, score in _by_name(key, answer).items():
                scores.setdefault(name, []).append(score)
    lines = []
    for name, values in scores.items():
        line: dict[str, Any] = {"name": name, "ratings": len(values), "mean": round(float(np.mean(values)), 2)}
        if len(values) > 1:
            half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
            line |= {"low": round(line["mean"] - half, 2), "high": round(line["mean"] + half, 2)}
        low, middle, high = np.percentile(values, (25, 50, 75))
        lines.append(line | {"quartile_1": float(low), "median": float(middle), "quartile_3": float(high)})
    return sorted(lines, key=lambda line: -line["mean"])


def _pairs(key: dict[str, Any], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    binomtest = _scipy_stats().binomtest
    counts: dict[tuple[str, str], list[bool]] = {}
    for result in results:
        for answer in result["answers"]:
            trial = key["trials"][answer["trial"]]
            first, second = trial["sounds"].values()
            won = answer["choice"] == trial["x_is"] if "x_is" in trial else trial["sounds"][answer["choice"]] == second
            counts.setdefault((first, second), []).append(won)
    lines = []
    for (first, second), answers in counts.items():
        test = binomtest(sum(answers), len(answers), 0.5, "greater" if key["kind"] == "abx" else "two-sided")
        share = binomtest(sum(answers), len(answers)).proportion_ci(method="wilson")
        what = "right" if key["kind"] == "abx" else "preferred"
        lines.append(
            {"name": second, "against": first, "answers": len(answers), what: round(sum(answers) / len(answers), 4)}
            | {"low": round(float(share.low), 4), "high": round(float(share.high), 4), "p": float(f"{test.pvalue:.3g}")}
        )
    return lines


def format_results(lines: list[dict[str, Any]]) -> str:
    """Lines of `evaluate` for a terminal."""
    out = []
    for line in lines:
        interval = f"({line['low']:.4g} to {line['high']:.4g})" if "low" in line else "(no interval)"
        if "mean" in line:
            text = f"{line['name']:30}{line['mean']:7.1f}  {interval:20}  median {line['median']:g}"
            out.append(f"{text}, {line['ratings']} ratings")
        else:
            what = "right" if "right" in line else "preferred"
            text = f"{line['name']} against {line['against']}: {what} {line[what]:.1%} {interval} of {line['answers']}"
            out.append(f"{text}, p = {line['p']:g}")
    return "\n".join(out) or "no listeners"
