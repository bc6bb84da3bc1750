/**
 * Finds and starts a headless Chromium.
 *
 * @module
 */

import { type Browser, chromium } from "npm:playwright-core@1.56.1";

/**
 * The path of Chromium, or undefined if it is not installed. The headless shell comes first: it is
 * Chromium without menus and tabs, and its tests take a third of the processor's time.
 */
export const executable = [
  "/usr/bin/chromium-headless-shell",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
]
  .find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });

/** Flags for a camera without hardware: Chromium's test picture, which pages may use at once. */
export const fakeCamera = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

/** Flags for a screen that is touched, and no mouse. */
export const touchScreen = [
  "--blink-settings=primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2",
];

/** Starts Chromium with these flags. The caller must close it. */
export async function launch(...flags: string[]): Promise<Browser> {
  return await chromium.launch({
    executablePath: executable,
    args: ["--no-sandbox", "--disable-background-networking", ...flags],
  });
}
