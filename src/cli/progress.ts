/** A progress bar on standard error, for slow operations on a terminal. */

import { attempt, columnsOfTerminal, isDumb, writeAll } from "./terminal.ts";

/** Delay before the bar appears. */
const delayMs = 500;
/** Characters of the bar, where the terminal is wide enough. */
const barWidth = 30;

/**
 * A progress bar. Call `update()` as often as you like, and `clear()` at the end.
 *
 * @internal
 */
export class Progress implements Disposable {
  readonly #start = performance.now();
  readonly #enabled: boolean;
  #drawn = 0;
  #length = 0;
  #first: { readonly done: number; readonly at: number } | undefined;

  /** @param label The name of the operation. */
  constructor(readonly label: string, enabled: boolean) {
    this.#enabled = enabled && !isDumb && Deno.stderr.isTerminal();
  }

  /**
   * Shows progress.
   *
   * @param total The final value of `done`; undefined if unknown.
   * @param unit Shown after the numbers. With "MB", the numbers are bytes, and the rate is shown.
   */
  update(done: number, total: number | undefined, unit = "%"): void {
    const now = performance.now();
    if (!this.#enabled || now - this.#start < delayMs || now - this.#drawn < 50) return;
    this.#drawn = now;
    const share = total ? Math.min(done / total, 1) : 0;
    const numbers = unit === "%"
      ? `${Math.floor(share * 100)} %`
      : unit === "MB"
      ? this.#megabytes(done, total, now)
      : `${total === undefined ? done : `${done}/${total}`} ${unit}`;
    // a line that wraps cannot be removed
    const columns = columnsOfTerminal() - 1;
    const rest = columns - this.label.length - numbers.length - 2;
    const width = total === undefined ? 0 : Math.min(Math.max(rest, 0), barWidth);
    const bar = width === 0 ? "" : `${"█".repeat(Math.round(share * width)).padEnd(width, "░")} `;
    const line = `${this.label} ${bar}${numbers}`.padEnd(this.#length).slice(0, columns);
    write(`\r${line}`);
    this.#length = line.trimEnd().length;
  }

  /** "12.3/244.4 MB, 8.1 MB/s, 29 s left". The rate excludes bytes from before the first call. */
  #megabytes(done: number, total: number | undefined, now: number): string {
    this.#first ??= { done, at: now };
    const rate = (done - this.#first.done) / (now - this.#first.at) * 1000;
    const mb = (bytes: number) => (bytes / 1e6).toFixed(1);
    const left = total && rate > 0 ? `, ${Math.ceil((total - done) / rate)} s left` : "";
    return `${mb(done)}${total ? `/${mb(total)}` : ""} MB` +
      (rate > 0 ? `, ${mb(rate)} MB/s` : "") + left;
  }

  /** Removes the bar from the screen. */
  clear(): void {
    if (this.#length > 0) write(`\r${" ".repeat(this.#length)}\r`);
    this.#length = this.#drawn = 0;
  }

  /** Calls {@linkcode Progress.clear}, also after an error. */
  [Symbol.dispose](): void {
    this.clear();
  }
}

function write(text: string): void {
  attempt(() => writeAll(Deno.stderr, text));
}
