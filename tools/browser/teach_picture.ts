/** Teaches the page classes, for pictures in the documentation. */

import type { Page } from "npm:playwright-core@1.56.1";
import { writeLabelled } from "../../tests/cli/labelled_photos.ts";
import { TempFolder } from "../../tests/cli/run.ts";
import { assertCount, card, learn } from "./teach_page.ts";

/** Photos of each class, and one more to try. */
const photos = 12;

/** Teaches the page three classes, and lets it classify a photo that it has not seen. */
export async function teachClasses(page: Page): Promise<void> {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", photos + 1);
  const files = (name: string, first: number, count: number) =>
    Array.from({ length: count }, (_, i) => `${folder.path}/photos/${name}/${first + i}.png`);
  await page.click("#teach [data-add]");
  for (const [i, name] of ["cat", "coffee", "ground"].entries()) {
    await page.fill(`${card(i + 1)} [name=class]`, name);
    await page.setInputFiles(`${card(i + 1)} [type=file]`, files(name, 0, photos));
    await assertCount(page, i + 1, `${photos} photos`);
  }
  await learn(page);
  await page.setInputFiles("#teach .trial [type=file]", files("coffee", photos, 1));
  await page.waitForSelector("#teach .guesses .best");
}
