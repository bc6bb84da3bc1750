/** Tests the pages of `deno task web` in Chromium. The expected numbers are PyTorch's. */

// @ts-types="npm:axe-core@4.14.1"
import axe from "npm:axe-core@4.14.1/axe.min.js";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable } from "./chromium.ts";
import { assertPageShows, assertShown, cases, settle } from "./convolution.ts";
import {
  findings,
  movedShare,
  onlyUpdateStored,
  Site,
  stepsOf,
  until,
  updateStored,
} from "./site.ts";

/** How bright a colour such as "rgb(0, 0, 0)" is, as contrasts are defined. */
function luminance(color: string): number {
  const [red, green, blue] = color.match(/\d+/g)!.map((value) => {
    const share = Number(value) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Of tables with the same styles, axe looks at one. */
const context = { exclude: ["#dx-table", "#dw-table", "#dxPool-table"] };

testWith(await needsChromium(executable), "the pages of `deno task web`", async (t) => {
  const step = stepsOf(t);
  await using site = await Site.open();
  const page = await site.page("convolution/", { viewport: { width: 1280, height: 800 } });
  await page.waitForSelector("main[data-ready]");
  const [atStart, afterKeys, afterPointer, longer, overlapping] = cases;

  await step("show PyTorch's numbers at the start", () => assertPageShows(page, atStart));

  await step("do not move while they are loaded", async () => {
    const moved = await movedShare(page);
    assert(moved < 0.05, `${moved}`);
  });

  await step("compute again when keys change bars", async () => {
    await page.focus("#w-plot [role=slider]:nth-child(2)");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowUp");
    await page.focus("#x-plot [role=slider]:nth-child(5)");
    await page.keyboard.press("ArrowRight");
    await settle(page);
    await assertPageShows(page, afterKeys);
    const said = page.locator('[role=status]:has-text("x 4 is −1.5. ")');
    await said.waitFor({ state: "attached" });
    assertMatch(await said.textContent() ?? "", /y 3 is 0\.5, y 4 is −5\.5, .*cost is 53\.125\.$/);
  });

  await step("compute again when a pointer drags a bar", async () => {
    const { x, y, width, height } = (await page.locator("#w-plot .track").nth(1).boundingBox())!;
    await page.mouse.move(x + width / 2, y + 5);
    await page.mouse.down();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.move(x + width / 2, y + height * 0.75); // a quarter from below: −1.5 of ±3
    await page.mouse.up();
    await settle(page);
    await assertPageShows(page, afterPointer);
  });

  await step("compute again with other sizes", async () => {
    await page.selectOption("[name=length]", "5");
    await settle(page);
    await assertPageShows(page, longer);
    await page.selectOption("[name=size]", "4");
    await page.selectOption("[name=stride]", "1");
    await settle(page);
    await assertPageShows(page, overlapping);
  });

  await step("light up what belongs together", async () => {
    const lit = (within: string) => page.locator(`${within}.lit`).allTextContents();
    await page.focus("#forward-table tbody tr:nth-child(4) button");
    assertEquals((await lit("#x-plot .column")).length, 5);
    assertEquals((await lit("#forward-table tbody th")).map((text) => text.trim()), ["y3"]);
    assertEquals((await lit("#forward-table tbody td:not(.empty):not(.product)")).length, 5);
    assertEquals((await lit("#y-terms")).length, 1);
    await page.keyboard.press("ArrowDown");
    assertEquals((await lit("#forward-table tbody th")).map((text) => text.trim()), ["y4"]);
    await page.hover("#w-plot .column:nth-child(1)");
    assertEquals((await lit("#w-terms")).length, 1);
    const diagonal = overlapping.y.length - 2; // of the first of five weights
    assertEquals((await lit("#forward-table tbody td:not(.product)")).length, diagonal);
  });

  await step("take a step of gradient descent", async () => {
    // a second click, such as of a key that is held, comes before the step is computed
    await page.evaluate(`{
      const step = document.querySelector("[data-steps='1']");
      step.click();
      step.click();
    }`);
    await settle(page);
    const { stepped, costAfter } = overlapping;
    await assertShown(page, { "#w-plot .number": stepped, "#cost": [costAfter] });
    assertEquals(await page.textContent("#steps"), "1");
    // a change ends the steps
    await page.evaluate(`document.querySelector("[data-steps='10']").click();
      document.querySelector("[data-kernel=copy]").click()`);
    await settle(page);
    await assertShown(page, { "#w-plot .number": [0, 0, 1, 0, 0] });
    assertEquals(await page.textContent("#steps"), "0");
  });

  await step("work offline, and have the headers for threads", async () => {
    await page.waitForFunction("navigator.serviceWorker.controller !== null");
    await until(
      page,
      `caches.keys().then(async ([name]) =>
      (await (await caches.open(name)).keys()).some(({ url }) => /(relaxed|simd)\\.wasm-/.test(url)))`,
    );
    await site.setOffline(page, true);
    await page.reload();
    await page.waitForSelector("main[data-ready]");
    await assertPageShows(page, atStart);
    assertEquals(await page.evaluate("crossOriginIsolated"), true);
    await page.click("nav a");
    await page.click("text=Convolution by hand");
    await page.waitForSelector("main[data-ready]");
    await site.setOffline(page, false);
  });

  await step("have a new version on the next visit, and delete the old one", async () => {
    await site.update("convolution");
    await page.reload();
    await page.waitForSelector("main[data-ready]");
    assertEquals(await page.title(), "Convolution by hand · pembroke");
    await updateStored(page);
    await page.reload();
    await page.waitForSelector("main[data-ready]");
    assertEquals(await page.title(), "updated");
    // Chromium does not let the worker before go while a debugger, which Playwright is, looks at it
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("ServiceWorker.enable");
    await onlyUpdateStored(page, async () => {
      await devtools.send("ServiceWorker.stopAllWorkers");
      await page.reload();
      await page.waitForTimeout(1000);
    });
    await page.context().close();
  });

  await step("do not store a page that a server sends in place of a file", async () => {
    const page = await site.page("convolution/");
    await page.waitForFunction("navigator.serviceWorker.controller !== null");
    const path = await site.networkPath();
    const [worker] = page.context().serviceWorkers();
    // the worker may still fetch other files, which it stores for later visits
    await worker.evaluate(`{
      const headers = { "content-type": "text/html" }, { fetch } = globalThis;
      globalThis.fetch = async (request, options) => {
        if (!(request.url ?? request).endsWith("${path}")) return await fetch(request, options);
        globalThis.fetch = fetch;
        return new Response("no such file", { headers });
      };
    }`);
    const load = () =>
      page.evaluate(`fetch("${path}").then(({ headers }) => headers.get("content-type"))`);
    assertEquals(await load(), "text/html");
    await page.waitForTimeout(200);
    assertEquals(await load(), "application/octet-stream");
    await page.context().close();
  });

  await step("store only whole files", async () => {
    site.cut(/^\/classify\/$/); // a page that the first visit stores
    const page = await site.page("convolution/");
    await page.waitForSelector("main[data-ready]");
    await until(page, "caches.keys().then(({ length }) => length > 0)");
    await until(page, "navigator.serviceWorker.getRegistration().then((found) => !found)");
    site.cut(/safetensors$/);
    await page.reload();
    await page.waitForFunction("navigator.serviceWorker.controller !== null");
    const path = await site.networkPath();
    const load = () =>
      page.evaluate(`fetch("${path}").then(async (response) =>
        (await response.arrayBuffer()).byteLength)`);
    const whole = await site.bytesOf(path);
    assertEquals(await load(), whole >> 1);
    site.cut(/^$/);
    await page.waitForTimeout(200);
    assertEquals(await load(), whole);
    await until(page, `caches.match("${path}")`);
    const before = site.requested.length;
    assertEquals(await load(), whole);
    assertEquals(site.requested.slice(before), []);
    await page.context().close();
  });

  const viewport = { width: 390, height: 844 };
  const phone = await site.page("threads/", { viewport, hasTouch: true });

  await step("load once more for threads", async () => {
    await phone.waitForFunction("crossOriginIsolated");
  });

  await step("take touches", async () => {
    await phone.goto(new URL("../convolution/", phone.url()).href);
    await phone.waitForSelector("main[data-ready]");
    const track = (await phone.locator("#x-plot .track").nth(2).boundingBox())!;
    await phone.touchscreen.tap(track.x + track.width / 2, track.y + track.height / 8);
    await settle(phone);
    const third = "#x-plot .column:nth-child(3) .number";
    await assertShown(phone, { [third]: [3] });
    await phone.tap(third); // which only selects it
    await settle(phone);
    await assertShown(phone, { [third]: [3] });
    // two fingers zoom, and take back what the first one has drawn
    const at = (index: number, move: number) => ({
      x: track.x + track.width * (index + 0.5) + move,
      y: track.y + track.height / 2,
      id: index,
    });
    const devtools = await phone.context().newCDPSession(phone);
    const touch = (
      type: "touchStart" | "touchMove" | "touchEnd",
      ...touchPoints: ReturnType<typeof at>[]
    ) => devtools.send("Input.dispatchTouchEvent", { type, touchPoints });
    await touch("touchStart", at(0, 0));
    await assertShown(phone, { [third]: [0] });
    await touch("touchStart", at(0, 0), at(4, 0));
    await touch("touchMove", at(0, 0), at(4, 5));
    await settle(phone);
    const seventh = "#x-plot .column:nth-child(7) .number";
    await assertShown(phone, { [seventh]: [2] });
    for (const i of Array(20).keys()) await touch("touchMove", at(0, -3 * i), at(4, 5 + 3 * i));
    await touch("touchEnd");
    await assertShown(phone, { [third]: [3], [seventh]: [2] });
    assert(await phone.evaluate("visualViewport.scale") as number > 1.2);
    await devtools.send("Emulation.setPageScaleFactor", { pageScaleFactor: 1 });
    assertEquals(await phone.evaluate("document.documentElement.scrollWidth"), viewport.width);
    const heights = await phone.evaluate(`Array.from(document.querySelectorAll(".matrix button"),
      ({ offsetHeight }) => offsetHeight)`) as number[];
    assertEquals(new Set(heights).size, 1); // no number has two lines
    await phone.evaluate(axe.source);
  });

  /** Asserts that a phone shows all numbers, each beside the next. */
  async function assertFits() {
    assertEquals(await phone.evaluate("document.documentElement.scrollWidth"), viewport.width);
    const overlaps = await phone.evaluate(`Array.from(document.querySelectorAll(".plot, tr"),
      (row) => Array.from(row.querySelectorAll(".number, td:not(.product), .index"), (element) => {
        const range = document.createRange();
        range.selectNodeContents(element);
        const { left, right } = range.getBoundingClientRect();
        return { left, right, kind: element.className === "index" };
      })).flatMap((boxes) => [true, false].flatMap((kind) => boxes.filter((box) => box.kind === kind)
        .flatMap(({ left }, i, all) => i > 0 && left < all[i - 1].right - 1 ? [left] : [])))`);
    assertEquals(overlaps, []);
  }

  await step("fit a phone with text of twice the size", async () => {
    await phone.evaluate("document.documentElement.style.fontSize = '200%'");
    await assertFits();
    await phone.evaluate("document.documentElement.style.fontSize = ''");
  });

  await step("fit a phone when numbers have two digits after the point", async () => {
    await phone.selectOption("[name=length]", "5");
    await phone.click("[data-steps='10']");
    await phone.waitForSelector("#steps:text-is('10')");
    await assertFits();
    const { x, width } = (await phone.locator("#forward-table button").first().boundingBox())!;
    assert(x > 0 && x + width < viewport.width); // the products stay in view
  });

  for (const colorScheme of ["light", "dark"] as const) {
    await step(`are accessible in a ${colorScheme} colour scheme`, async () => {
      await phone.emulateMedia({ colorScheme });
      const [paper, card, edge] = (await phone.evaluate(`[
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector("figure")).backgroundColor,
        getComputedStyle(document.querySelector("select")).borderTopColor,
      ]`) as string[]).map(luminance);
      assertEquals(paper < 0.5, colorScheme === "dark");
      for (const ground of [paper, card]) { // which axe does not look at
        const contrast = (Math.max(edge, ground) + 0.05) / (Math.min(edge, ground) + 0.05);
        assert(contrast >= 3, `${contrast}`);
      }
      assertEquals(await findings(phone, colorScheme, context), []);
    });
  }

  await step("have an accessible index", async () => {
    await phone.click("nav a");
    await phone.evaluate(axe.source);
    assertEquals(await findings(phone, "light", context), []);
  });

  assertEquals(site.problems, []);
});
