/**
 * Following links to folders without loops.
 *
 * @module
 */

/** The folders that links lead to. Each is listed once, so links cannot make an endless loop. */
export class FollowedLinks {
  readonly #roots: string[] = [];

  /**
   * Creates an empty set.
   *
   * @param start The folder where the listing begins.
   * @param realPath Returns the absolute path of a folder, without links.
   */
  constructor(
    readonly start: string,
    readonly realPath: (path: string) => Promise<string>,
  ) {}

  /** Adds a folder. Returns false if it is inside one that is listed anyway. */
  async add(path: string): Promise<boolean> {
    if (this.#roots.length === 0) this.#roots.push(await this.#real(this.start));
    const real = await this.#real(path);
    if (this.#roots.some((root) => real.startsWith(root))) return false;
    this.#roots.push(real);
    return true;
  }

  /** Whether a folder was added. */
  async has(path: string): Promise<boolean> {
    return this.#roots.length > 1 && this.#roots.includes(await this.#real(path));
  }

  async #real(path: string): Promise<string> {
    const real = await this.realPath(path);
    // Paths that start with a slash are not from Windows, so a backslash may be part of a name.
    const isWindows = !real.startsWith("/");
    return `${isWindows ? real.replaceAll("\\", "/") : real}/`.replace(/\/+$/, "/");
  }
}
