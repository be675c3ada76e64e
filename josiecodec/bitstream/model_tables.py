"""The entropy tables that the codes of a stream are coded with: given ones, or those of a model that ships."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import Tables, read_tables
from ..errors import ModelError
from ..fingerprint import same_fingerprint, tables_file
from ..shipped import find_shipped
from .header import StreamInfo


def find_tables(info: StreamInfo, given: Tables | None) -> EntropyTables | None:
    """The tables of the model that made a stream, among those given and those that came with the package."""
    for fingerprint, tables in (given or {}).items():
        if same_fingerprint(fingerprint, info.fingerprint):
            return tables
    folder = find_shipped(info.fingerprint, info.model)
    path = None if folder is None else tables_file(folder)
    return None if path is None or not path.is_file() else read_once(path)


def tables_for(info: StreamInfo, given: Tables | None) -> EntropyTables:
    """As `find_tables`.

    Raises:
        ModelError: if there are none.
    """
    tables = find_tables(info, given)
    if tables is None:
        raise ModelError(
            f"the codes are coded with tables of model {info.model} ({info.fingerprint[:12]}), which did not come with "
            "this version; give its folder (on the command line --model FOLDER)"
        )
    return tables


@cache
def read_once(path: Path) -> EntropyTables:
    """`read_tables` of a file of the package, which stays as it is."""
    return read_tables(path)
