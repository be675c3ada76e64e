/**
 * The built page in a real browser, at two widths.
 *
 *     node test/browser/run.mjs ADDRESS VECTORS SHOTS
 *
 * ADDRESS is that of `josiecodec serve`; VECTORS what `vectors.py` wrote; screenshots go to SHOTS. CHROMIUM names the
 * browser.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, vectors, shots] = process.argv.slice(2);
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const FAKE = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"];
const SLOW = 40_000;

mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", ...QUIET, ...FAKE],
});

/** A page that fails the test on any error in it, and on any request elsewhere. */
async function opened(width, height = 900) {
  const context = await browser.newContext({
    viewport: { width, height },
    acceptDownloads: true,
    permissions: ["microphone"],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(SLOW);
  page.faults = [];
  page.on("filechooser", () => {}); // so that none opens by itself
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(address) && !/^(blob|data):/.test(request.url())) page.faults.push(request.url());
  });
  await page.goto(address);
  return page;
}

async function bring(page, file) {
  await page.setInputFiles("#file", typeof file === "string" ? join(vectors, file) : file);
  await page.waitForFunction(() => document.body.getAttribute("aria-busy") === null);
}

async function download(page, link) {
  const [found] = await Promise.all([page.waitForEvent("download"), page.click(link)]);
  return { name: found.suggestedFilename(), data: readFileSync(await found.path()) };
}

/** What the page's picture shows: red, green, blue and alpha of each pixel. */
function pixelsOf(page) {
  return page.evaluate(async () => {
    const image = document.querySelector("#picture");
    await image.decode();
    const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
    context.drawImage(image, 0, 0);
    return [...context.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data];
  });
}

async function noWider(page) {
  const [inner, whole] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  assert.ok(whole <= inner, `the page is ${whole} wide in a window of ${inner}`);
}

const tests = {
  async "ten seconds become a file, and sound again"() {
    const page = await opened(1400);
    const threads = await page.evaluate(() => crossOriginIsolated);
    let began = Date.now();
    await bring(page, "ten.wav");
    const cold = Date.now() - began;
    assert.equal(await page.textContent("#error"), "");
    const { name, data } = await download(page, "#josie");
    assert.equal(name, "ten.josie");
    writeFileSync(join(shots, "ten.josie"), data);
    const want = readFileSync(join(vectors, "ten.josie"));
    assert.ok(data.equals(want), `${data.length} bytes are not the command line's ${want.length}`);
    await page.screenshot({ path: join(shots, "encoded_1400.png"), fullPage: true });
    await noWider(page);
    began = Date.now();
    await bring(page, "ten.wav");
    const warm = Date.now() - began;
    began = Date.now();
    await bring(page, "ten.josie");
    const decoded = Date.now() - began;
    console.log(
      `isolated ${threads}: WAV -> .josie -> sound ${cold} ms at once, ${warm} ms later; .josie -> sound ${decoded} ms`,
    );
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "the keyboard alone"() {
    const page = await opened(1400);
    await bring(page, "ten.josie");
    await page.focus("#levels");
    const before = await download(page, "#wav");
    await page.focus("#levels");
    await page.keyboard.press("Home");
    await page.waitForFunction(() => document.querySelector("#wav").download.endsWith("-1.wav"));
    assert.match(await page.textContent("#shown"), /^1 of 9/);
    const after = await download(page, "#wav");
    assert.notEqual(before.data.toString("latin1"), after.data.toString("latin1"));
    assert.equal(before.data.length, after.data.length);
    await page.focus("#choose");
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
    await chooser.setFiles(join(vectors, "audio_range_coded_n_q_9.josie"));
    await page.waitForFunction(() => document.querySelector("#title").textContent === "audio_range_coded_n_q_9");
    const order = [];
    await page.evaluate(() => document.body.focus());
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab");
      order.push(await page.evaluate(() => document.activeElement?.id ?? ""));
    }
    for (const id of ["choose", "record", "levels", "player", "wav"]) assert.ok(order.includes(id), `${id}: ${order}`);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "another level goes on where the one before was"() {
    const page = await opened(1400);
    await bring(page, "ten.josie");
    await page.evaluate(async () => {
      const player = document.querySelector("#player");
      player.currentTime = 3;
      // So slowly that it does not end on a busy machine.
      player.defaultPlaybackRate = player.playbackRate = 0.1;
      await player.play();
    });
    await page.focus("#levels");
    for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => document.querySelector("#wav").download === "ten-4.wav");
    await page.waitForTimeout(500);
    const { time, paused } = await page.evaluate(() => {
      const player = document.querySelector("#player");
      return { time: player.currentTime, paused: player.paused };
    });
    assert.ok(time > 3 && !paused, `at ${time} s, ${paused ? "paused" : "playing"}`);
    assert.equal(await page.textContent("#error"), "");
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "a recording"() {
    const page = await opened(400);
    await page.click("#record");
    await page.waitForFunction(() => document.querySelector("#record").textContent === "Stop");
    await page.waitForTimeout(1500);
    await page.click("#record");
    await page.waitForFunction(() => document.querySelector("#title").textContent === "recording");
    await page.waitForFunction(() => document.body.getAttribute("aria-busy") === null);
    assert.equal(await page.textContent("#error"), "");
    await page.check("[value=original]");
    await page.waitForFunction(() => document.querySelector("#wav").download === "recording.wav");
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "wrong files are told what is wrong with them"() {
    const page = await opened(400);
    await page.screenshot({ path: join(shots, "empty_400.png"), fullPage: true });
    const whole = readFileSync(join(vectors, "ten.josie"));
    const broken = Buffer.from(whole);
    broken[20] ^= 1;
    const cases = [
      ["notes.txt", "text/plain", Buffer.from("no sound"), /neither a .josie file nor sound/],
      ["other.josie", "", Buffer.from("no sound"), /no .josie file/],
      ["header.josie", "", broken, /header is damaged/],
      ["cat.png", "image/png", Buffer.from("png"), /no picture/],
      ["film.mp4", "video/mp4", Buffer.from("mp4"), /is a video/],
      ["empty.wav", "audio/wav", Buffer.alloc(0), /neither/],
    ];
    for (const [name, mimeType, buffer, text] of cases) {
      await bring(page, { name, mimeType, buffer });
      assert.match(await page.textContent("#error"), text);
      assert.ok(await page.isVisible("#error"));
    }
    await page.screenshot({ path: join(shots, "error_400.png"), fullPage: true });
    await bring(page, "audio_fixed_length_n_q_9.josie");
    assert.match(await page.textContent("#error"), /no-such-model/);
    await bring(page, "video_with_motion.josie");
    assert.match(await page.textContent("#error"), /holds a video/);
    await bring(page, "audio_cut_off.josie");
    assert.ok(!(await page.isVisible("#error")));
    assert.match(await page.textContent("#notes"), /end is missing/);
    await page.screenshot({ path: join(shots, "cut_off_400.png"), fullPage: true });
    await noWider(page);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "golden pictures look as they did"() {
    const page = await opened(400);
    for (const name of ["image_shapes", "image_screen", "image_grey", "image_uniform"]) {
      await bring(page, `${name}.josie`);
      assert.equal(await page.textContent("#error"), "");
      const want = readFileSync(join(vectors, `${name}.0.pixels.bin`));
      const found = await pixelsOf(page);
      assert.equal(found.length / 4, want.length / 3);
      const most = want.reduce(
        (all, value, i) => Math.max(all, Math.abs(value - found[4 * Math.floor(i / 3) + (i % 3)])),
        0,
      );
      assert.ok(most <= 1, `${name}: ${most}`);
      if (name === "image_shapes") await page.screenshot({ path: join(shots, "picture_400.png"), fullPage: true });
    }
    assert.match(await page.textContent("#picture-facts"), /100 × 70.*bits per pixel/);
    assert.ok(!(await page.isVisible("#result")));
    await bring(page, "image_grey_alpha.josie");
    assert.match(await page.textContent("#picture-facts"), /grey, transparent/);
    await noWider(page);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "a picture becomes a file, and a picture again"() {
    const page = await opened(1400);
    const steps = [112, 100, 88, 76, 64, 52, 40, 28, 16];
    for (const { name, step } of JSON.parse(readFileSync(join(vectors, "pictures.json"), "utf8"))) {
      if (!steps.includes(step) || name === "seen") continue; // a canvas rounds what can be seen through
      const place = steps.indexOf(step) + 1;
      await page.evaluate((value) => {
        document.querySelector("#quality").value = value;
      }, place);
      const began = Date.now();
      await bring(page, `${name}.png`);
      console.log(`${name} at ${step}: ${Date.now() - began} ms`);
      assert.equal(await page.textContent("#error"), "");
      const { name: called, data } = await download(page, "#picture-josie");
      assert.equal(called, `${name}.josie`);
      assert.ok(data.equals(readFileSync(join(vectors, `${name}_${step}.josie`))), `${name} at ${step}: other bytes`);
    }
    const before = await download(page, "#picture-josie");
    await page.focus("#quality");
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Encoding"));
    await page.waitForFunction(() => document.body.getAttribute("aria-busy") === null);
    const after = await download(page, "#picture-josie");
    assert.ok(after.data.length < before.data.length, `${after.data.length} and ${before.data.length} bytes`);
    const png = await download(page, "#png");
    assert.equal(png.data.subarray(1, 4).toString(), "PNG");
    await page.screenshot({ path: join(shots, "picture_1400.png"), fullPage: true });
    await page.check("[value=original][name=look]");
    assert.match(await page.getAttribute("#picture", "alt"), /as it was/);
    await bring(page, "seen.png");
    assert.match(await page.textContent("#picture-facts"), /transparent/);
    await page.screenshot({ path: join(shots, "alpha_1400.png"), fullPage: true });
    await noWider(page);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },

  async "files with layers and in stereo"() {
    const page = await opened(400);
    await bring(page, "audio_stereo_1.5_kbps.josie");
    assert.match(await page.textContent("#facts"), /Channels2/);
    await bring(page, "audio_by_frame_8_kbps.josie");
    assert.match(await page.textContent("#shown"), /of 64/);
    assert.ok(!(await page.isVisible("#notes")));
    await page.screenshot({ path: join(shots, "layers_400.png"), fullPage: true });
    await page.focus("#levels");
    await page.keyboard.press("Home");
    await page.waitForFunction(() => document.querySelector("#wav").download.endsWith("-1.wav"));
    await noWider(page);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  },
};

let failed = 0;
const only = process.env.ONLY; // a part of the names of the tests that are wanted
for (const [name, test] of Object.entries(tests)) {
  if (only && !name.includes(only)) continue;
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED: ${name}\n${error.stack}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
