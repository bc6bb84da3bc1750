/** Pictures of the page that learns classes, for the documentation. */

import type { Browser, Page } from "npm:playwright-core@1.56.1";
import { writeLabelled } from "../../tests/cli/labelled_photos.ts";
import { TempFolder } from "../../tests/cli/run.ts";

/** Photos of each class, and one more to try. */
const photos = 12;

/** Pixels around the section. */
const margin = 20;

/** Teaches the page three classes, and lets it classify a photo that it has not seen. */
async function teach(page: Page): Promise<void> {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", photos + 1);
  const files = (name: string, first: number, count: number) =>
    Array.from({ length: count }, (_, i) => `${folder.path}/photos/${name}/${first + i}.png`);
  await page.click("#teach [data-add]");
  for (const [i, name] of ["cat", "coffee", "rocket"].entries()) {
    const card = `#teach .card:nth-child(${i + 1})`;
    await page.fill(`${card} [name=class]`, name);
    await page.setInputFiles(`${card} [type=file]`, files(name, 0, photos));
    await page.waitForSelector(`${card} .count:text-is("${photos} photos")`);
  }
  await page.click("#teach [data-learn]");
  await page.waitForSelector("#teach .trial:not([hidden])");
  await page.setInputFiles("#teach .trial [type=file]", files("coffee", photos, 1));
  await page.waitForSelector("#teach .guesses .best");
  await page.waitForSelector("main[aria-busy=false]");
}

/** Takes pictures of the page at this address, and saves them by name. */
export async function takeTeachPictures(
  browser: Browser,
  url: string,
  save: (name: string, picture: Uint8Array) => Promise<void>,
): Promise<void> {
  // with photos, JPEG is smaller
  const jpeg = { type: "jpeg", quality: 70 } as const;
  for (
    const [name, width, colorScheme] of [
      ["teach.jpg", 1280, "light"],
      ["teach-phone-dark.jpg", 390, "dark"],
    ] as const
  ) {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
    await page.goto(url);
    await page.waitForSelector("main[data-ready]");
    await teach(page);
    if (width === 1280) {
      const { y, height } = (await page.locator("#teach").boundingBox())!;
      const top = y - margin + await page.evaluate<number>("scrollY");
      const clip = { x: 0, y: top, width, height: height + 2 * margin };
      await save(name, await page.screenshot({ ...jpeg, clip, fullPage: true }));
    } else {
      await page.locator("#teach .lesson").evaluate("(element) => element.scrollIntoView()");
      await save(name, await page.screenshot(jpeg));
    }
    await page.close();
  }
}
