/**
 * Finds out whether a service still classifies photos.
 *
 * @module
 */

/** How long a success counts, in milliseconds. */
const recentMs = 10_000;

/** Options of {@linkcode Health}. */
export interface HealthOptions {
  /** Decodes and classifies a small picture. */
  readonly probe: () => Promise<unknown>;
  /** Milliseconds after which a probe counts as failed. */
  readonly timeoutMs: number;
}

/**
 * The health of a service, by its last inference. After a failure, or a pause of ten seconds, it
 * classifies a small picture to find out.
 */
export class Health {
  readonly #options: HealthOptions;
  #lastSuccess = -Infinity;
  #failed = false;
  #probe: Promise<boolean> | undefined;

  /** Creates the state of a service that has classified nothing yet. */
  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Records that an inference succeeded. */
  succeeded(): void {
    this.#lastSuccess = performance.now();
    this.#failed = false;
  }

  /** Records that an inference failed, although the photo was fine. */
  failed(): void {
    this.#failed = true;
  }

  /** Whether an inference succeeded recently, and none has failed since. */
  async check(): Promise<boolean> {
    if (!this.#failed && performance.now() - this.#lastSuccess < recentMs) return true;
    // one probe at a time, however many ask
    this.#probe ??= this.#tryOnce().finally(() => this.#probe = undefined);
    return await this.#probe;
  }

  async #tryOnce(): Promise<boolean> {
    const { probe, timeoutMs } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const started = performance.now();
    const timeout = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    try {
      const work = probe().then(() => {
        this.succeeded();
        return true;
      });
      // photos that succeed meanwhile prove the same
      const isAlive = await Promise.race([work, timeout]);
      return isAlive || this.#lastSuccess > started;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
