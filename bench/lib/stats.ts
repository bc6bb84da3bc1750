/** What a bench says about a list of timings. */
export interface Summary {
  readonly min: number;
  readonly p25: number;
  readonly median: number;
  readonly p75: number;
  readonly max: number;
}

/** Sorts a copy of the timings and reads the five off it. */
export function summarise(timings: readonly number[]): Summary {
  const sorted = [...timings].sort((a, b) => a - b);
  return {
    min: quantile(sorted, 0),
    p25: quantile(sorted, 0.25),
    median: quantile(sorted, 0.5),
    p75: quantile(sorted, 0.75),
    max: quantile(sorted, 1),
  };
}

/** Between two values, the point in proportion. `sorted` is ascending and not empty. */
function quantile(sorted: readonly number[], q: number): number {
  const at = q * (sorted.length - 1);
  const low = Math.floor(at), high = Math.ceil(at);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}
