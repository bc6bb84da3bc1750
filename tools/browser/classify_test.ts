/** Tests the page of `deno task web` that classifies photos, in Chromium. */

// @ts-types="npm:axe-core@4.14.1"
import axe from "npm:axe-core@4.14.1/axe.min.js";
import {
  assert,
  assertAllClose,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
} from "../../tests/assert.ts";
import { fixture, TempFolder } from "../../tests/cli/run.ts";
import { needsChromium, needsWebGpu, testWith } from "../../tests/needs.ts";
import { executable, fakeCamera } from "./chromium.ts";
import {
  commandSays,
  drop,
  expectedHeat,
  heatOf,
  type Row,
  rowsOf,
  settle,
  shown,
  storedForLater,
  timeOn,
} from "./classify.ts";
import { findings, hasAdapter, Site, stepsOf, updateStored } from "./site.ts";

const flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", ...fakeCamera];

/** The page's sample, and a photo that is dropped on it. */
const sample = "examples/web/classify/photos/coffee.png", dropped = "tests/photos/rocket.jpg";

testWith(await needsChromium(executable), "the page that classifies photos", async (t) => {
  const step = stepsOf(t);
  const network = fixture("networks/squeezenet1_1.onnx");
  await using models = await TempFolder.make();
  await Deno.copyFile(network, `${models.path}/narrow #1 100%.onnx`);
  const model = `Narrow SqueezeNet=${models.path}/narrow #1 100%.onnx`;
  await using site = await Site.open(flags, ["--model", model]);
  const viewport = { width: 1280, height: 800 };
  const page = await site.page("classify/", { viewport });
  const [ofSample, ofDropped] = await commandSays(sample, dropped);
  const heatOfSample = await expectedHeat(sample);

  await step("shows the command's result for a sample at once", async () => {
    await page.waitForFunction("crossOriginIsolated");
    await settle(page);
    assertEquals(await rowsOf(page), ofSample.map(shown));
    assertAllClose(await heatOf(page), heatOfSample, { abs: 2 });
    const said = page.locator(`[role=status]:has-text("It looks like ${ofSample[0][0]}, ")`);
    await said.waitFor({ state: "attached" });
  });

  await step("loads at most 306 kB before weights", async () => {
    await storedForLater(page); // or else the next lines count these files
    const loaded = new Set<string>();
    let isLater = false; // after the result: "Teach it", and in the worker what later visits need
    const isKernels = (url: string) => /\/(relaxed|simd)\w*\.wasm-/.test(url);
    const add = (request: { url(): string }) => {
      const url = request.url();
      isLater ||= /\/(teach\.css\?|jpeg-\w+\.js$)/.test(url) ||
        isKernels(url) && [...loaded].some((other) => isKernels(other) && other !== url);
      if (!isLater) loaded.add(url);
    };
    page.context().on("request", add);
    await page.reload();
    await settle(page);
    page.context().off("request", add);
    let bytes = 0;
    for (const url of loaded) if (!url.includes("/networks/")) bytes += await site.bytesOf(url);
    const [{ startTime }] = await page.evaluate(
      "performance.getEntriesByName('first result').map(({ startTime }) => ({ startTime }))",
    ) as { startTime: number }[];
    const kilobytes = (bytes / 1000).toFixed(0), time = startTime.toFixed(0);
    console.log(`first result after ${time} ms; ${kilobytes} kB, photos included, before weights`);
    assert(loaded.size > 20 && bytes > 100_000, `${loaded.size} files`);
    assert(bytes <= 306_000, `${bytes} bytes`);
    // or else parts of two versions could meet
    const isNamed = /\/service_worker\.js$|-[A-Z\d]{8}\.js$|\?[\da-f]{12}$/;
    const scripts = [...loaded].filter((url) => /\.(js|css)\b/.test(url));
    assertEquals(scripts.filter((url) => !isNamed.test(url)), []);
  });

  await step("classifies a photo that is dropped", async () => {
    await drop(page, { "rocket.jpg": await Deno.readFile(dropped) });
    assertEquals(await rowsOf(page), ofDropped.map(shown));
    assertAllClose(await heatOf(page), await expectedHeat(dropped), { abs: 2 });
  });

  await step("says that it uses the first of several photos", async () => {
    const bytes = await Deno.readFile(dropped);
    await drop(page, { "rocket.jpg": bytes, "other.jpg": bytes });
    assertEquals(
      await page.textContent("#problem.note:not([hidden])"),
      "This is the first of 2 files: the page shows one at a time.",
    );
    assertEquals(await rowsOf(page), ofDropped.map(shown));
    await drop(page, { "rocket.jpg": bytes });
    assertEquals(await page.isVisible("#problem"), false);
  });

  await step("shows where it found another class, with the keyboard", async () => {
    await page.focus("#bars li:nth-child(2) button");
    await page.keyboard.press("Enter");
    await settle(page);
    const [label] = ofDropped[1], other = await expectedHeat(dropped, { class: label });
    assertAllClose(await heatOf(page), other, { abs: 2 });
    assertEquals(
      await page.getAttribute("#bars li:nth-child(2) button", "aria-pressed"),
      "true",
    );
    await page.focus("#grad-cam");
    await page.keyboard.press("ArrowRight");
    await settle(page);
    const saliency = await expectedHeat(dropped, { class: label, method: "saliency" });
    assertAllClose(await heatOf(page), saliency, { abs: 2 });
    await page.keyboard.press("ArrowRight");
    await settle(page);
    assertEquals(await page.isVisible("#heat"), false);
    assertEquals(await page.isEnabled("#opacity"), false);
    await page.click("label[for=grad-cam]");
    await settle(page);
    assertEquals(await page.isEnabled("#opacity"), true);
  });

  const devices = page.locator("#devices .choice");
  const needed = await needsWebGpu(() => hasAdapter(page));

  /** Asserts that a device computes the same as the command. */
  async function assertSameOn(
    index: number,
    name: RegExp,
    [[label, percentage]]: readonly Row[],
    heat: readonly number[],
  ) {
    assert(await timeOn(page, index) > 0);
    assertMatch(await page.textContent("#network-facts") ?? "", name);
    const [[shownLabel, shownPercentage]] = await rowsOf(page);
    assertEquals(shownLabel, label.replace(",", ""));
    assertAlmostEquals(parseFloat(shownPercentage), parseFloat(percentage), 0.01);
    assertAllClose(await heatOf(page), heat, { abs: 2, name: `${name}` });
  }

  // SwiftShader compiles the shaders of this network in a third of the time
  const narrow = page.locator("#networks .choice", { hasText: "Narrow SqueezeNet" });
  const [ofNarrow] = await commandSays("--weights", network, sample);
  const heatOfNarrow = await expectedHeat(sample, {}, network);
  await page.click("[data-sample] >> nth=0");
  await settle(page);
  await narrow.click();
  await settle(page);

  await step("computes the same on WebGPU", async () => {
    assertMatch(await devices.first().textContent() ?? "", /^WebGPU, software/);
    await assertSameOn(0, /webgpu/, ofNarrow, heatOfNarrow);
  }, needed);

  await step("computes the same on threads and Wasm, and measures them", async () => {
    await assertSameOn(1, /wasm.* \d+ threads$/, ofNarrow, heatOfNarrow);
    await assertSameOn(2, /wasm[^,]*$/, ofNarrow, heatOfNarrow);
    const count = needed.missing ? 2 : 3, measured = devices.filter({ hasText: / ms$/ });
    assertEquals(await measured.count(), count);
    // measures all again; what a photo replaces keeps its time
    await page.click("#compare");
    await page.waitForSelector("#devices .time:text-is('…')");
    await page.click("[data-sample] >> nth=0");
    await settle(page);
    assertEquals(await measured.count(), count);
    // the network in 8 bits
    await page.click("#networks .choice >> nth=0");
    await settle(page);
    await assertSameOn(1, /wasm.* \d+ threads$/, ofSample, heatOfSample);
    await assertSameOn(2, /wasm[^,]*$/, ofSample, heatOfSample);
  });

  await step("ends what a newer photo replaces", async () => {
    const [coffee, rocket] = await Promise.all(
      [sample, dropped].map((path) => Deno.readFile(path)),
    );
    await page.evaluate(`globalThis.photosShown = 0;
      new MutationObserver((changes) => photosShown += changes.length).observe(
        document.querySelector("#photo"), { attributeFilter: ["width"] })`);
    await drop(page, { "a.jpg": rocket, "b.png": coffee, "c.jpg": rocket, "d.png": coffee }, true);
    assertEquals(await rowsOf(page), ofSample.map(shown));
    assertEquals(await page.evaluate("photosShown"), 1);
    assertEquals(await page.isVisible("#problem"), false);
  });

  await step("says what is wrong with a file, and keeps the last result", async () => {
    const bytes = await Deno.readFile(dropped), problem = page.locator("#problem");
    await drop(page, { "notes.txt": new TextEncoder().encode("no image") });
    assertMatch(
      await problem.textContent() ?? "",
      /^notes\.txt: .*\(JPEG, PNG, .*\)\. Choose another image\.$/,
    );
    await drop(page, { "cut.jpg": bytes.subarray(0, 20_000) });
    assertMatch(await problem.textContent() ?? "", /^cut\.jpg: .*\. Choose another image\.$/);
    for (const name of ["bad.safetensors", "bad.bin"]) {
      await drop(page, { [name]: bytes });
      const text = await problem.textContent() ?? "";
      assert(text.startsWith(`${name}: `) && text.includes(". Choose the .onnx, "), text);
    }
    assertEquals(await rowsOf(page), ofSample.map(shown));
    await page.click("#bars li:nth-child(2) button");
    await settle(page);
    const other = await expectedHeat(sample, { class: ofSample[1][0] });
    assertAllClose(await heatOf(page), other, { abs: 2 });
  });

  await step("loads other networks, of the folder and from a file", async () => {
    assertMatch(await narrow.textContent() ?? "", /65 kB$/);
    await narrow.click();
    await settle(page);
    assertEquals(await rowsOf(page), ofNarrow.map(shown));
    await page.click("#networks .choice >> nth=0");
    await settle(page);
    assertEquals(await rowsOf(page), ofSample.map(shown));
    await page.setInputFiles("#network-file", network);
    await settle(page);
    assertEquals(await rowsOf(page), ofNarrow.map(shown));
    assertMatch(
      await page.textContent("#networks [aria-pressed=true]") ?? "",
      /^squeezenet1_1\.onnx/,
    );
  });

  await step("works offline, after an update, too", async () => {
    await site.update("classify", true);
    const before = site.requested.length;
    await page.reload();
    await updateStored(page);
    await page.reload();
    await settle(page);
    assertEquals(await page.title(), "updated");
    const after = site.requested.slice(before);
    assert(after.includes("/classify/"));
    assertEquals(after.filter((path) => /networks|main/.test(path)), []); // they have not changed
    await site.setOffline(page, true);
    await page.reload();
    await settle(page);
    assertEquals(await rowsOf(page), ofSample.map(shown));
    await page.click("#networks .choice >> nth=1"); // it was used before
    await settle(page);
    assertEquals(await page.isVisible("#problem"), false);
    await site.setOffline(page, false);
    await page.context().close();
  });

  const phone = await site.page("classify/", { viewport: { width: 390, height: 844 } });
  await phone.waitForFunction("crossOriginIsolated");
  await settle(phone);

  await step("works offline after a first visit that only looked", async () => {
    await storedForLater(phone);
    await site.setOffline(phone, true);
    await phone.reload();
    await settle(phone);
    assertEquals(await rowsOf(phone), ofSample.map(shown));
    await phone.click("[data-sample] >> nth=1");
    await settle(phone);
    assertEquals(await phone.isVisible("#problem"), false);
    assertEquals(await phone.getAttribute("[data-sample] >> nth=1", "aria-pressed"), "true");
    await phone.click("#devices .choice >> nth=2"); // on one thread
    await settle(phone);
    assertEquals(await phone.isVisible("#problem"), false);
    // as if the first visit had not had shared memory
    await phone.evaluate(`caches.keys().then(async ([name]) => {
      const cache = await caches.open(name), stored = await cache.keys();
      const threads = stored.filter(({ url }) => /_threads/.test(url));
      await Promise.all(threads.map((request) => cache.delete(request)));
    })`);
    assertEquals(site.problems, []);
    await phone.reload();
    await settle(phone);
    assertEquals(await rowsOf(phone), ofSample.map(shown));
    assertEquals(await phone.isVisible("#problem"), false);
    assertMatch(await phone.textContent("#network-facts") ?? "", /wasm[^,]*$/);
    site.problems.length = 0; // the kernels that are not there
    await site.setOffline(phone, false);
    await phone.click("[data-sample] >> nth=0");
    await settle(phone);
  });

  await step("loads a network that the browser has no room to store", async () => {
    const devtools = await phone.context().newCDPSession(phone);
    const { origin } = new URL(phone.url());
    await devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
    const button = phone.locator("#networks .choice").nth(1);
    await button.click();
    await settle(phone);
    assertEquals(await phone.isVisible("#problem"), false);
    assertEquals(await button.getAttribute("aria-pressed"), "true");
    await devtools.send("Storage.overrideQuotaForOrigin", { origin });
    await phone.click("#networks .choice >> nth=0");
    await settle(phone);
  });

  await step("says that there is no camera, or takes photos with it", async () => {
    await phone.evaluate(`navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("Permission denied", "NotAllowedError"))`);
    await phone.click("#camera-button");
    await phone.waitForSelector("#camera .problem:has-text('The camera is blocked: allow it')");
    await phone.evaluate("delete navigator.mediaDevices.getUserMedia");
    await phone.click("#camera-button");
    await phone.waitForFunction("document.querySelector('#camera video')?.videoWidth > 0");
    await phone.click(".shutter");
    await settle(phone);
    assertEquals(await phone.isVisible("#camera video"), false);
    assert((await rowsOf(phone))[0][0] !== ofSample[0][0]);
  });

  await step("fits a phone", async () => {
    const width = () => phone.evaluate("document.documentElement.scrollWidth");
    assertEquals(await width(), 390);
    const isCut = await phone.evaluate(`(() => {
      const label = document.querySelector("#bars .label");
      label.textContent = "European fire salamander";
      return label.scrollWidth > label.clientWidth || label.scrollHeight > label.clientHeight;
    })()`);
    assertEquals(isCut, false);
    await phone.evaluate("document.documentElement.style.fontSize = '200%'");
    assertEquals(await width(), 390);
    await phone.evaluate("document.documentElement.style.fontSize = ''");
    await phone.setViewportSize({ width: 844, height: 390 });
    const { height } = (await phone.locator("#frame").boundingBox())!;
    assert(height < 390, `${height}`);
    await phone.setViewportSize({ width: 390, height: 844 });
  });

  await phone.evaluate(axe.source);
  for (const colorScheme of ["light", "dark"] as const) {
    await step(`is accessible in a ${colorScheme} colour scheme`, async () => {
      await phone.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      assertEquals(await findings(phone, colorScheme, { include: ["body"] }), []);
    });
  }

  assertEquals(site.problems, []);
});
