/**
 * Tests what the pages of `deno task web` do when something is missing or comes at another time.
 */

import { Buffer } from "node:buffer";
import type { Page } from "npm:playwright-core@1.56.1";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import { fixture } from "../../tests/cli/run.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable, fakeCamera, touchScreen } from "./chromium.ts";
import { settle } from "./classify.ts";
import { Site, stepsOf } from "./site.ts";
import { beforeCall, card } from "./teach_page.ts";
import { assertNoProblems, opener, rewrite, withForeignScripts } from "./trouble.ts";

/** What a page says is wrong. */
const problemOf = (page: Page) => page.textContent("#problem:not([hidden])");

/** What a page says if a part of it cannot be loaded that it needs later. */
const missingPart =
  "A part of the page cannot be loaded. Try again online, or load the page again.";

testWith(await needsChromium(executable), "the pages when something goes wrong", async (t) => {
  const step = stepsOf(t);
  await using site = await Site.open([...fakeCamera, ...touchScreen]);
  const open = opener(site);

  await step("let the reader load a network again, or go back to the one before", async () => {
    const weights = /\.safetensors$/, page = await open("classify/", weights);
    const network = page.locator("#networks .choice");
    await page.waitForSelector("#devices :disabled:has-text('needs a service worker')");
    assertMatch(await problemOf(page) ?? "", /safetensors: the server answered 404 Not Found\.$/);
    await page.click("[data-sample] >> nth=1");
    await page.waitForSelector("#problem:text-is('Choose a network.')");
    assertEquals(await network.getAttribute("aria-pressed"), "false");
    await page.route(weights, (route) => route.fulfill({ body: "" }));
    await network.click();
    await page.waitForSelector("#problem:has-text('is empty. Choose the network again.')");
    await page.unroute(weights);
    await page.route(weights, (route) => route.abort()); // as without a connection
    await page.setViewportSize({ width: 390, height: 600 });
    await network.click();
    const problem = await page.waitForSelector(`#problem:text-is("${missingPart}")`);
    const { y, height } = (await problem.boundingBox())!; // above the network
    assert(y > 0 && y + height < 600, `${y} ${height}`);
    await page.unroute(weights);
    await network.click();
    await settle(page);
    assertEquals(await page.isVisible("#problem"), false);
    assertEquals(await network.getAttribute("aria-pressed"), "true");
    await beforeCall(page, "network", "new Promise(() => {})");
    await page.setInputFiles("#network-file", fixture("networks/squeezenet1_1.onnx"));
    await page.waitForSelector("#loading:not([hidden])");
    await network.click();
    await page.waitForSelector("#loading[hidden]", { state: "attached" });
    await settle(page);
    await page.context().close();
  });

  await step("take photos that are dropped beside the page", async () => {
    const page = await open("classify/", undefined, { viewport: { width: 1900, height: 900 } });
    await settle(page);
    const accepted = (fill: string) =>
      page.evaluate(`["dragover", "drop"].map((type) => {
        const dataTransfer = new DataTransfer();
        ${fill};
        const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
        return !document.elementFromPoint(10, 300).dispatchEvent(event);
      })`);
    const file = `dataTransfer.items.add(new File(["no photo"], "notes\u202egpj.txt"))`;
    assertEquals(await accepted(file), [true, true]);
    assertMatch(await problemOf(page) ?? "", /^notes\\u202egpj\.txt: /); // not turned around
    // a picture of another page: the browser would go to its address
    const link = "dataTransfer.setData('text/uri-list', 'http://other.example/picture.jpg')";
    assertEquals(await accepted(link), [true, true]);
    assertEquals(await problemOf(page), "Only files can be dropped: save the picture first.");
    await page.evaluate("Blob.prototype.arrayBuffer = () => Promise.reject(new Error('a folder'))");
    await page.setInputFiles("#file", "tests/photos/rocket.jpg");
    assertEquals(
      await problemOf(page),
      "rocket.jpg cannot be read. If it is a folder, choose the photos in it.",
    );
    await page.context().close();
  });

  await step("say why they do not start", async () => {
    for (const path of ["classify/", "convolution/"]) {
      const unscripted = await open(path, undefined, { javaScriptEnabled: false });
      await unscripted.waitForSelector(
        ".problem:text-is('This page needs JavaScript: allow it, " +
          "and load the page again.')",
      );
      assertEquals(await unscripted.locator("main[aria-busy=true]").count(), 0);
      await unscripted.context().close();
      const incomplete = await open(path, /\/chunk-\w+\.js$/);
      assertMatch(await problemOf(incomplete) ?? "", /^A part of the page cannot be loaded\. /);
      assertEquals(await incomplete.locator("main[aria-busy=true]").count(), 0);
      await incomplete.context().close();
      const empty = await open(path, /\.js\b/), advice = empty.locator("#starting");
      assertEquals(await advice.isVisible(), false); // it may only take a moment
      await advice.waitFor();
      assertEquals(await empty.locator("main[aria-busy=true]").count(), 0);
      await empty.context().close();
      assertNoProblems(site);
      const old = await site.page("", { serviceWorkers: "block" });
      const future = { contentType: "text/javascript", body: "a syntax of the future" };
      await old.route(/\/main\.js/, (route) => route.fulfill(future));
      await old.goto(new URL(path, old.url()).href);
      const unfit = "The page does not work in this browser: use a current one.";
      await old.waitForSelector(`#problem:text-is("${unfit}")`);
      assertEquals(await old.locator("main[aria-busy=true], #starting").count(), 0);
      await old.context().close();
      assertMatch(site.problems.splice(0).join(), /SyntaxError/);
    }
  });

  await step("have controls that a finger can hit, near what they change", async () => {
    for (const path of ["classify/", "convolution/"]) {
      const page = await open(path, undefined, { viewport: { width: 390, height: 844 } });
      await settle(page);
      if (path === "classify/") {
        const frame = (await page.locator("#frame").boundingBox())!;
        const controls = (await page.locator(".heat-controls").boundingBox())!;
        const gap = controls.y - frame.y - frame.height; // they change the picture above them
        assert(gap > 0 && gap < 40, `${gap}`);
        await page.setInputFiles(`${card(1)} [type=file]`, "tests/photos/rocket.jpg");
        await page.waitForSelector(`${card(1)} .thumbnails button`);
      }
      const small = await page.evaluate(`Array.from(
        document.querySelectorAll("button, select, label.button, .segments label, [type=text]"),
        (element) => ({ element, ...element.getBoundingClientRect().toJSON() }))
        .filter(({ element }) => element.offsetParent && !element.closest("table"))
        .filter(({ width, height }) => width < 44 || height < 44)
        .map(({ element }) => element.outerHTML)`);
      assertEquals(small, []);
      await page.context().close();
    }
  });

  await step("say what to do when a part is missing that was not needed before", async () => {
    const page = await open("classify/", /\/(webp|teach_training)-\w+\.js$/);
    await page.waitForSelector("#teach .card");
    const photo = "tests/fixtures/image/images/animated-orientation-6.webp";
    await page.setInputFiles("#file", photo);
    await page.waitForSelector(`#problem:text-is("${missingPart}")`);
    await page.setInputFiles(`${card(1)} [type=file]`, [photo, photo]);
    await page.waitForSelector(`${card(1)} .problem:text-is("${missingPart}")`);
    await page.context().close();
  });

  await step("do nothing and say why while there are no kernels", async () => {
    const page = await open("convolution/", /\.wasm-\w+\.deflate$/);
    const reason = await problemOf(page) ?? "";
    assertEquals(reason, missingPart);
    await page.click("[data-steps='1']");
    await page.click("[data-signal=spike]");
    assertEquals(await problemOf(page), reason);
    await page.context().close();
  });

  await step("say that the browser or the host forbids WebAssembly", async () => {
    const expected = "The page cannot compute: this browser is too old for it, or forbids it " +
      "WebAssembly. Use a current browser, and turn off Lockdown Mode for this page.";
    const policy = { "content-security-policy": "script-src 'self'" };
    for (const headers of [policy, undefined]) {
      const page = await site.page("", { serviceWorkers: "block" });
      const remove = (text: string, isWorker: boolean) =>
        isWorker && !headers ? `delete globalThis.WebAssembly;${text}` : text;
      await rewrite(page, remove, headers);
      if (!headers) await page.addInitScript("delete globalThis.WebAssembly");
      for (const path of ["convolution/", "classify/"]) {
        await page.goto(new URL(`/${path}`, page.url()).href);
        await page.waitForSelector(`#problem:text-is("${expected}")`);
      }
      await page.waitForSelector("#teach .card");
      const photo = { name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no photo") };
      await page.setInputFiles("#file", photo);
      await page.waitForSelector(`#problem:text-is("${expected}")`);
      await page.context().close();
    }
  });

  await step("compute where scripts of others fail, and newer features are missing", async () => {
    const page = await site.page("", { serviceWorkers: "block" });
    await page.addInitScript(`delete AbortSignal.any;
      Object.defineProperty(ServiceWorkerContainer.prototype, "ready", {
        get: () => Promise.reject(new DOMException("The operation is insecure.", "SecurityError")),
      });`);
    const headers = {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    };
    const change = (text: string, isWorker: boolean) =>
      isWorker ? `delete globalThis.SharedArrayBuffer;${text}` : withForeignScripts(text);
    await rewrite(page, change, headers);
    await page.goto(new URL("classify/", page.url()).href);
    await settle(page);
    assertEquals(await page.evaluate("crossOriginIsolated"), true);
    const tile = page.locator("#devices .choice >> nth=1");
    await tile.and(page.locator(":disabled:has-text('not in this browser')")).waitFor();
    assertEquals(await page.isVisible("#problem"), false);
    await page.context().close();
  });

  await step("keep the scale of a plot while a pointer draws, in Firefox, too", async () => {
    const page = await site.page("", { serviceWorkers: "block", reducedMotion: "reduce" });
    await rewrite(page, withForeignScripts);
    await page.goto(new URL("convolution/", page.url()).href);
    await page.waitForSelector("main[data-ready]");
    assertEquals(await page.isVisible("#problem"), false);
    // Firefox takes no element for active if the page takes what the pointer does
    await page.evaluate(`{
      const { matches } = Element.prototype;
      Element.prototype.matches = function (selector) {
        return selector !== ":active" && matches.call(this, selector);
      };
    }`);
    await page.selectOption("[name=rate]", "0.1");
    await page.click("[data-steps='10']"); // too far: the weights grow
    await page.waitForSelector("#steps:text-is('10')");
    const bars = await page.locator("#w-plot .column").all();
    const draw = async (i: number, share: number, shown: string) => {
      const { x, y, width, height } = (await bars[i].locator(".track").boundingBox())!;
      await page.mouse.move(x + width / 2, y + height * share);
      if (i === 0) await page.mouse.down();
      await bars[i].locator(`.number:text-is("${shown}")`).waitFor();
    };
    for (const i of bars.keys()) await draw(i, 1 / 4, "3.0"); // the limit
    await draw(1, 3 / 4, "−3.0"); // on a scale of 3, it would be −1.5
    await page.mouse.up();
    await page.context().close();
  });

  const page = await open("classify/");

  await step("say why there is no camera", async () => {
    await settle(page);
    for (
      const [error, problem] of [
        ["NotFoundError", "There is no camera: connect one"],
        ["OverconstrainedError", "There is no camera: connect one"], // in Safari
      ]
    ) {
      await page.evaluate(`navigator.mediaDevices.getUserMedia = () =>
        Promise.reject(new DOMException("", "${error}"))`);
      await page.click("#camera-button");
      await page.waitForSelector(`#camera .problem:has-text("${problem}")`);
    }
    // as Firefox does against fingerprinting
    await page.evaluate(`{
      delete navigator.mediaDevices.getUserMedia;
      const { prototype } = CanvasRenderingContext2D, { getImageData } = prototype;
      prototype.getImageData = (x, y, width, height) => {
        prototype.getImageData = getImageData;
        return { data: crypto.getRandomValues(new Uint8Array(4 * width * height)) };
      };
    }`);
    await page.click("#camera-button");
    await page.waitForSelector("#camera .problem:has-text('The browser hides the picture')");
  });

  await step("close a camera that comes after a photo", async () => {
    await settle(page);
    await page.evaluate(`{
      const devices = navigator.mediaDevices, getUserMedia = devices.getUserMedia.bind(devices);
      const allowed = new Promise((resolve) => globalThis.allow = resolve);
      devices.getUserMedia = async (options) => {
        await allowed;
        return globalThis.stream = await getUserMedia(options);
      };
    }`);
    await page.click("#camera-button");
    await page.click("[data-sample] >> nth=1");
    await settle(page);
    assertEquals(await page.isVisible("#photo"), true);
    await page.evaluate("allow()");
    await page.waitForFunction("globalThis.stream?.getTracks()[0].readyState === 'ended'");
    assertEquals(await page.isVisible("#photo"), true);
    await page.click("#camera-button");
    await page.waitForSelector("#camera video");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#camera-button:focus");
    assertEquals(await page.locator("#camera video").count(), 0);
    await page.click("#camera-button");
    await page.waitForSelector("#camera video");
    await page.setViewportSize({ width: 390, height: 844 });
    assertEquals(await page.locator(".heat-controls").boundingBox(), null); // no gap
    await page.focus("#compare");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#camera video", { state: "detached" });
    assertEquals(await page.locator("#compare:focus").count(), 1);
  });

  await step(
    "move nothing for readers who want that, and keep what is chosen visible",
    async () => {
      await page.emulateMedia({ reducedMotion: "reduce", forcedColors: "active" });
      const styles = (selector: string, name: string, pseudo = "") =>
        page.evaluate(`Array.from(document.querySelectorAll("${selector}"), (element) =>
        getComputedStyle(element, "${pseudo}").${name})`);
      await page.evaluate("document.querySelector('main').setAttribute('aria-busy', 'true')");
      assertEquals(await styles(".frame", "animationName", "::after"), ["none"]);
      assertEquals(await styles("#devices .choice", "outlineStyle"), ["none", "none", "solid"]);
      assertEquals(await styles(".segments label", "outlineStyle"), ["solid", "none", "none"]);
      const [bar] = await styles("#bars .bar", "backgroundImage") as string[];
      assertMatch(bar, /^linear-gradient/);
      await page.context().close();
    },
  );

  await step("work with a network when the browser cannot read their store", async () => {
    const page = await site.page("convolution/");
    await page.waitForFunction("navigator.serviceWorker.controller !== null");
    const [worker] = page.context().serviceWorkers();
    await worker.evaluate(`for (const name of ["open", "match"]) {
      CacheStorage.prototype[name] = () => Promise.reject(new Error("the disk is broken"));
    }`);
    await page.reload();
    await page.waitForSelector("main[data-ready]");
    await page.context().close();
  });

  await step("use a photo that is chosen while scripts are loaded", async () => {
    const page = await site.page("", { serviceWorkers: "block" });
    const { promise: chosen, resolve } = Promise.withResolvers<void>();
    await page.route(/\/main\.js/, async (route) => {
      await chosen;
      await route.continue();
    });
    await page.goto(new URL("classify/", page.url()).href, { waitUntil: "commit" });
    await page.setInputFiles("#file", "tests/photos/rocket.jpg");
    resolve();
    await settle(page);
    assertEquals(await page.locator("[data-sample][aria-pressed=true]").count(), 0);
    await page.waitForSelector("#photo[aria-label^='The photo: it looks like ']");
    await page.context().close();
  });

  assertNoProblems(site);
});
