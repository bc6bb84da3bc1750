/**
 * A headless Chromium, where the machine has one.
 *
 * @module
 */

import { type Browser, chromium } from "npm:playwright-core@1.56.1";

/** Where Debian and others put it; undefined where there is none. */
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

/** Starts it with these flags; whoever does closes it. */
export async function launch(...flags: string[]): Promise<Browser> {
  return await chromium.launch({
    executablePath: executable,
    args: ["--no-sandbox", "--disable-background-networking", ...flags],
  });
}
