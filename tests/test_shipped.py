"""Finding the models that came with the package, without hashing more than is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from josiecodec import shipped
from josiecodec.bitstream.container import TokenReader
from josiecodec.errors import ModelError
from josiecodec_cli.main import cli

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Names of the model folders whose files are hashed, one after the other."""
    names: list[str] = []
    of_folder = shipped.of_folder

    def counted(folder: Path) -> str:
        names.append(folder.name)
        return of_folder(folder)

    for module in ("fingerprint", "shipped"):
        monkeypatch.setattr(f"josiecodec.{module}.of_folder", counted)
    shipped._shipped_fingerprint.cache_clear()
    return names


@pytest.mark.parametrize(
    ("file", "target", "models"),
    [
        ("image_adaptive", "a.png", ["jovio-16"]),
        ("audio_range_coded_n_q_9", "a.wav", ["jodio-24k"]),
        ("video_with_sound", "a.mkv", ["jodio-24k", "jovio-16"]),
    ],
)
def test_decoding_hashes_only_the_models_that_made_the_file(hashed, tmp_path, file, target, models):
    done = CliRunner().invoke(cli, ["decode", str(GOLDEN / f"{file}.josie"), str(tmp_path / target)])
    assert done.exit_code == 0, done.output
    assert sorted(hashed) == models


def test_reading_codes_hashes_only_the_model_that_made_them_and_info_none(hashed):
    with TokenReader(GOLDEN / "image_adaptive.josie", codes=False) as reader:
        assert list(reader.blocks())
    assert hashed == []
    with TokenReader(GOLDEN / "image_adaptive.josie") as reader:
        assert list(reader.blocks())
    assert hashed == ["jovio-16"]


def test_models_are_found_by_fingerprint_whatever_the_name(hashed):
    folder = shipped.find_fingerprint(shipped.fingerprint_of(shipped.WEIGHTS / "jovio-16")[:16], "jovio-16")
    assert folder == shipped.WEIGHTS / "jovio-16"
    assert hashed == ["jovio-16"]
    assert shipped.find_shipped(shipped.fingerprint_of(folder), "renamed") == folder
    assert shipped.find_shipped("00" * 32, "jovio-16") is None
    assert sorted(hashed) == shipped.available()
    with pytest.raises(ModelError, match="made by model other"):
        shipped.find_fingerprint("00" * 32, "other")
