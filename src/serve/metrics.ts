/**
 * Server metrics in the Prometheus text format.
 *
 * @module
 */

/** A Prometheus histogram: counts the values up to each bound. */
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

/** The counters of a server. */
export class Metrics {
  readonly #responses = new Map<number, number>();
  readonly #seconds = new Histogram(
    "pembroke_request_seconds",
    "Seconds from receiving a request's headers to sending its response.",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  );
  readonly #batches = new Histogram(
    "pembroke_batch_photos",
    "Photos in a batch.",
    [1, 2, 4, 8, 16],
  );
  #inFlight = 0;

  /** Requests in progress. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers a request. Counts it, its duration and the status of its response. */
  async measureRequest(respond: () => Promise<Response>): Promise<Response> {
    const start = performance.now();
    this.#inFlight++;
    try {
      const response = await respond();
      this.#responses.set(response.status, (this.#responses.get(response.status) ?? 0) + 1);
      return response;
    } finally {
      this.#inFlight--;
      this.#seconds.add((performance.now() - start) / 1000);
    }
  }

  /** Counts a batch. */
  countBatch(photos: number): void {
    this.#batches.add(photos);
  }

  /**
   * Returns all metrics in the Prometheus text format.
   *
   * @param residentBytes The process's resident memory, if known.
   */
  text(residentBytes?: number): string {
    const total = "pembroke_requests_total", inFlight = "pembroke_requests_in_flight";
    const resident = "process_resident_memory_bytes";
    return [
      ...head(total, "counter", "Responses sent, by status."),
      ...[...this.#responses].sort().map(([status, n]) => `${total}{status="${status}"} ${n}`),
      ...head(inFlight, "gauge", "Requests in progress."),
      `${inFlight} ${this.#inFlight}`,
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
