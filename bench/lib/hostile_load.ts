/**
 * Load-tests the server with photos and attacks, and checks its memory and its answers.
 *
 * @module
 */

import { PembrokeError } from "../../src/errors.ts";
import { attacksOn } from "./attacks.ts";
import { Server } from "./server.ts";

/** Options of {@linkcode hostileLoad}. */
export interface HostileLoadOptions {
  /** The path of cli.ts. */
  readonly cli: string;
  /** Arguments that select the network. */
  readonly network: readonly string[];
  /** A folder of photos. */
  readonly photos: string;
  readonly connections: number;
  readonly seconds: number;
  /** The value of `--memory`, in MB. */
  readonly memory: number;
}

/** Memory above the budget, in MB: the runtime, the model and the bodies. */
const otherMegabytes = 300;
/** Limit for the 99th percentile of the good photos, in milliseconds. */
const maxP99 = 3000;

/** What happened during a test. */
interface Outcome {
  /** Milliseconds of each good photo that was classified. */
  readonly latencies: number[];
  /** Why other good photos were not classified. */
  readonly failures: string[];
  /** The memory of the server, in MB, four times a second. */
  readonly residents: number[];
  /** Number of answers, by request and status. */
  readonly counts: Map<string, number>;
}

/** Runs the test, prints a report, and returns whether the server kept its promises. */
export async function hostileLoad(options: HostileLoadOptions): Promise<boolean> {
  const { cli, network, connections, seconds, memory } = options;
  const args = ["run", "-A", cli, "serve", "--port=0", `--memory=${memory}MB`, ...network];
  await using server = await Server.start(Deno.execPath(), args, /http:\/\/127\.0\.0\.1:(\d+)/);
  const photos = await goodPhotos(options.photos), attacks = attacksOn(server);
  const outcome: Outcome = { latencies: [], failures: [], residents: [], counts: new Map() };
  let exited = false;
  server.process.status.then(() => exited = true);
  const sampling = setInterval(() => sampleMemory(server, outcome.residents), 250);

  const end = performance.now() + 1000 * seconds;
  let number = 0;
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < end && !exited) {
      const n = number++;
      if (n % 10 === 9) {
        const attack = attacks[Math.floor(n / 10) % attacks.length];
        count(outcome, await attack().catch((error) => `attack: ${error}`));
      } else await sendPhoto(server, photos[n % photos.length], outcome);
    }
  }));
  clearInterval(sampling);
  const health = exited ? "stopped" : String((await server.fetch("/healthz")).status);
  return report(options, outcome, health);
}

function count({ counts }: Outcome, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Sends a photo that the server must classify. */
async function sendPhoto(server: Server, { body, type }: Photo, outcome: Outcome): Promise<void> {
  const start = performance.now();
  try {
    const headers = { "content-type": type };
    const answer = await server.fetch("/", { method: "POST", body, headers });
    const text = await answer.text();
    count(outcome, `photo: ${answer.status}`);
    if (answer.status !== 200) outcome.failures.push(text);
    else outcome.latencies.push(performance.now() - start);
  } catch (error) {
    outcome.failures.push(String(error));
  }
}

async function sampleMemory(server: Server, residents: number[]): Promise<void> {
  const text = await server.fetch("/metrics").then((answer) => answer.text(), () => "");
  const bytes = /^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1];
  if (bytes) residents.push(Number(bytes) / 1e6);
}

/** Prints what happened, and returns whether the server kept its promises. */
function report(
  { connections, seconds, memory }: HostileLoadOptions,
  { latencies, failures, residents, counts }: Outcome,
  health: string,
): boolean {
  latencies.sort((a, b) => a - b);
  const p = (share: number) => latencies[Math.floor(share * latencies.length)] ?? NaN;
  const peak = Math.max(...residents), budget = memory + otherMegabytes;
  const restarts = health === "stopped" ? 1 : 0;
  console.log(`${connections} connections, ${seconds} s: ${latencies.length} good photos`);
  console.log(`latency of good photos: p50 ${p(0.5).toFixed(0)} ms, p99 ${p(0.99).toFixed(0)} ms`);
  console.log(`memory: peak ${peak.toFixed(0)} MB of ${budget} MB; health: ${health}`);
  console.log(`restarts: ${restarts}; failed good photos: ${failures.length}`);
  for (const [key, n] of [...counts].sort()) console.log(`  ${n} × ${key}`);
  for (const failure of failures.slice(0, 5)) console.log(`  ${failure}`);
  return failures.length === 0 && peak < budget && p(0.99) < maxP99 && health === "200";
}

/** A photo as a request sends it. */
interface Photo {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** The photos of a folder. */
async function goodPhotos(folder: string): Promise<Photo[]> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => /\.(jpe?g|png)$/.test(name)).sort();
  if (names.length === 0) throw new PembrokeError(`no photos in ${folder}`);
  return await Promise.all(names.map(async (name) => ({
    body: await Deno.readFile(`${folder}/${name}`),
    type: name.endsWith("png") ? "image/png" : "image/jpeg",
  })));
}
