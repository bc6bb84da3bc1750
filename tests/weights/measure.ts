/** Measures the time and memory of a call. */

import { cpuUsage } from "node:process";

/** What a call took. */
export interface Cost {
  /** Processor time, of all threads together. */
  readonly milliseconds: number;
  /** The highest memory of the process during the call minus that before it; 0 if unknown. */
  readonly bytes: number;
}

/** Kilobytes of a field of /proc/self/status. */
function processMemory(field: "VmRSS" | "VmHWM"): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
}

/** Resets the highest memory of the process (VmHWM) to what it has now. */
function resetPeak(): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    Deno.writeTextFileSync("/proc/self/clear_refs", "5");
    return true;
  } catch {
    return false; // some containers forbid it
  }
}

/** Runs a call and measures it. Memory is known on Linux only. */
export async function measure(call: () => unknown): Promise<Cost> {
  const hasMemory = resetPeak(), before = hasMemory ? processMemory("VmRSS") : 0;
  const start = cpuUsage();
  await call();
  const { user, system } = cpuUsage(start);
  const milliseconds = (user + system) / 1000;
  const bytes = hasMemory ? 1024 * Math.max(0, processMemory("VmHWM") - before) : 0;
  return { milliseconds, bytes };
}
