"""The page of a listening test in a browser, taken by its keyboard; needs selenium, Chromium and its driver."""

from __future__ import annotations

import json
import shutil

import pytest
import soundfile
from kit.audio import RATE, speechlike
from kit.processes import run

from josiecodec.evaluation.items import find_audio
from josiecodec.evaluation.listening_test import write_listening_test

webdriver = pytest.importorskip("selenium.webdriver")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("needs chromium and chromedriver", allow_module_level=True)

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--autoplay-policy=no-user-gesture-required",
)


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "sent")})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


def taken(browser, page, listener):
    """Take the test: hear all sounds, then answer by keys alone."""
    keys = webdriver.common.keys.Keys
    browser.get(page.as_uri())
    browser.find_element("id", "listener").send_keys(listener + keys.ENTER)
    body = browser.find_element("tag name", "body")
    while not browser.find_elements("id", "save"):
        sounds = browser.find_elements("css selector", "[data-sound]")
        assert not browser.find_element("id", "next").is_enabled()
        for sound in sounds:
            body.send_keys(sound.get_attribute("data-key"))
            name = sound.get_attribute("data-sound")
            wait = "const [n, done] = arguments; const i = setInterval(() => { if (!players[n].paused && players[n]."
            browser.execute_async_script(wait + "currentTime > 0) { clearInterval(i); done(); } }, 10);", name)
            assert browser.execute_script("return Object.values(players).filter(p => !p.paused).length") == 1
            body.send_keys(keys.ARROW_RIGHT * 3)
        body.send_keys("a")
        assert browser.find_element("id", "next").is_enabled()
        body.send_keys(" ")
        assert browser.execute_script("return Object.values(players).every(p => p.paused)")
        body.send_keys(keys.ENTER)
    return browser.execute_script("return result")


@pytest.mark.parametrize("kind", ["mushra", "abx"])
def test_a_test_is_taken_by_keyboard(kind, browser, tmp_path):
    (tmp_path / "sounds").mkdir()
    rows = []
    for n in range(2):
        wave = speechlike(10, seed=n)[0, 0].numpy()
        soundfile.write(tmp_path / "sounds" / f"{n}.wav", wave, RATE)
        soundfile.write(tmp_path / f"{n}.flac", wave, RATE)
        rows.append({"codec": "c", "file": f"{n}.wav", "label": "audio", "decoded": str(tmp_path / f"{n}.flac")})
    key = write_listening_test(tmp_path / "test", find_audio(tmp_path / "sounds"), rows, kind)
    page = tmp_path / "test" / "page" / "index.html"
    result = taken(browser, page, "ann")
    assert len(result["answers"]) == 2
    if kind == "mushra":
        assert all(score == 53 for answer in result["answers"] for score in answer["scores"].values())
    (tmp_path / "ann.json").write_text(json.dumps(result))
    out = run("eval", "listening", tmp_path / "ann.json", "--key", tmp_path / "test" / "key.json", "--all")
    assert "1 of 1 listeners" in out
    assert browser.get_log("browser") == []
    browser.execute_script("localStorage.clear()")
    again = taken(browser, page, "ann")  # the same listener has the same order
    assert [answer["trial"] for answer in again["answers"]] == [answer["trial"] for answer in result["answers"]]
    assert key["kind"] == result["kind"]
