/** Tests what the pages of `deno task web` do when something is missing or comes at another time. */

import { Buffer } from "node:buffer";
import type { Page } from "npm:playwright-core@1.56.1";
import { encodePng } from "../../mod.ts";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import { fixture } from "../../tests/cli/run.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable } from "./chromium.ts";
import { settle } from "./classify.ts";
import { shapeFiles } from "./shapes.ts";
import { Site, stepsOf } from "./site.ts";
import { assertCount, beforeCall, card, learn } from "./teach_page.ts";

/** What a page says is wrong. */
const problemOf = (page: Page) => page.textContent("#problem:not([hidden])");

/**
 * Makes a function that opens a page without a service worker. The server does not have the files with
 * the names that it is given.
 */
const opener =
  (site: Site) => async (path: string, missing = /^$/, options = {}): Promise<Page> => {
    const page = await site.page("", { ...options, serviceWorkers: "block" });
    await page.route(missing, (route) => route.fulfill({ status: 404 }));
    await page.goto(new URL(path, page.url()).href);
    return page;
  };

/** What a page says if a part of it cannot be loaded that it needs later. */
const missingPart =
  "A part of the page cannot be loaded. Try again online, or load the page again.";

/** Asserts that nothing went wrong but that files were missing. */
const assertNoProblems = ({ problems }: Site) =>
  assertEquals(problems.filter((text) => !/404/.test(text)), []);

testWith(await needsChromium(executable), "the pages when something goes wrong", async (t) => {
  const step = stepsOf(t);
  await using site = await Site.open(["--use-fake-device-for-media-stream"]);
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
    const file = `dataTransfer.items.add(new File(["no photo"], "notes.txt"))`;
    assertEquals(await accepted(file), [true, true]);
    assertMatch(await problemOf(page) ?? "", /^notes\.txt: /);
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

  await step("say that a script is missing", async () => {
    for (const path of ["classify/", "convolution/"]) {
      const page = await open(path, /\/chunk-\w+\.js$/);
      assertMatch(await problemOf(page) ?? "", /^A part of the page cannot be loaded\. /);
      assertEquals(await page.locator("main[aria-busy=true]").count(), 0);
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
      await page.route(/\/$|worker\.js/, async (route) => {
        const response = await route.fetch(), all = { ...response.headers(), ...headers };
        const isScript = /worker/.test(route.request().url()), text = await response.text();
        const body = isScript && !headers ? `delete globalThis.WebAssembly;${text}` : text;
        await route.fulfill({ response, headers: all, body });
      });
      if (!headers) await page.addInitScript("delete globalThis.WebAssembly");
      for (const path of ["classify/", "convolution/"]) {
        await page.goto(new URL(`/${path}`, page.url()).href);
        await page.waitForSelector(`#problem:text-is("${expected}")`);
      }
      await page.goto(new URL("/classify/", page.url()).href);
      await page.waitForSelector("#teach .card");
      const photo = { name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no photo") };
      await page.setInputFiles("#file", photo);
      await page.waitForSelector(`#problem:text-is("${expected}")`);
      await page.context().close();
    }
  });

  await step(
    "move nothing for readers who want that, and keep what is chosen visible",
    async () => {
      const options = { reducedMotion: "reduce", forcedColors: "active" } as const;
      const page = await open("classify/", undefined, options);
      await settle(page);
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

  await step("close a camera that comes after a photo", async () => {
    const page = await open("classify/", undefined, { permissions: ["camera"] });
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
    await page.context().close();
  });

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

testWith(
  await needsChromium(executable),
  "teaching the page when something goes wrong",
  async (t) => {
    const step = stepsOf(t);
    await using site = await Site.open();
    const open = opener(site);

    await step("breaks long names on a phone", async () => {
      const page = await open("classify/", undefined, { viewport: { width: 320, height: 700 } });
      await page.waitForSelector("#teach .card");
      const buffer = Buffer.from("no photo"), file = { mimeType: "image/png", buffer };
      await page.setInputFiles(`${card(1)} [type=file]`, {
        name: `${"w".repeat(99)}.png`,
        ...file,
      });
      await page.waitForSelector(`${card(1)} .problem:not([hidden])`);
      assertEquals(await page.evaluate("document.documentElement.scrollWidth"), 320);
      await page.context().close();
    });

    await step("leaves the focus where the reader is", async () => {
      const page = await open("classify/");
      const hasFocus = (selector: string) =>
        page.evaluate(`document.activeElement === document.querySelector("${selector}")`);
      await settle(page);
      await page.focus("#bars li:nth-child(2) button");
      await page.evaluate("document.querySelector('[data-sample*=cat]').click()");
      await page.waitForSelector("[data-sample*=cat][aria-pressed=true]");
      await settle(page);
      assertEquals(await hasFocus("#bars li:nth-child(2) button"), true);
      await beforeCall(page, "network", "new Promise(() => {})");
      await page.setInputFiles("#network-file", fixture("networks/squeezenet1_1.onnx"));
      await page.focus("#cancel");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#loading[hidden]", { state: "attached" });
      assertEquals(await hasFocus("#networks [aria-pressed=true]"), true);
      for (const [i, shape] of (["circle", "square"] as const).entries()) {
        await page.setInputFiles(`${card(i + 1)} [type=file]`, await shapeFiles(shape, 2));
        await assertCount(page, i + 1, "2 photos");
      }
      await beforeCall(page, "teachLearn", "new Promise((resolve) => globalThis.goOn = resolve)");
      await page.focus("#teach [data-learn]");
      await page.keyboard.press("Enter");
      assertEquals(await hasFocus("#teach [data-stop]"), true);
      await page.focus(`${card(1)} [name=class]`);
      await page.evaluate("goOn()");
      await page.waitForSelector("#teach .trial:not([hidden])");
      await settle(page);
      assertEquals(await hasFocus(`${card(1)} [name=class]`), true);
      await page.context().close();
    });

    await step("takes photos that are pasted where the reader is", async () => {
      const page = await open("classify/");
      await page.waitForSelector("#teach .card");
      await settle(page);
      const [{ buffer }] = await shapeFiles("circle", 1);
      const paste = (selector: string) =>
        page.evaluate(`{
          const dataTransfer = new DataTransfer();
          const bytes = Uint8Array.from(atob("${
          buffer.toString("base64")
        }"), (c) => c.charCodeAt(0));
          dataTransfer.items.add(new File([bytes], "image.png"));
          document.querySelector("${selector}").dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: dataTransfer, bubbles: true }));
        }`);
      const problem = page.locator("#teach > .problem");
      await paste("#teach h2");
      assertEquals(await problem.textContent(), "Click a class, then paste.");
      await paste(`${card(1)} .hint`);
      await assertCount(page, 1, "1 photo");
      assertEquals(await problem.isVisible(), false);
      await page.click(`${card(1)} .thumbnails button`); // the focus is now on its button
      await page.waitForSelector(`${card(1)} .hint`);
      await paste("body");
      await assertCount(page, 1, "1 photo");
      assertEquals(await page.locator("[data-sample][aria-pressed=true]").count(), 1);
      await page.evaluate("document.activeElement.blur()");
      await paste("body");
      await page.waitForFunction("!document.querySelector('[data-sample][aria-pressed=true]')");
      const { y, height } = (await page.locator("#frame").boundingBox())!;
      assert(y + height / 2 > 0, "the photo is in view");
      await page.context().close();
    });

    await step("learns from a copy of a photo that is removed meanwhile", async () => {
      const page = await open("classify/");
      await page.waitForSelector("#teach .card");
      const [copied, ...circles] = await shapeFiles("circle", 2);
      await page.setInputFiles(`${card(1)} [type=file]`, [copied, ...circles]);
      await assertCount(page, 1, "2 photos");
      await page.evaluate(`{
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (message, transfer) {
        postMessage.call(this, message, transfer);
        if (message.call !== "teachKeep") return;
        Worker.prototype.postMessage = postMessage;
        document.querySelector("${card(1)} .thumbnails button").click();
      };
    }`);
      await page.setInputFiles(`${card(2)} [type=file]`, copied);
      await assertCount(page, 2, "1 photo");
      await assertCount(page, 1, "1 photo");
      await learn(page);
      assertEquals(await page.isVisible("#teach > .problem"), false);
      await page.context().close();
    });

    await step("shows a long thin photo to learn from", async () => {
      const page = await open("classify/"), width = 60_000;
      await page.waitForSelector("#teach .card");
      const png = await encodePng({ width, height: 1, data: new Uint8Array(3 * width).fill(200) });
      const file = { name: "thin.png", mimeType: "image/png", buffer: Buffer.from(png) };
      await page.setInputFiles(`${card(1)} [type=file]`, file);
      await assertCount(page, 1, "1 photo");
      const pixel = await page.evaluate(`Array.from(document.querySelector("#teach canvas")
      .getContext("2d").getImageData(64, 64, 1, 1).data)`);
      assertEquals(pixel, [200, 200, 200, 255]);
      await page.context().close();
    });

    await step("refuses to learn from a network that it cannot save", async () => {
      const page = await open("classify/");
      await page.waitForSelector("#teach .card");
      await page.setInputFiles("#network-file", fixture("networks/squeezenet1_1.onnx"));
      await page.waitForSelector("#networks [aria-pressed=true]:has-text('squeezenet1_1.onnx')");
      await settle(page);
      for (const [i, shape] of (["circle", "square"] as const).entries()) {
        await page.setInputFiles(`${card(i + 1)} [type=file]`, await shapeFiles(shape, 1));
        await assertCount(page, i + 1, "1 photo");
      }
      await page.click("#teach [data-learn]");
      assertMatch(
        await page.textContent("#teach > .problem:not([hidden])") ?? "",
        /^“squeezenet1_1\.onnx” is an ONNX network, .*: choose another one\.$/,
      );
      await page.context().close();
    });

    assertNoProblems(site);
  },
);
