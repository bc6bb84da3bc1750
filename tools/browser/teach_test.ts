/** Teaches the page of `deno task web` two classes of drawn shapes, in Chromium. */

// @ts-types="npm:axe-core@4.14.1"
import axe from "npm:axe-core@4.14.1/axe.min.js";
import { Buffer } from "node:buffer";
import type { Page } from "npm:playwright-core@1.56.1";
import { fileSource, openWeights } from "../../mod.ts";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import { run, TempFolder } from "../../tests/cli/run.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable, fakeCamera } from "./chromium.ts";
import { storedForLater } from "./classify.ts";
import { shapeFile, shapeFiles } from "./shapes.ts";
import { findings, Site, stepsOf, until } from "./site.ts";
import {
  assertCount,
  assertProblem,
  beforeCall,
  card,
  learn,
  problemOf,
  saveFile,
  startFrom,
  tryPhoto,
} from "./teach_page.ts";

/** The states of the cameras that the page has got from the browser. */
const cameraStates = (page: Page) => page.evaluate("tracks.map(({ readyState }) => readyState)");

testWith(await needsChromium(executable), "the page learns classes", async (t) => {
  const step = stepsOf(t);
  await using site = await Site.open(fakeCamera);
  await using folder = await TempFolder.make();
  const page = await site.page("classify/", { viewport: { width: 1280, height: 800 } });
  await page.waitForSelector("main[data-ready]");
  const circles = await shapeFiles("circle", 14), squares = await shapeFiles("square", 14);
  const [circle] = circles;

  await step("says what is missing, and what is wrong with photos", async () => {
    await page.click("#teach [data-learn]");
    await assertProblem(page, "Add photos to at least two classes.");
    await page.fill(`${card(1)} [name=class]`, "circles");
    await page.fill(`${card(2)} [name=class]`, "circles");
    await page.click("#teach [data-learn]");
    await assertProblem(page, "Two classes are called “circles”: give each its own name.");
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
    await assertProblem(page, "Add photos to at least two classes.");
  });

  await step("keeps a photo when a class with a copy of it is removed meanwhile", async () => {
    await page.click("#teach [data-add]");
    await beforeCall(
      page,
      "teachKeep",
      `document.querySelector("${card(3)} [data-remove]").click()`,
    );
    await page.setInputFiles(`${card(3)} [type=file]`, circle);
    await page.waitForSelector(card(3), { state: "detached" });
    // the next step learns from the photo
  });

  await step("says that files can be dropped only while they are over the page", async () => {
    const classes = (...types: string[]) =>
      page.evaluate(`{
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([], "empty.png"));
        for (const type of ${JSON.stringify(types)}) {
          const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector("${card(1)}").dispatchEvent(event);
        }
        document.querySelectorAll(".dropping").length;
      }`);
    assertEquals(await classes("dragenter"), 2); // the card, and the page
    assertEquals(await classes("drop"), 0);
    await assertCount(page, 1, "1 photo");
  });

  await step("tells apart 95 % of shapes that it has not seen", async () => {
    await page.setInputFiles(`${card(1)} [type=file]`, circles.slice(1));
    await page.setInputFiles(`${card(2)} [type=file]`, squares);
    await assertCount(page, 1, "14 photos");
    await assertCount(page, 2, "14 photos");
    await learn(page);
    const tests = 20;
    let right = 0;
    for (let i = 0; i < tests; i++) {
      const shape = i % 2 === 0 ? "circle" : "square";
      const { label } = await tryPhoto(page, await shapeFile(shape, `test ${i}`));
      right += Number(label === `${shape}s`);
    }
    assert(right >= 0.95 * tests, `${right} of ${tests}`);
  });

  await step("shows a curve, and says in words what it shows", async () => {
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

  await step("gives a file that the command accepts", async () => {
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
    await page.fill("#teach [name=file]", "$1's");
    assertEquals(
      await page.textContent("#teach pre"),
      "deno run -A cli.ts --weights '$1'\\''s.safetensors' photo.jpg",
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

  await step(
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

  await step(
    "takes photos while the shutter is held, and classifies the live picture",
    async () => {
      await page.click(`${card(1)} [data-camera]`);
      await page.focus(`${card(1)} .shutter`);
      await page.keyboard.down(" ");
      await page.waitForSelector(`${card(1)} .thumbnails li:nth-child(16)`);
      await page.keyboard.up(" ");
      // at once, because a picture of the camera is soon classified
      const left = await page.evaluate(`(document.querySelector("#teach [data-try-camera]").click(),
        document.querySelectorAll("#teach .guesses .best").length)`);
      assertEquals(left, 0); // of the photo before
      assertEquals(await page.locator(`${card(1)} video`).count(), 0); // one camera at a time
      await page.waitForSelector("#teach .trial video");
      await page.waitForSelector("#teach .guesses .best");
      await page.click("#teach .trial-place button");
      await page.waitForSelector("#teach .trial .hint");
      await page.waitForTimeout(200); // for a frame that was classified meanwhile
      assertEquals(await page.locator("#teach .guesses .best").count(), 0);
    },
  );

  await step("closes cameras that the reader no longer wants when they come", async () => {
    await page.evaluate(`{
      const devices = navigator.mediaDevices, { promise, resolve } = Promise.withResolvers();
      const getUserMedia = devices.getUserMedia.bind(devices);
      globalThis.allow = resolve;
      globalThis.tracks = [];
      devices.getUserMedia = async (options) => {
        await promise;
        const stream = await getUserMedia(options);
        tracks.push(...stream.getTracks());
        return stream;
      };
    }`);
    await page.click(`${card(1)} [data-camera]`);
    await page.click("#teach [data-try-camera]"); // instead of the one before
    await tryPhoto(page, circle); // instead of a camera
    await page.click(`${card(2)} [data-camera]`);
    await page.evaluate("allow()");
    await page.waitForSelector(`${card(2)} video`);
    await page.waitForFunction("tracks.length === 3");
    assertEquals(await cameraStates(page), ["ended", "ended", "live"]);
    assertEquals(await page.locator("#teach .camera").count(), 1);
    await page.click("#camera-button");
    await page.waitForSelector("#camera video");
    assertEquals(await cameraStates(page), ["ended", "ended", "ended", "live"]);
    await page.click("#camera button:has-text('Close camera')");
    assertEquals(await page.locator(".camera").count(), 0);
  });

  await step("stops", async () => {
    const stopped = async () => {
      await page.waitForSelector("#status:has-text('Stopped.')", { state: "attached" });
      await page.waitForSelector("#teach [data-learn]:not([hidden])");
      await page.evaluate("document.querySelector('#status').textContent = ''");
    };
    // while a photo is read, which goes on
    await beforeCall(page, "teachKeep", "new Promise((resolve) => globalThis.goOn = resolve)");
    await page.setInputFiles(`${card(2)} [type=file]`, await shapeFile("square", "one more"));
    await page.click("#teach [data-learn]");
    await page.click("#teach [data-stop]");
    await stopped();
    await page.evaluate("goOn()");
    await assertCount(page, 2, "15 photos");

    // while features are computed, for another network
    await startFrom(page, "other");
    await page.evaluate(`{
      const progress = document.querySelector("#teach-progress");
      globalThis.texts = [];
      let isStopped = false;
      new MutationObserver(() => {
        texts.push(progress.textContent);
        if (isStopped || !/photo 3 of/.test(progress.textContent)) return;
        isStopped = true;
        document.querySelector("#teach [data-stop]").click();
      }).observe(progress, { childList: true });
    }`);
    await page.click("#teach [data-learn]");
    await stopped();
    const texts = await page.evaluate("texts") as string[];
    assertEquals(texts.filter((text) => text.startsWith("Learning")), []);
  });

  await step("computes no features again for a network that it goes back to", async () => {
    await startFrom(page, "yet another");
    await startFrom(page, "other");
    await page.evaluate("texts.length = 0");
    await learn(page);
    const texts = await page.evaluate("texts") as string[];
    const first = texts.find((text) => text.startsWith("Looking"));
    assertMatch(first ?? "", /^Looking at photo [3-9] of \d+$/); // the reader stopped there
  });

  await step("asks before the reader loses photos, but not after a download", async () => {
    const dialog = page.waitForEvent("dialog");
    page.reload().catch(() => {}); // as it is not done
    assertEquals((await dialog).type(), "beforeunload");
    await (await dialog).dismiss();
    await saveFile(page);
    const dialogs: string[] = [];
    page.on("dialog", async (dialog) => {
      dialogs.push(dialog.type());
      await dialog.accept();
    });
    await page.reload();
    assertEquals(dialogs, []);
    await page.context().close();
  });

  const viewport = { width: 320, height: 700 };
  const phone = await site.page("classify/", { viewport, hasTouch: true });

  await step("works with the keyboard, and offline", async () => {
    await phone.locator("#teach .card").first().scrollIntoViewIfNeeded();
    await phone.waitForFunction("navigator.serviceWorker.controller !== null");
    await until(
      phone,
      `caches.keys().then(async ([name]) => {
      const stored = (await (await caches.open(name)).keys()).map(({ url }) => url);
      return ["teach_training", "resnet_tiny.safetensors"].every((part) => stored.some((url) => url.includes(part)));
    })`,
    );
    await phone.setInputFiles(`${card(1)} [type=file]`, circles.slice(0, 1));
    await assertCount(phone, 1, "1 photo"); // all that teaching needs is loaded
    await storedForLater(phone);
    await site.setOffline(phone, true);
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
    await step(`is accessible in a ${colorScheme} colour scheme`, async () => {
      await phone.emulateMedia({ colorScheme });
      assertEquals(await findings(phone, colorScheme, { include: ["#teach"] }), []);
    });
  }

  assertEquals(site.problems, []);
});
