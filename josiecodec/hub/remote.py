"""Models in repositories of the Hugging Face hub: finding them in the cache, or fetching them.

Files that are in the local cache are used as they are, without asking the network: codes mean something only to the
very weights that made them. `huggingface_hub` (extra `hub`) does the work and is imported when needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..fingerprint import CONFIG_FILE, ENCODER_FILE, TABLES_FILE
from ..weight_files import WEIGHTS_FILE

PREFIX = "hf:"


def fetch(name: str, revision: str | None = None) -> Path:
    """Bring a model here, unless the cache has it.

    Args:
        name: "hf:org/repo", whose model is `config.json` and `model.safetensors`; or "hf:org/repo/file.safetensors".
        revision: branch, tag or commit; None for the main branch.

    Returns:
        the folder, or the file.

    Raises:
        ModelError: if there is no such model, it can be had neither from the cache nor from the network, or it is
            damaged.
    """
    repository, file = _parts(name)
    source = _Repository(repository, revision)
    if file is not None:
        return source.get(file)
    config = source.get(CONFIG_FILE)
    _check_kind(config, name)
    if not source.cached(WEIGHTS_FILE):  # fetched last: a cache that has them has all
        for file in (TABLES_FILE, ENCODER_FILE):
            with contextlib.suppress(_NotThere):
                source.get(file)
    source.get(WEIGHTS_FILE)
    return config.parent


def cached_kind(name: str) -> str | None:
    """What `config.json` of "hf:org/repo" calls its kind of model (`model_type`), if the cache has that file."""
    repository = _parts(name)[0]
    path = huggingface_hub().try_to_load_from_cache(repository, CONFIG_FILE)
    if not isinstance(path, str):
        return None
    try:
        kind = json.loads(Path(path).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return kind if isinstance(kind, str) else None


def _parts(name: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/(.+\.safetensors))?", name.removeprefix(PREFIX))
    if not match or ".." in name.split("/"):
        raise ModelError(f"{name}: repositories are {PREFIX}org/repo or {PREFIX}org/repo/file.safetensors")
    return match[1], match[2]


def _check_kind(config: Path, name: str) -> None:
    """Look before gigabytes of something else are fetched."""
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{name}: its {CONFIG_FILE} cannot be read ({error})") from None
    if not isinstance(values, dict) or not ({"format", "type"} <= set(values) or values.get("model_type") == "mimi"):
        kind = values.get("model_type", "nothing known") if isinstance(values, dict) else "nothing known"
        raise ModelError(f"{name}: neither a josiecodec model nor a Mimi ({kind})")


class _NotThere(ModelError):
    """A repository that can be reached has no such file."""


class _Repository:
    """One revision of a repository: the commit of the first file that is got holds for the others."""

    def __init__(self, name: str, revision: str | None):
        self.name = name
        self.revision = revision
        self._answers = False  # whether it was seen that the hub can be reached

    def cached(self, file: str) -> bool:
        """Whether a file is in the cache."""
        return isinstance(huggingface_hub().try_to_load_from_cache(self.name, file, revision=self.revision), str)

    def get(self, file: str) -> Path:
        """The path of a file in the cache, where it is put if need be."""
        hub = huggingface_hub()
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            here = self.cached(file)
            if not here:
                self._reach(file)
            with _quiet():  # without a network it prints a line for each of its many attempts
                path = Path(hub.hf_hub_download(self.name, file, revision=self.revision, local_files_only=here))
        except LocalEntryNotFoundError:
            raise self._unreachable() from None
        except EntryNotFoundError:
            raise _NotThere(f"{PREFIX}{self.name}: there is no {file} in this repository") from None
        except hub_errors() as error:
            raise ModelError(f"{PREFIX}{self.name}: {first_line(error)}") from None
        snapshots = next(parent for parent in path.parents if parent.name == "snapshots")
        self.revision = path.relative_to(snapshots).parts[0]
        _check_hash(path)
        return path

    def _reach(self, file: str) -> None:
        """Ask the hub for a file once: without a network a download tries for half a minute.

        Raises:
            ModelError: if it cannot be reached.
        """
        hub = huggingface_hub()
        if self._answers or hub.constants.HF_HUB_OFFLINE:
            return
        try:
            hub.get_hf_file_metadata(hub.hf_hub_url(self.name, file, revision=self.revision))
        except transport_errors():
            raise self._unreachable() from None
        except hub_errors():
            pass  # an answer, if not the one hoped for: the download says what is wrong
        self._answers = True

    def _unreachable(self) -> ModelError:
        return ModelError(f"{PREFIX}{self.name}: not all of it is in the local cache, and the hub cannot be reached")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings that huggingface_hub logs; what fails in the end is an error anyway."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_hash(path: Path) -> None:
    """The cache stores a file under the hash that the hub gave for it; make sure that it is the file's.

    Raises:
        ModelError: if it is not.
    """
    known = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", known):
        digest = hashlib.sha256()
    elif re.fullmatch("[0-9a-f]{40}", known):  # a small file: as git counts
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        return
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != known:
        raise ModelError(f"{path}: is damaged (its hash is not that of the hub); delete it to fetch it again")


def hub_errors() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises: its own errors are of the first two kinds, those of the connection of the others."""
    return OSError, ValueError, *_of_http("HTTPError")


def transport_errors() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises where there is no connection."""
    return ConnectionError, TimeoutError, *_of_http("TransportError")


def _of_http(error: str) -> Iterator[type[Exception]]:
    for name in ("httpx", "httpx2"):  # which one it uses depends on its version
        with contextlib.suppress(ImportError):
            yield getattr(importlib.import_module(name), error)


def first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def huggingface_hub() -> Any:
    """The package, imported when it is needed.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise ModelError(
            f"repositories ({PREFIX}org/repo) need the package huggingface_hub: pip install 'josiecodec[hub]'"
        ) from None
