/** Teaches the page of `deno task web` two classes of drawn shapes, in Chromium. */

// @ts-types="npm:axe-core@4.14.1"
import axe from "npm:axe-core@4.14.1/axe.min.js";
import { Buffer } from "node:buffer";
import type { Page } from "npm:playwright-core@1.56.1";
import { encodePng, fileSource, openWeights, RandomGenerator } from "../../mod.ts";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import { run, TempFolder } from "../../tests/cli/run.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable } from "./chromium.ts";
import { findings, Site } from "./site.ts";

/** A file as a reader would choose it. */
interface ChosenFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

type Shape = "circle" | "square";

const generator = new RandomGenerator(7);

/** A number from a range. */
function draw(from: number, to: number): number {
  return from + (to - from) * generator.random() * 2 ** -32;
}

/** A bright shape of any size at any place, on a dark background. Both shapes cover the same area. */
async function shapeFile(shape: Shape, name: string): Promise<ChosenFile> {
  const side = 96, data = new Uint8Array(side * side * 3);
  const radius = draw(14, 34), half = radius * Math.sqrt(Math.PI) / 2;
  const [x, y] = [0, 1].map(() => draw(radius + 2, side - radius - 2));
  const dark = [0, 1, 2].map(() => draw(0, 110)), bright = [0, 1, 2].map(() => draw(150, 255));
  for (let i = 0; i < side * side; i++) {
    const dx = i % side - x, dy = Math.floor(i / side) - y;
    const isInside = shape === "circle"
      ? Math.hypot(dx, dy) < radius
      : Math.max(Math.abs(dx), Math.abs(dy)) < half;
    data.set(isInside ? bright : dark, 3 * i);
  }
  const png = await encodePng({ width: side, height: side, data });
  return { name: `${name}.png`, mimeType: "image/png", buffer: Buffer.from(png) };
}

function shapeFiles(shape: Shape, count: number): Promise<ChosenFile[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) => shapeFile(shape, `${shape} ${i + 1}`)),
  );
}

const card = (n: number) => `#teach .card:nth-child(${n})`;

/** Waits until a card has read its photos. */
async function assertCount(page: Page, n: number, text: string): Promise<void> {
  await page.waitForSelector(`${card(n)} .count:text-is("${text}")`);
}

const problemOf = (page: Page, n: number) =>
  page.locator(`${card(n)} .problem:not([hidden])`).textContent();

/** Learns, and waits until the page uses what was learned. */
async function learn(page: Page): Promise<void> {
  await page.click("#teach [data-learn]");
  await page.waitForSelector("#teach .trial:not([hidden])");
  await page.waitForSelector("#teach [data-learn]:not([hidden])");
}

/** Lets the page classify a photo, and returns the most probable class and its percentage. */
async function tryPhoto(page: Page, file: ChosenFile): Promise<{ label: string; percent: string }> {
  await page.setInputFiles("#teach .trial [type=file]", file);
  await page.waitForSelector("#teach .guesses[aria-busy=false]");
  const [label, percent] = await page.locator("#teach .guesses .best > span:not(.track)")
    .allTextContents();
  return { label, percent };
}

// a camera without hardware: Chromium's test picture
const fakeCamera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

testWith(await needsChromium(executable), "the page learns classes", async (t) => {
  await using site = await Site.open(...fakeCamera);
  await using folder = await TempFolder.make();
  const page = await site.page("classify/", { viewport: { width: 1280, height: 800 } });
  await page.waitForSelector("main[data-ready]");
  const circles = await shapeFiles("circle", 14), squares = await shapeFiles("square", 14);
  const [circle] = circles;

  await t.step("says what is missing, and what is wrong with photos", async () => {
    const problem = () => page.locator("#teach > .problem").textContent();
    await page.click("#teach [data-learn]");
    assertEquals(await problem(), "Add photos to at least two classes.");
    await page.fill(`${card(1)} [name=class]`, "circles");
    await page.fill(`${card(2)} [name=class]`, "circles");
    await page.click("#teach [data-learn]");
    assertEquals(
      await problem(),
      "Two classes are called “circles”: give each its own name.",
    );
    await page.fill(`${card(2)} [name=class]`, "squares");

    const text = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no photo") };
    await page.setInputFiles(`${card(1)} [type=file]`, [circle, circle, text]);
    await assertCount(page, 1, "1 photo");
    assertMatch(
      await problemOf(page, 1) ?? "",
      /^notes\.txt: .* It is left out\. A photo was there already\.$/,
    );
    await page.setInputFiles(`${card(2)} [type=file]`, circle);
    assertEquals(
      await problemOf(page, 2),
      "circle 1.png is in “circles”, too: a photo can be in one class only.",
    );
    await page.click("#teach [data-learn]");
    assertEquals(await problem(), "Add photos to at least two classes.");
  });

  await t.step("tells apart 95 % of shapes that it has not seen", async () => {
    await page.setInputFiles(`${card(1)} [type=file]`, circles.slice(1));
    await page.setInputFiles(`${card(2)} [type=file]`, squares);
    await assertCount(page, 1, "14 photos");
    await assertCount(page, 2, "14 photos");
    await learn(page);
    const tests = 40;
    let right = 0;
    for (let i = 0; i < tests; i++) {
      const shape = i % 2 === 0 ? "circle" : "square";
      const { label } = await tryPhoto(page, await shapeFile(shape, `test ${i}`));
      right += Number(label === `${shape}s`);
    }
    assert(right >= 0.95 * tests, `${right} of ${tests}`);
  });

  await t.step("shows a curve, and says in words what it shows", async () => {
    const points = await page.evaluate(`Array.from(document.querySelectorAll("#teach polyline"),
      (line) => line.getAttribute("points").split(" ").length)`);
    assertEquals(points, [61, 61, 61, 61]); // before the first of 60 steps, and after each
    const text = await page.locator("#teach .curve [role=img]").first().getAttribute("aria-label");
    assertMatch(
      text ?? "",
      /^In 60 steps, the accuracy on photos that were held out went from 50 % to \d+(\.\d)? %, and the loss from 0\.69 to \d\.\d\d\.$/,
    );
    assertMatch(
      await page.textContent("#teach [data-measured]") ?? "",
      /^It recognised \d of 6 photos that were held out.*\. On other photos like these, expect \d+ to \d+ % \(95 % interval\)\.$/,
    );
  });

  await t.step("gives a file that the command accepts", async () => {
    const photo = await shapeFile("square", "a new square");
    const { label, percent } = await tryPhoto(page, photo);
    assertEquals(label, "squares");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.click("#teach .lesson-use .primary"),
    ]);
    assertEquals(download.suggestedFilename(), "circles-squares.safetensors");
    assertEquals(
      await page.textContent("#teach pre"),
      "deno run -A cli.ts --weights circles-squares.safetensors photo.jpg",
    );
    const weights = `${folder.path}/${download.suggestedFilename()}`;
    await download.saveAs(weights);
    const path = await folder.write(photo.name, photo.buffer);
    const { stdout, code } = await run(["--weights", weights, path]);
    assertEquals(code, 0);
    assertMatch(stdout, new RegExp(`\\n +${percent} .* squares\\n`)); // the most probable class

    for (const [name, files] of Object.entries({ circles, squares })) {
      for (const { name: file, buffer } of files) {
        await folder.write(`photos/${name}/${file}`, buffer);
      }
    }
    const evaluated = await run([
      "evaluate",
      "--weights",
      weights,
      `${folder.path}/photos`,
      "--json",
    ]);
    assertEquals(JSON.parse(evaluated.stdout).accuracy, 1);
    using file = await openWeights(await fileSource(weights));
    const { base, photos, measured } = JSON.parse(file.metadata.get("learned") ?? "");
    assertMatch(base.sha256, /^[\da-f]{64}$/);
    assertEquals(photos, { circles: 14, squares: 14 });
    assertEquals(measured.photos, 6);
  });

  await t.step(
    "classifies with the new classes everywhere, until the reader goes back",
    async () => {
      const labels = page.locator("#bars .label");
      assertEquals((await labels.allTextContents()).sort(), ["circles", "squares"]);
      await page.click("#teach [data-use]");
      await page.waitForSelector("#teach [data-use]:has-text('Use my classes again')");
      await page.waitForFunction("document.querySelectorAll('#bars .label').length === 5");
      await page.click("#teach [data-use]");
      await page.waitForFunction("document.querySelectorAll('#bars .label').length === 2");
    },
  );

  await t.step(
    "takes photos while the shutter is held, and classifies the live picture",
    async () => {
      await page.click(`${card(1)} [data-camera]`);
      await page.focus(`${card(1)} .shutter`);
      await page.keyboard.down(" ");
      await page.waitForSelector(`${card(1)} .thumbnails li:nth-child(16)`);
      await page.keyboard.up(" ");
      await page.click("#teach [data-try-camera]");
      assertEquals(await page.locator(`${card(1)} video`).count(), 0); // one camera at a time
      await page.waitForSelector("#teach .trial video");
      await page.waitForSelector("#teach .guesses .best");
      await page.click("#teach .trial-place button");
    },
  );

  await t.step("stops", async () => {
    // the same network as another one: all features are computed again, which takes a while
    await page.evaluate(`document.querySelector("#teach").dispatchEvent(new CustomEvent("network", {
      detail: { source: {
        name: "other",
        weights: new URL("../networks/alexnet_tiny.safetensors", location.href).href,
      } },
    }))`);
    await page.click("#teach [data-learn]");
    await page.click("#teach [data-stop]");
    await page.waitForSelector("#status:has-text('Stopped.')", { state: "attached" });
    await page.waitForSelector("#teach [data-learn]:not([hidden])");
    await page.context().close();
  });

  const viewport = { width: 390, height: 844 };
  const phone = await site.page("classify/", { viewport, hasTouch: true });

  await t.step("works with the keyboard, and offline", async () => {
    await phone.locator("#teach .card").first().scrollIntoViewIfNeeded();
    await phone.waitForFunction("navigator.serviceWorker.controller !== null");
    await phone.waitForFunction(`caches.keys().then(async ([name]) => {
      const stored = (await (await caches.open(name)).keys()).map(({ url }) => url);
      return ["teach_training", "alexnet_tiny"].every((part) => stored.some((url) => url.includes(part)));
    })`);
    await phone.context().setOffline(true);
    await phone.reload();
    await phone.waitForSelector("#teach .card");
    await phone.setInputFiles(`${card(1)} [type=file]`, circles.slice(0, 3));
    await phone.setInputFiles(`${card(2)} [type=file]`, squares.slice(0, 2));
    await assertCount(phone, 1, "3 photos");
    await assertCount(phone, 2, "2 photos");
    await phone.focus(`${card(1)} .thumbnails li:nth-child(2) button`);
    await phone.keyboard.press("Enter");
    await assertCount(phone, 1, "2 photos");
    await phone.keyboard.press("Enter"); // the focus is on the next photo
    await assertCount(phone, 1, "1 photo");
    await learn(phone);
    assertMatch(await phone.textContent("#teach [data-measured]") ?? "", /^There are too few/);
    assertEquals((await tryPhoto(phone, circle)).label, "Class 1");
    assertEquals(await phone.evaluate("document.documentElement.scrollWidth"), viewport.width);
    await phone.evaluate(axe.source);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    await t.step(`is accessible in a ${colorScheme} colour scheme`, async () => {
      await phone.emulateMedia({ colorScheme });
      assertEquals(await findings(phone, colorScheme, { include: ["#teach"] }), []);
    });
  }

  assertEquals(site.problems, []);
});
