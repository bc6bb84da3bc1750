/**
 * Numbers about a server, as Prometheus reads them.
 *
 * @module
 */

/** Counts how many values are at most as large as each of some bounds. */
class Histogram {
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(readonly name: string, readonly help: string, readonly bounds: readonly number[]) {
    this.#counts = bounds.map(() => 0);
  }

  add(value: number): void {
    this.#sum += value;
    this.#count++;
    this.bounds.forEach((bound, i) => this.#counts[i] += Number(value <= bound));
  }

  get lines(): string[] {
    const { name, bounds } = this;
    return [
      ...head(name, "histogram", this.help),
      ...bounds.map((bound, i) => `${name}_bucket{le="${bound}"} ${this.#counts[i]}`),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

/** What a server counts. */
export class Metrics {
  readonly #answers = new Map<number, number>();
  readonly #seconds = new Histogram(
    "pembroke_request_seconds",
    "Seconds from a request's head to its answer.",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  );
  readonly #batches = new Histogram(
    "pembroke_batch_photos",
    "Photos in a batch.",
    [1, 2, 4, 8, 16],
  );
  #underWay = 0;

  /** Requests that wait for their answer. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Counts a request, and what becomes of it. */
  async request(answer: () => Promise<Response>): Promise<Response> {
    const start = performance.now();
    this.#underWay++;
    try {
      const response = await answer();
      this.#answers.set(response.status, (this.#answers.get(response.status) ?? 0) + 1);
      return response;
    } finally {
      this.#underWay--;
      this.#seconds.add((performance.now() - start) / 1000);
    }
  }

  /** Counts a batch. */
  batch(photos: number): void {
    this.#batches.add(photos);
  }

  /**
   * All numbers, in the text format of Prometheus.
   *
   * @param residentBytes The process's memory, where that is known.
   */
  text(residentBytes?: number): string {
    const answers = "pembroke_requests_total", underWay = "pembroke_requests_under_way";
    const resident = "process_resident_memory_bytes";
    return [
      ...head(answers, "counter", "Requests answered, by status."),
      ...[...this.#answers].sort().map(([status, n]) => `${answers}{status="${status}"} ${n}`),
      ...head(underWay, "gauge", "Requests that wait for their answer."),
      `${underWay} ${this.#underWay}`,
      ...this.#seconds.lines,
      ...this.#batches.lines,
      ...(residentBytes === undefined ? [] : [
        ...head(resident, "gauge", "Resident memory in bytes."),
        `${resident} ${residentBytes}`,
      ]),
      "",
    ].join("\n");
  }
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}
