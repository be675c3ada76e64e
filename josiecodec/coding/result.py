"""What becomes of files, and who is told meanwhile; light, for codecs of any runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[float], None]


def no_progress(share: float) -> None:
    """Where nobody is told the share that is done."""


def rising(progress: Progress) -> Progress:
    """The same, which is not told less than before: of work whose steps are tried in several ways."""
    most = 0.0

    def tell(share: float) -> None:
        nonlocal most
        if share > most:
            most = share
            progress(share)

    return tell


class Passes:
    """Shares of work that reads a file anew until something fits: nobody knows how often, so that each pass has half of
    what is left.

    Args:
        progress: is told the share of the whole work that is done, 1 only at its end; None for nobody.
    """

    def __init__(self, progress: Progress | None):
        self._progress, self._done = progress, 0.0

    def another(self) -> Progress | None:
        """A pass begins; who is to be told of its share."""
        if self._progress is None:
            return None
        tell, begin, left = self._progress, self._done, (1 - self._done) / 2

        def share(done: float) -> None:
            self._done = max(self._done, begin + left * done)
            tell(self._done)

        return share

    def finish(self) -> None:
        """All is done."""
        if self._progress is not None:
            self._progress(1.0)


@dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes:
        seconds: length of the audio or video; 0 of an image.
        size: bytes of the file that was written.
        problems: what was wrong with a salvaged file.
        pixels: of all pictures.
        n_q: levels of the audio, or of all patches; None if patches have as many as each is worth, and of decoding.
        psnr: of an image that was to have a PSNR, the one that it has, in dB.
        full: of audio that was to keep to a bitrate, whether it has all the levels that it can have.
    """

    seconds: float
    size: int
    problems: tuple[str, ...] = ()
    pixels: int = 0
    n_q: int | None = None
    full: bool = False
    psnr: float | None = None
