/** A progress bar on standard error: only on a terminal, only for what takes long. */

/** Shorter work shows no bar. */
const patienceMs = 500;
const width = 30;

/** One bar; call `update` as often as you like and `clear` at the end. */
export class Progress {
  readonly #start = performance.now();
  readonly #enabled: boolean;
  #drawn = 0;
  #length = 0;

  /** @param label What is under way. */
  constructor(readonly label: string, enabled: boolean) {
    this.#enabled = enabled && Deno.stderr.isTerminal();
  }

  /** @param unit What is counted; shown behind the numbers. */
  update(done: number, total: number, unit = "%"): void {
    const now = performance.now();
    if (!this.#enabled || now - this.#start < patienceMs || now - this.#drawn < 50) return;
    this.#drawn = now;
    const share = total > 0 ? done / total : 0;
    const filled = "█".repeat(Math.round(share * width)).padEnd(width, "░");
    const numbers = unit === "%" ? `${Math.floor(share * 100)} %` : `${done}/${total} ${unit}`;
    const line = `${this.label} ${filled} ${numbers}`;
    write(`\r${line.padEnd(this.#length)}`);
    this.#length = line.length;
  }

  /** Takes the bar off the screen. */
  clear(): void {
    if (this.#length > 0) write(`\r${" ".repeat(this.#length)}\r`);
    this.#length = this.#drawn = 0;
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
