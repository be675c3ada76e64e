"""The page of a comparison: plots, players and images, in a browser where there is one."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from fractions import Fraction
from pathlib import Path

import pytest
import soundfile
from kit.evaluation import InThisProcess, recordings
from kit.vision import scene

from josiecodec.display import mel_axis, mel_levels, spectrogram
from josiecodec.errors import CodecError
from josiecodec.evaluation import table
from josiecodec.evaluation.codecs import AUDIO, VISION
from josiecodec.evaluation.items import find_audio, find_vision
from josiecodec.evaluation.page import write_page
from josiecodec.evaluation.provenance import provenance
from josiecodec.evaluation.run import compare
from josiecodec.media.images import load_image, save_image
from josiecodec.media.video_reader import load_video
from josiecodec.media.video_writer import VideoWriter
from josiecodec.shipped import WEIGHTS, fingerprint_of


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setattr("josiecodec.evaluation.run.ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr("josiecodec.evaluation.round_trip.ProcessPoolExecutor", InThisProcess)


@pytest.fixture
def sounds(tmp_path):
    return recordings(tmp_path / "sounds")


def test_another_page_is_not_replaced(tmp_path):
    (tmp_path / "index.html").write_text("my own")
    with pytest.raises(CodecError, match="not the page of a comparison"):
        write_page(tmp_path, [], [], [])
    assert (tmp_path / "index.html").read_text() == "my own"


CHECK = """<!doctype html><iframe src="index.html" style="width:1200px;height:9000px"></iframe><script>
const found = {errors: []};
const frame = document.querySelector("iframe");
frame.addEventListener("load", async () => {
  const page = frame.contentDocument;
  const media = [...page.querySelectorAll("audio, video")];
  const ready = await Promise.all(media.map(m => new Promise(done => {
    if (m.readyState > 0) return done(m.duration > 0);
    m.addEventListener("loadedmetadata", () => done(m.duration > 0));
    m.addEventListener("error", () => done(false));
  })));
  const images = [...page.querySelectorAll("img")];
  images.forEach(i => i.loading = "eager");
  const decoded = await Promise.all(images.map(i => i.decode().then(() => true, () => false)));
  found.media = ready; found.images = decoded;
  found.points = [...page.querySelectorAll("circle")].map(c => c.dataset.codec);
  found.rows = page.querySelectorAll("tbody tr").length;
  found.wide = page.documentElement.scrollWidth;
  const slider = page.querySelector("input[type=range]");
  if (slider) {
    slider.value = 20; slider.dispatchEvent(new Event("input"));
    const pair = page.querySelector(".pair"), cut = () => pair.style.getPropertyValue("--cut");
    found.cut = cut();
    const box = pair.getBoundingClientRect(), at = {clientX: box.left + .7 * box.width, pointerId: 1, bubbles: true};
    pair.setPointerCapture = () => {};
    pair.dispatchEvent(new PointerEvent("pointerdown", at));
    found.dragged = Math.round(parseFloat(cut()));
    pair.dispatchEvent(new KeyboardEvent("keydown", {key: "2", bubbles: true}));
    found.keyed = [cut(), page.querySelector("select").value];
  } else {
    const [one, two] = media;
    for (const m of [one, two])  // the server of the test knows no ranges, so that media cannot seek
      Object.defineProperty(m, "currentTime", {value: m === one ? 0.25 : 0, writable: true});
    page.body.dispatchEvent(new KeyboardEvent("keydown", {key: "1", bubbles: true}));
    found.position = two.currentTime;
    found.axes = page.querySelectorAll(".spectrum .hz span").length;
  }
  const notes = [...page.querySelectorAll("small")].map(s => s.textContent);
  found.facts = notes.filter(t => /Hz mono|pixels/.test(t)).length;
  found.provenance = [...page.querySelectorAll("dt")].map(d => d.textContent);
  found.sticky = frame.contentWindow.getComputedStyle(page.querySelector("td")).position;
  found.columns = [...page.querySelectorAll("table")].map(t => [...t.querySelectorAll("th")].map(c => c.textContent));
  const text = "FOUND" + JSON.stringify(found) + "END";
  document.body.append(Object.assign(document.createElement("pre"), {textContent: text}));
});
</script>"""


def in_chromium(page: Path, profile: Path) -> dict:
    """What the page shows in headless Chromium, where it must not complain on its console."""
    (page / "check.html").write_text(CHECK)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(page))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = (
            "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
            "--disable-background-networking --disable-component-update --enable-logging=stderr "
            f"--user-data-dir={profile} --virtual-time-budget=20000 --dump-dom "
            f"http://127.0.0.1:{server.server_port}/check.html"
        )
        done = subprocess.run(command.split(), capture_output=True, text=True, timeout=120)
        server.shutdown()
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search("<pre>FOUND(.*)END", done.stdout)
    assert found, done.stdout
    shown = json.loads(found.group(1).replace("&lt;", "<").replace("&amp;", "&"))
    assert shown["wide"] <= 1200
    assert shown.get("cut") in (None, "20%")
    assert shown["sticky"] == "sticky"
    assert shown["provenance"][0] == "command"
    assert shown["facts"]
    for columns in shown["columns"]:
        assert len(set(columns)) == len(columns)
        assert not {"encode, s", "encode, s/s"} <= set(columns)
    if "cut" in shown:
        assert shown["dragged"] == 70
        assert shown["keyed"] == ["0%", "1"]
    else:
        assert shown["position"] == pytest.approx(0.25, abs=0.05)
        assert shown["axes"]
    return shown


def without_a_browser(page: Path) -> dict:
    """The same from the page's own data, where there is no browser: its media are opened one by one."""
    text = (page / "index.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))
    found: dict = {"media": [], "images": [], "rows": len(data["means"])}
    found["points"] = [line["codec"] for line in data["means"] if {"pesq_wb", "psnr"} & line.keys()]
    for file in data["files"]:
        shown = file["versions"][:2] if file["kind"] == "image" else file["versions"]
        for version in shown:
            source = page / version["source"]
            if file["kind"] == "audio":
                found["media"].append(soundfile.info(source).frames > 0)
                found["images"].append(load_image(page / version["spectrogram"]).numel() > 0)
            elif file["kind"] == "video":
                found["media"].append(load_video(source)[0].shape[1] > 0)
            else:
                found["images"].append(load_image(source).numel() > 0)
    return found


@pytest.mark.parametrize("kind", ["audio", "vision"])
def test_the_page_shows_everything(kind, sounds, tmp_path):
    if kind == "audio":
        (sounds / "silent.wav").unlink()
        items, kinds, names = find_audio(sounds), AUDIO, ["opus@12", "opus@24"]
    else:
        folder = tmp_path / "pictures"
        folder.mkdir()
        save_image(scene(180, 200)[0, :, 0], folder / "one <&>.png")
        with VideoWriter(folder / "video.mkv", (64, 80), Fraction(10)) as writer:
            for picture in scene(64, 80, 8)[0].unbind(1):
                writer.write(picture)
        items, kinds, names = find_vision(folder), VISION, ["jpeg@20", "jpeg@60", "x264@30"]
    rows = compare(names, kinds, items, tmp_path / "out")
    page = tmp_path / "page"
    write_page(page, items, rows, table.means(rows))
    looks = [without_a_browser(page)]
    if shutil.which("chromium"):
        looks.append(in_chromium(page, tmp_path / "profile"))
    for found in looks:
        assert set(found["points"]) == set(names)
        assert found["rows"] == len(names)
        assert all(found["images"])
        assert all(found["media"])
        assert len(found["media"]) == (3 * 3 if kind == "audio" else 2)
        assert len(found["images"]) == (3 * 3 if kind == "audio" else 2)


def test_where_figures_come_from():
    lines = dict(provenance(["jodio-24k-v4@9", "jodio-24k-v4@17", "opus@6"]))
    assert set(lines) == {"command", "versions", "model jodio-24k-v4", "machine", "date"}
    assert lines["model jodio-24k-v4"] == fingerprint_of(WEIGHTS / "jodio-24k-v4")[:16]
    assert "torch" in lines["versions"]


def test_spectrograms_share_a_scale(sounds, tmp_path):
    items = find_audio(sounds)[:1]
    loud = mel_levels(items[0].load()[0], 24000)
    quiet = spectrogram(items[0].load()[0] / 100, 24000, top=float(loud.max()))
    assert quiet.mean() < 0.7 * spectrogram(items[0].load()[0], 24000, top=float(loud.max())).mean()
    places = [place for _, place in mel_axis(24000)]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] < 1


def test_the_folder_of_a_page_needs_nothing_else(sounds, tmp_path):
    items = find_audio(sounds)[:1]
    rows = compare(["opus@12"], AUDIO, items, tmp_path / "out")
    write_page(tmp_path / "page", items, rows, table.means(rows))
    text = (tmp_path / "page" / "index.html").read_text()
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    for source in re.findall(r'"(media/[^"]+)"', text):
        assert (tmp_path / "page" / source).exists()
    assert Path(tmp_path / "page" / "media").is_dir()
