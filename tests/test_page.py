"""The files of the page, and the server of them; the page itself is tested by `web/test.sh`."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from kit.processes import run

from josiecodec.errors import CodecError, ModelError
from josiecodec.files import DEFAULTS
from josiecodec.page_files import Page
from josiecodec.runtime.model_files import Weights
from josiecodec.shipped import WEIGHTS, available, fingerprint_of, model_kind
from josiecodec_cli.serve import server

MODEL = "jodio-24k-v4"


@pytest.fixture
def built(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "main.js").write_text("1")
    return tmp_path


def test_models_are_listed_with_their_fingerprints(built):
    page = Page(built, DEFAULTS)
    index = json.loads(page.read("models/index.json"))
    assert index["default"] == DEFAULTS["audio"] == MODEL
    assert index["pictures"] == DEFAULTS["vision"]
    assert {m["name"] for m in index["models"]} == set(available())
    assert all(m["kind"] == model_kind(WEIGHTS / m["name"]) for m in index["models"])
    assert all(fingerprint_of(WEIGHTS / m["name"]).startswith(m["fingerprint"]) for m in index["models"])


def test_both_parts_of_the_weights_are_all_of_them(built):
    page = Page(built)
    parts = [safetensors.numpy.load(page.read(f"models/{MODEL}/{part}.safetensors")) for part in ("base", "layers")]
    weights = Weights(WEIGHTS / MODEL)
    assert set(parts[0]) | set(parts[1]) == set(weights)
    assert not set(parts[0]) & set(parts[1])
    for part in parts:
        name = min(part)
        np.testing.assert_array_equal(part[name], weights[name])


def test_pictures_have_one_file_of_weights(built):
    page = Page(built)
    name = page.encoding("vision")
    assert name == max(name for name in available() if model_kind(WEIGHTS / name) == "vision")
    assert Page(built, {"vision": "jovio-16-v2", "audio": "nothing"}).encoding("vision") == "jovio-16-v2"
    assert Page(built, {"audio": "nothing"}).encoding("audio") == MODEL
    assert f"models/{name}/layers.safetensors" not in page.names()
    assert set(safetensors.numpy.load(page.read(f"models/{name}/base.safetensors"))) == set(Weights(WEIGHTS / name))


def test_a_folder_for_any_host(built, tmp_path, monkeypatch):
    page = Page(built)
    monkeypatch.setattr(page, "models", {MODEL: WEIGHTS / MODEL})
    size = page.write(tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert size == sum(path.stat().st_size for path in files)
    assert (tmp_path / "out" / "assets" / "main.js").read_text() == "1"
    assert (tmp_path / "out" / "models" / "graphs" / "encoder.onnx").is_file()


def test_what_is_missing_is_told_in_a_line(tmp_path, built, monkeypatch):
    with pytest.raises(CodecError, match="not built"):
        Page(tmp_path / "nothing")
    said = run("serve", "--page", tmp_path / "nothing", code=2)
    assert "npm run build" in said
    monkeypatch.setattr("josiecodec.page_files.PLACES", (tmp_path / "none", tmp_path / "neither"))
    with pytest.raises(CodecError, match=r"the page is not built: .* or install again"):
        Page()
    monkeypatch.setattr("josiecodec.page_files.PLACES", (tmp_path / "none", built))
    assert Page().built == built
    monkeypatch.setattr("josiecodec.page_files.fits", lambda folder: False)
    with pytest.raises(ModelError, match="graphs"):
        Page(built)


def test_an_installation_takes_the_page_along(tmp_path_factory, built, monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    lib = tmp_path_factory.mktemp("lib")
    spec = importlib.util.spec_from_file_location("build_page", Path(__file__).parents[1] / "build_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for place, there in ((built, True), (built / "nothing", False)):
        monkeypatch.setattr(module, "BUILT", place)
        build = module.WithPage(setuptools.Distribution({"packages": []}))
        build.ensure_finalized()
        build.build_lib = str(lib)
        build.run()
        page = lib / "josiecodec" / "page"
        assert (page / "index.html").is_file() == (page / "assets" / "main.js").is_file() == there
        assert not (page / "models").exists()


def test_the_server_has_these_files_alone(built):
    (built.parent / "secret").write_text("1")
    with server(Page(built), 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{running.server_address[1]}/"
        try:
            with urllib.request.urlopen(address) as found:
                assert found.read() == b"<!doctype html>"
                assert found.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert found.headers["Content-Type"].startswith("text/html")
            with urllib.request.urlopen(address + "models/graphs/encoder.json") as found:
                assert "weights" in json.load(found)
            for path in ("secret", "../secret", "%2e%2e/secret", "models", "models/nothing"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(address + path)
        finally:
            running.shutdown()
            thread.join()


def test_a_browser_that_goes_away_is_no_error(built, capsys):
    page = Page(built)
    (built / "assets" / "large.js").write_bytes(bytes(1 << 24))
    with server(page, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            with socket.create_connection(running.server_address[:2]) as gone:
                gone.sendall(b"GET /assets/large.js HTTP/1.1\r\n\r\n")
                assert gone.recv(16)
            deadline = time.monotonic() + 5
            while threading.active_count() > 2 and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            running.shutdown()
            thread.join()
    assert capsys.readouterr().err == ""


def test_a_written_folder_is_a_page_too(built):
    (built / "models" / "other").mkdir(parents=True)
    (built / "models" / "other" / "base.safetensors").write_text("1")
    (built / "models" / "index.json").write_text("1")
    names = Page(built).names()
    assert len(names) == len(set(names))
    assert not any("other" in name for name in names)


def test_files_of_a_folder_are_replaced_only_if_asked(built):
    out = built / "out"
    out.mkdir()
    (out / "index.html").write_text("mine")
    said = run("serve", "--page", built, "--to", out, code=2)
    assert "--overwrite replaces it" in said
    assert [path.name for path in out.iterdir()] == ["index.html"]
    assert (out / "index.html").read_text() == "mine"


def test_a_port_that_is_taken_is_named(built):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run("serve", "--page", built, "--port", port, code=2)
    assert f"port {port}: " in said
    assert "--port 0" in said
