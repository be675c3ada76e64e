"""Models of the package that hold only what another one has not."""

from __future__ import annotations

import pytest
import torch
from kit.audio import speechlike, tiny_model

import josiecodec.shipped as shipped
import josiecodec.weight_files as weight_files
from josiecodec.errors import ModelError
from josiecodec.fingerprint import of_folder
from josiecodec.hub.store import copy, load, save
from josiecodec.weight_files import SHARED_FILE, TABLES_FILE, WEIGHTS_FILE, share, tables_file, weights_bytes


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two models that differ in their decoder alone."""
    for module in ("weight_files", "shipped"):
        monkeypatch.setattr(f"josiecodec.{module}.WEIGHTS", tmp_path)
    model = tiny_model()
    save(model, tmp_path / "new", torch.float32)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(1.01)
    save(model, tmp_path / "old", torch.float32)
    return tmp_path


def test_shared_weights_are_the_same_bytes(package):
    folder = package / "old"
    whole, fingerprint = (folder / WEIGHTS_FILE).read_bytes(), of_folder(folder)
    before = load(folder)
    small = share(folder, "new")
    assert small.stat().st_size < 0.8 * len(whole)
    assert not (folder / WEIGHTS_FILE).exists()
    assert weights_bytes(folder) == whole
    assert of_folder(folder) == fingerprint
    after = load("old")
    assert after.fingerprint == fingerprint
    x = speechlike(5)
    assert torch.equal(after.encode(x), before.encode(x))
    assert torch.equal(after.decode(after.encode(x)), before.decode(before.encode(x)))


def test_copies_are_whole(package, tmp_path):
    whole = (package / "old" / WEIGHTS_FILE).read_bytes()
    share(package / "old", "new")
    written, _ = copy("old", tmp_path / "copy")
    assert (written / WEIGHTS_FILE).read_bytes() == whole
    assert not (written / SHARED_FILE).exists()


def test_only_models_of_the_package_share(package, tmp_path_factory):
    share(package / "old", "new")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "old"
    elsewhere.mkdir()
    for file in (package / "old").iterdir():
        (elsewhere / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match=r"no config.*josiecodec save"):
        load(elsewhere)


def test_models_of_the_package_are_hashed_once_by_any_path(package, monkeypatch):
    hashed = []
    monkeypatch.setattr(shipped, "of_folder", lambda folder: hashed.append(folder) or of_folder(folder))
    shipped._shipped_fingerprint.cache_clear()
    (package / "link").symlink_to(package)
    ways = [package / "new", package / "old" / ".." / "new", package / "link" / "new"]
    assert len({shipped.fingerprint_of(way) for way in ways}) == 1
    assert len(hashed) == 1
    shipped._shipped_fingerprint.cache_clear()


def test_tables_are_shared_too(package, tmp_path):
    for name in ("old", "new"):
        (package / name / TABLES_FILE).write_bytes(b"tables")
    before = of_folder(package / "old")
    share(package / "old", "new")
    assert not (package / "old" / TABLES_FILE).exists()
    assert tables_file(package / "old") == package / "new" / TABLES_FILE
    assert of_folder(package / "old") == before


def test_tables_of_its_own_stay(package):
    (package / "new" / TABLES_FILE).write_bytes(b"tables")
    share(package / "old", "new")
    assert not tables_file(package / "old").is_file()
    (package / "old" / TABLES_FILE).write_bytes(b"others")
    assert tables_file(package / "old").read_bytes() == b"others"


@pytest.mark.parametrize("damage", ["base", "cut", "empty"])
def test_damage_is_said(package, damage):
    path = share(package / "old", "new")
    data = path.read_bytes()
    if damage == "base":
        data = data.replace(b'"base":"new"', b'"base":"../"')
    path.write_bytes({"base": data, "cut": data[:100], "empty": b""}[damage])
    with pytest.raises(ModelError):
        weights_bytes(package / "old")
    assert weight_files.has_weights(package / "old")
