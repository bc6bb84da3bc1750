/** The built pages on a server of their own, in Chromium. */

import type { Browser, BrowserContextOptions, Page } from "npm:playwright-core@1.56.1";
import { cp } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { TempFolder } from "../../tests/cli/run.ts";
import type { Need } from "../../tests/needs.ts";
import { StaticServer } from "../../tests/static_server.ts";
import { runTool } from "../../tests/tools.ts";
import { launch } from "./chromium.ts";

/** The version of the service worker after {@linkcode Site.update}. */
const newVersion = "0123456789ab";

/** Milliseconds to wait for what a page does: other tests may have the processor. */
const patience = 120_000;

/** Waits until a page has downloaded the new version. */
export const updateStored = (page: Page) =>
  until(
    page,
    // the store comes first: it is there only after the worker began to install
    `caches.keys().then(async (names) => names.some((name) => name.endsWith("${newVersion}")) &&
      !(await navigator.serviceWorker.getRegistration()).installing)`,
  );

/** Waits until a page has only the new version; `visit` visits it again. */
export const onlyUpdateStored = (page: Page, visit: () => Promise<void>) =>
  until(
    page,
    `caches.keys().then((names) =>
      names.length === 1 && names[0].endsWith("${newVersion}"))`,
    visit,
  );

/**
 * The pages with the bundled network alone. Tests in one file share them, because building takes
 * long.
 */
let built: Promise<TempFolder> | undefined;

async function build(): Promise<TempFolder> {
  const folder = await TempFolder.make();
  await runTool("web", folder.path);
  return folder;
}

Deno.test.afterAll(async () => await (await built)?.[Symbol.asyncDispose]());

/** Opens pages, and collects their problems: errors, and requests to other origins. */
export class Site implements AsyncDisposable {
  readonly problems: string[] = [];
  readonly #server: StaticServer;
  readonly #browser: Browser;
  readonly #folder: TempFolder;

  private constructor(folder: TempFolder, server: StaticServer, browser: Browser) {
    this.#folder = folder;
    this.#server = server;
    this.#browser = browser;
  }

  /** Builds the pages with these arguments, and starts Chromium with these flags. */
  static async open(flags: readonly string[] = [], args: readonly string[] = []): Promise<Site> {
    const folder = await TempFolder.make();
    const makePages = async () => {
      if (args.length > 0) return await runTool("web", folder.path, ...args);
      await cp((await (built ??= build())).path, folder.path, { recursive: true });
    };
    const [browser] = await Promise.all([launch(...flags), makePages()]);
    // a page that needs threads
    const threads = `<!doctype html><html data-threads><link rel="icon" href="data:,">
<script type="module" src="../page.js"></script></html>`;
    await folder.write("threads/index.html", threads);
    return new Site(folder, new StaticServer(pathToFileURL(`${folder.path}/`)), browser);
  }

  /**
   * Makes the next visit find a new version of a page, whose title is "updated", and of the service
   * worker.
   *
   * @param stays Whether the worker before stays in use, as if the browser did not let it go.
   */
  async update(page: string, stays = false): Promise<void> {
    const replace = async (path: string, from: RegExp, to: string) => {
      const file = `${this.#folder.path}/${path}`, text = await Deno.readTextFile(file);
      if (!from.test(text)) throw new Error(`${path} has no ${from}.`);
      await Deno.writeTextFile(file, text.replace(from, to));
    };
    await replace(`${page}/index.html`, /<title>.*?</, "<title>updated<");
    const { size } = await Deno.stat(`${this.#folder.path}/${page}/index.html`);
    await replace("service_worker.js", RegExp(`(?<="${page}/index\\.html":)\\d+`), `${size}`);
    await replace("service_worker.js", /"[0-9a-f]{12}"/, `"${newVersion}"`);
    if (stays) await replace("service_worker.js", /skipWaiting/, "clients.matchAll");
  }

  /** The paths of all requests so far. */
  get requested(): readonly string[] {
    return this.#server.requested;
  }

  /** The path of the bundled network. */
  async networkPath(): Promise<string> {
    const networks = `${this.#folder.path}/networks`;
    const hashes = await Array.fromAsync(Deno.readDir(networks), ({ name }) => name);
    const file = await Array.fromAsync(Deno.readDir(`${networks}/${hashes[0]}`));
    return `/networks/${hashes[0]}/${file[0].name}`;
  }

  /** Takes the network from a page, and from its service worker, which the browser leaves it to. */
  async setOffline(page: Page, isOffline: boolean): Promise<void> {
    await page.context().setOffline(isOffline);
    this.#server.isDown = isOffline;
  }

  /** Sends only the first half of files from now on. */
  cut(paths: RegExp): void {
    this.#server.cut = paths;
  }

  /** The size of a file of the site, by its URL or path. 0 for other URLs. */
  async bytesOf(url: string): Promise<number> {
    const path = new URL(url, `http://${this.#server.host}/`).pathname.replace(
      /\/$/,
      "/index.html",
    );
    const file = await Deno.stat(this.#folder.path + path).catch(() => undefined);
    return file?.size ?? 0;
  }

  /** Opens a page in a window of its own. `prepare` is called before it loads. */
  async page(
    path: string,
    options: BrowserContextOptions = {},
    prepare?: (page: Page) => Promise<void>,
  ): Promise<Page> {
    const context = await this.#browser.newContext(options);
    context.setDefaultTimeout(patience);
    const page = await context.newPage(), origin = `http://${this.#server.host}`;
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.problems.push(message.text());
    });
    context.on("request", (request) => {
      if (new URL(request.url()).origin !== origin) this.problems.push(request.url());
    });
    await prepare?.(page);
    await page.goto(`${origin}/${path}`);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.#server[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/**
 * Waits until an expression is true in the page, also through a reload. It may be a promise, which
 * Playwright's `waitForFunction` takes for true.
 *
 * @param wait Called before each further look.
 */
export async function until(
  page: Page,
  expression: string,
  wait = () => page.waitForTimeout(50),
): Promise<void> {
  const end = performance.now() + patience;
  // a page that reloads evaluates nothing
  while (!await page.evaluate(expression).catch(() => false)) {
    if (performance.now() > end) throw new Error(`This did not become true: ${expression}`);
    await wait();
  }
}

/**
 * Runs the steps of a test until one fails: each needs the page as the one before left it. If
 * something is missing, a step is skipped and its name says why.
 */
export function stepsOf(
  t: Deno.TestContext,
): (name: string, run: () => Promise<void>, need?: Need) => Promise<void> {
  return async (name, fn, { missing } = { missing: "" }) => {
    const ignore = missing !== "", isRight = await t.step({ name: name + missing, ignore, fn });
    if (!isRight && !ignore) throw new Error("The steps after it did not run.");
  };
}

/** Whether pages have an adapter for WebGPU. Some machines have none, not even one in software. */
export async function hasAdapter(page: Page): Promise<boolean> {
  const code = "Promise.resolve(navigator.gpu?.requestAdapter()).then((adapter) => !!adapter)";
  return await page.evaluate(code);
}

/** How much of the page has moved since it was opened, as "cumulative layout shift" counts it. */
export async function movedShare(page: Page): Promise<number> {
  return await page.evaluate(`new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries()
      .reduce((sum, { value }) => sum + value, 0))).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(0), 500); // nothing has moved
  })`);
}

/**
 * Serious findings of axe, one line each. The page must have run axe's source. The structure is the
 * same in both colour schemes.
 *
 * @param context What axe looks at, or leaves out.
 */
export async function findings(
  page: Page,
  colorScheme: "light" | "dark",
  context: { readonly include?: readonly string[]; readonly exclude?: readonly string[] },
): Promise<string[]> {
  const options = {
    resultTypes: ["violations"],
    ...colorScheme === "dark" ? { runOnly: ["color-contrast"] } : {},
  };
  return await page.evaluate(`axe.run(${JSON.stringify(context)}, ${JSON.stringify(options)})
    .then(({ violations }) => violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => id + ": " + nodes.map(({ target }) => target).join(", ")))`);
}
