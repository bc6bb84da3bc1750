/** Tests what "Teach it" does when something is missing, wrong, or comes at another time. */

import { Buffer } from "node:buffer";
import { encodePng } from "../../mod.ts";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import { fixture, TempFolder } from "../../tests/cli/run.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable } from "./chromium.ts";
import { dropPaths, rowsOf, settle } from "./classify.ts";
import { shapeFiles } from "./shapes.ts";
import { movedShare, Site, stepsOf } from "./site.ts";
import { asks, assertCount, beforeCall, card, learn, saveFile, tryPhoto } from "./teach_page.ts";
import { assertNoProblems, opener } from "./trouble.ts";

testWith(
  await needsChromium(executable),
  "teaching the page when something goes wrong",
  async (t) => {
    const step = stepsOf(t);
    await using site = await Site.open();
    const open = opener(site);

    const phone = await open("classify/", undefined, { viewport: { width: 320, height: 850 } });

    await step("does not move on a phone while it is loaded", async () => {
      await phone.waitForSelector("#teach .card");
      const moved = await movedShare(phone);
      assert(moved < 0.001, `${moved}`);
    });

    await step("breaks long names on a phone", async () => {
      const buffer = Buffer.from("no photo"), file = { mimeType: "image/png", buffer };
      await phone.setInputFiles(`${card(1)} [type=file]`, {
        name: `${"w".repeat(99)}.png`,
        ...file,
      });
      await phone.waitForSelector(`${card(1)} .problem:not([hidden])`);
      for (const [i, shape] of (["circle", "square"] as const).entries()) {
        await phone.fill(`${card(i + 1)} [name=class]`, "w".repeat(55 + i));
        await phone.setInputFiles(`${card(i + 1)} [type=file]`, await shapeFiles(shape, 1));
        await assertCount(phone, i + 1, "1 photo");
      }
      await learn(phone);
      await phone.waitForSelector("#method-note:has-text('www')");
      assertEquals(await phone.evaluate("document.documentElement.scrollWidth"), 320);
    });

    await step("shows a long thin photo to learn from", async () => {
      const width = 60_000;
      const png = await encodePng({ width, height: 1, data: new Uint8Array(3 * width).fill(200) });
      const file = { name: "thin.png", mimeType: "image/png", buffer: Buffer.from(png) };
      await phone.setInputFiles(`${card(1)} [type=file]`, file);
      await assertCount(phone, 1, "2 photos");
      const pixel = await phone.evaluate(`Array.from(document.querySelector("#teach li + li canvas")
      .getContext("2d").getImageData(64, 64, 1, 1).data)`);
      assertEquals(pixel, [200, 200, 200, 255]);
      await phone.context().close();
    });

    await step(
      "takes the photos of a folder that is dropped, in the order of their names",
      async () => {
        await using folder = await TempFolder.make();
        await folder.write("photos/.hidden", "");
        await folder.write("photos/1.txt", "no photo");
        await folder.write("photos/network.bin", "no photo");
        await Deno.copyFile("tests/photos/rocket.jpg", `${folder.path}/photos/10.jpg`);
        await Deno.mkdir(`${folder.path}/photos/2`);
        await Deno.copyFile("tests/photos/coffee.jpg", `${folder.path}/photos/2/coffee.jpg`);
        await Deno.mkdir(`${folder.path}/nothing`);
        const photos = [`${folder.path}/photos`], nothing = [`${folder.path}/nothing`];
        const page = await open("classify/");
        await page.waitForSelector("#teach .card");
        await dropPaths(page, card(2), photos);
        await assertCount(page, 2, "2 photos");
        assertEquals(await page.isVisible(`${card(2)} .problem`), false);
        await dropPaths(page, card(2), nothing);
        await page.waitForSelector(`${card(2)} .problem:text-is("nothing has no photos.")`);
        await dropPaths(page, "#frame", photos);
        await page.waitForSelector(
          "#problem.note:text-is('This is the first of 2 files: the page " +
            "shows one at a time.')",
        );
        await settle(page);
        assertEquals((await rowsOf(page))[0][0], "espresso"); // of the folder "2"
        await dropPaths(page, "#frame", nothing);
        await page.waitForSelector("#problem:text-is('nothing has no photos.')");

        // as of a folder with thousands of files
        await page.evaluate(`{
          const { prototype } = DataTransferItem, { webkitGetAsEntry } = prototype;
          const allowed = new Promise((resolve) => globalThis.allow = resolve);
          prototype.webkitGetAsEntry = function () {
            const entry = webkitGetAsEntry.call(this), reader = entry.createReader();
            const readEntries = (...callbacks) => allowed.then(() => reader.readEntries(...callbacks));
            entry.createReader = () => ({ readEntries });
            return entry;
          };
        }`);
        await dropPaths(page, card(2), photos);
        await assertCount(page, 2, "2 photos, reading 1 more …");
        await dropPaths(page, "#frame", photos);
        await page.waitForSelector("main[aria-busy=true]");
        await page.click("[data-sample*=cat]"); // which is newer
        await page.waitForSelector("[data-sample*=cat][aria-pressed=true]");
        await page.evaluate("allow()");
        await assertCount(page, 2, "2 photos");
        await settle(page);
        assertEquals(await page.locator("[data-sample*=cat][aria-pressed=true]").count(), 1);
        await page.context().close();
      },
    );

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

    const page = await open("classify/");
    const [copied, circle, another] = await shapeFiles("circle", 3);

    await step("learns from a copy of a photo that is removed meanwhile", async () => {
      await page.waitForSelector("#teach .card");
      await page.setInputFiles(`${card(1)} [type=file]`, [copied, circle]);
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
    });

    await step("asks before the reader loses photos or a network", async () => {
      assertEquals(await asks(page), true);
      await saveFile(page);
      assertEquals(await asks(page), false);
      await page.setInputFiles(`${card(2)} [type=file]`, another);
      await assertCount(page, 2, "2 photos");
      await saveFile(page); // of the network that has not learned from this photo
      assertEquals(await asks(page), true);
      await page.click(`${card(2)} .thumbnails li:last-child button`);
      await assertCount(page, 2, "1 photo");
      assertEquals(await asks(page), false);
      await learn(page);
      assertEquals(await asks(page), true);
    });

    await step("shows no broken picture of a file that is no photo", async () => {
      const file = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no photo") };
      await page.setInputFiles("#teach .trial [type=file]", file);
      const problem = page.locator("#teach .trial .problem");
      await problem.waitFor();
      assertMatch(await problem.textContent() ?? "", /^notes\.txt: .* Choose another one\.$/);
      assertEquals(await page.locator("#teach .trial img").count(), 0);
      await tryPhoto(page, circle);
      assertEquals(await problem.isVisible(), false);
      assertEquals(await page.locator("#teach .trial img").count(), 1);
    });

    await step("tries the first photo of a folder", async () => {
      await using folder = await TempFolder.make();
      await dropPaths(page, "#teach .trial", [folder.path]);
      await page.waitForSelector("#teach .trial .problem:has-text(' has no photos.')");
      await folder.write("1.txt", "no photo");
      await Deno.copyFile("tests/photos/rocket.jpg", `${folder.path}/2.jpg`);
      await dropPaths(page, "#teach .trial", [folder.path]);
      await page.waitForSelector("#teach .trial img[alt='The photo 2.jpg']");
      await page.waitForSelector("#teach .guesses[aria-busy=false] .best");
      assertEquals(await page.isVisible("#teach .trial .problem"), false);
    });

    await step("refuses to learn from a network that it cannot save", async () => {
      await page.setInputFiles("#network-file", fixture("networks/squeezenet1_1.onnx"));
      await page.waitForSelector("#networks [aria-pressed=true]:has-text('squeezenet1_1.onnx')");
      await settle(page);
      await page.click("#teach [data-learn]");
      assertMatch(
        await page.textContent("#teach > .problem:not([hidden])") ?? "",
        /^“squeezenet1_1\.onnx” is an ONNX network, .*: choose another one\.$/,
      );
    });

    await step("asks before the reader loses a network whose photos are gone", async () => {
      for (const n of [1, 2]) {
        await page.click(`${card(n)} .thumbnails button`);
        await page.locator(`${card(n)} .hint`).waitFor(); // which asks for photos
      }
      assertEquals(await asks(page), true);
      await saveFile(page);
      assertEquals(await asks(page), false);
      await page.context().close();
    });

    assertNoProblems(site);
  },
);
