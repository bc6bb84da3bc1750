/**
 * Finds and starts a headless Chromium.
 *
 * @module
 */

import { type Browser, chromium } from "npm:playwright-core@1.56.1";

/** The path of Chromium, or undefined if it is not installed. */
export const executable = [
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

/** Starts Chromium with these flags. The caller must close it. */
export async function launch(...flags: string[]): Promise<Browser> {
  return await chromium.launch({
    executablePath: executable,
    args: ["--no-sandbox", "--disable-background-networking", ...flags],
  });
}
