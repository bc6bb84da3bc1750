/**
 * Load-tests the server: runs `cli.ts serve` and wrk on the same machine, with photos of which every
 * tenth is damaged, and records the server's memory. Then it classifies the same photos with the bulk
 * command, for comparison.
 *
 *     deno task load
 *     deno task load --connections 64 --minutes 1 --weights alexnet.safetensors --photos FOLDER
 *
 * With `--hostile`, every tenth request is an attack instead: a small file that claims many pixels or
 * scans, a body that trickles in or never comes, a client that leaves. Needs no wrk. It fails if the
 * server uses more memory than `--memory` plus 300 MB, if the 99th percentile of the good photos is
 * above 3 s, or if the server stops.
 *
 *     deno task load --hostile --minutes 10 --connections 8
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { PembrokeError } from "../src/errors.ts";
import { bundledNetwork } from "../src/models/bundled.ts";
import { parseOptions, runTask, UsageError } from "../weights/recipe/task.ts";
import { hostileLoad } from "./lib/hostile_load.ts";
import { Server } from "./lib/server.ts";

const usage = `\
Load-tests the server, with photos of which every tenth is damaged.

Usage: deno task load [options]

Options:
      --connections N,N  numbers of connections, one after another (default 1,8,64; 8 for --hostile,
                         which takes one)
      --minutes X        minutes for each number (default 10)
      --photos FOLDER    JPEG and PNG files (default tests/photos)
      --weights FILE     weights to serve (default: the bundled network)
      --hostile          attack the server with every tenth request; needs no wrk
      --memory SIZE      for --hostile: the --memory of the server, such as 512MB, the default
  -h, --help             print this help`;

/** The parsed command line. */
interface Options {
  readonly connections: readonly number[];
  readonly seconds: number;
  readonly photos: string;
  /** Arguments that select the network. */
  readonly network: readonly string[];
  readonly hostile: boolean;
  /** Megabytes. */
  readonly memory: number;
}

const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
const lua = fileURLToPath(new URL("load.lua", import.meta.url));

/** The summary that load.lua prints at the end of a run. */
interface Summary {
  readonly seconds: number;
  /** Number of responses by status. */
  readonly responses: Readonly<Record<string, number>>;
  /** Latency in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
}

if (import.meta.main) Deno.exit(await runTask({ usage, readArgs, run }, Deno.args));

/** Reads the arguments. Returns undefined for --help. */
function readArgs(args: readonly string[]): Options | undefined {
  const { values } = parseOptions({
    args: [...args],
    options: {
      "connections": { type: "string" },
      "minutes": { type: "string", default: "10" },
      "photos": {
        type: "string",
        default: fileURLToPath(new URL("../tests/photos", import.meta.url)),
      },
      "weights": { type: "string" },
      "hostile": { type: "boolean", default: false },
      "memory": { type: "string", default: "512MB" },
      "help": { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { hostile, weights, photos } = values;
  const connections = (values.connections ?? (hostile ? "8" : "1,8,64")).split(",").map(Number);
  const areCounts = connections.every((count) => Number.isInteger(count) && count > 0);
  if (!areCounts || hostile && connections.length > 1) {
    const expected = hostile ? "a positive integer" : "positive integers";
    throw new UsageError(`--connections is "${values.connections}", must be ${expected}`);
  }
  const seconds = Math.round(Number(values.minutes) * 60);
  if (!(seconds >= 1 && seconds < Infinity)) {
    throw new UsageError(`--minutes is "${values.minutes}", must be a number of at least 1/60`);
  }
  const memory = Number(/^(\d+)MB$/i.exec(values.memory)?.[1]);
  if (!(memory > 0)) throw new UsageError(`--memory is "${values.memory}", must be like 512MB`);
  const network = weights === undefined ? ["-m", bundledNetwork] : ["--weights", weights];
  return { connections, seconds, photos, network, hostile, memory };
}

async function run(options: Options): Promise<void> {
  if (!options.hostile) return await loadAll(options);
  const [connections] = options.connections;
  if (!await hostileLoad({ ...options, cli, connections })) {
    throw new PembrokeError("the server did not keep its limits");
  }
}

/** Runs the test with each number of connections, then the bulk command, and prints a table. */
async function loadAll(options: Options): Promise<void> {
  const { photos, network, connections } = options, folder = await Deno.makeTempDir();
  try {
    const files = await makePhotos(photos, folder);
    console.log(`${files.length} photos from ${photos}, one in ten truncated; ${network[1]}`);
    console.log(
      "connections  requests/s   p50 ms   p99 ms   responses; peak memory in MB for each tenth of the time",
    );
    let last = 0;
    for (const count of connections) last = await load(files, count, options);
    const bulk = await bulkRate(files, folder, network);
    const share = (100 * last / bulk).toFixed(0);
    console.log(`bulk         ${rate(bulk)}   the last row reaches ${share} % of this`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lists the photos of a folder ten times, with every tenth photo truncated in the middle. */
async function makePhotos(photos: string, folder: string): Promise<string[]> {
  const names = [...Deno.readDirSync(photos)].map(({ name }) => name)
    .filter((name) => /\.(jpe?g|png)$/.test(name)).sort();
  if (names.length === 0) throw new PembrokeError(`no photos in ${photos}`);
  const files: string[] = [];
  for (let i = 0; i < 10 * names.length; i++) {
    const name = names[i % names.length], whole = `${photos}/${name}`;
    if (i % 10 !== 9) {
      files.push(whole);
      continue;
    }
    const bytes = await Deno.readFile(whole), truncated = `${folder}/${i}-${name}`;
    await Deno.writeFile(truncated, bytes.subarray(0, bytes.length / 2));
    files.push(truncated);
  }
  return files;
}

/** Load-tests with this many connections, prints a row, and returns the requests per second. */
async function load(
  files: readonly string[],
  connections: number,
  { seconds, network }: Options,
): Promise<number> {
  const args = ["run", "-A", cli, "serve", "--port=0", ...network];
  await using server = await Server.start(Deno.execPath(), args, /http:\/\/127\.0\.0\.1:(\d+)/);
  const memory: number[] = [];
  const sample = async () => {
    const text = await (await server.fetch("/metrics")).text();
    memory.push(Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)![1]) / 1e6);
  };
  const sampling = setInterval(() => void sample().catch(() => {}), 50 * seconds);
  try {
    const threads = Math.min(connections, 2);
    const { success, stdout, stderr } = await wrk([
      `-c${connections}`,
      `-t${threads}`,
      `-d${seconds}s`,
      "--timeout=10s",
      "-s",
      lua,
      `http://127.0.0.1:${server.port}/`,
      "--",
      ...files,
    ]);
    const text = new TextDecoder().decode(stdout);
    if (!success) throw new PembrokeError(`wrk: ${text}${new TextDecoder().decode(stderr)}`);
    const summary: Summary = JSON.parse(text.trim().split("\n").at(-1)!);
    clearInterval(sampling);
    const total = Object.values(summary.responses).reduce((a, b) => a + b, 0);
    const perSecond = total / summary.seconds;
    const responses = Object.entries(summary.responses).map(([status, n]) => `${n} × ${status}`);
    if (summary.errors > 0) responses.push(`${summary.errors} connection errors`);
    const ms = (value: number) => value.toFixed(1).padStart(9);
    const row = [String(connections).padStart(11), "  ", rate(perSecond), ms(summary.p50)];
    row.push(ms(summary.p99), "   ", `${responses.join(", ")}; ${peaks(memory)}`);
    console.log(row.join(""));
    await stop(server, files[0]);
    return perSecond;
  } finally {
    clearInterval(sampling);
  }
}

async function wrk(args: string[]): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command("wrk", { args }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new PembrokeError("wrk is not installed; install your system's package wrk", {
      cause: error,
    });
  }
}

/** Stops the server during requests, and checks that each of them gets a response. */
async function stop(server: Server, file: string): Promise<void> {
  const body = await Deno.readFile(file);
  const headers = { "content-type": file.endsWith("png") ? "image/png" : "image/jpeg" };
  const requests = Array.from(
    { length: 32 },
    () =>
      server.fetch("/", { method: "POST", body, headers }).then(async (response) => {
        await response.body?.cancel();
        return response.status;
      }),
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  server.process.kill("SIGTERM");
  const results = await Promise.all(requests.map((request) => request.catch(String)));
  const { code } = await server.process.status;
  const lost = results.filter((status) => status !== 200 && status !== 503);
  if (lost.length > 0 || code !== 0) {
    const reason = `${lost.length} of 32 requests were lost: ${lost[0]}`;
    throw new PembrokeError(`the server stopped with code ${code}; ${reason}`);
  }
}

/** Photos per second of the bulk command, on several thousand of the same photos. */
async function bulkRate(
  files: readonly string[],
  folder: string,
  network: readonly string[],
): Promise<number> {
  const count = Math.ceil(6000 / files.length) * files.length;
  const list = Array.from({ length: count }, (_, i) => files[i % files.length]);
  await Deno.writeTextFile(`${folder}/list.txt`, list.join("\n"));
  const args = ["run", "-A", cli, "-q", "--jsonl", ...network];
  const start = performance.now();
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args, `--files-from=${folder}/list.txt`],
    stderr: "null",
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n").length;
  if (lines !== count) {
    throw new PembrokeError(`the bulk command printed ${lines} lines for ${count} photos`);
  }
  return count / (performance.now() - start) * 1000;
}

function rate(perSecond: number): string {
  return perSecond.toFixed(1).padStart(10);
}

/** The largest value in each tenth. */
function peaks(memory: readonly number[]): string {
  const peak = (i: number) =>
    Math.max(...memory.slice(memory.length * i / 10, memory.length * (i + 1) / 10));
  return Array.from({ length: 10 }, (_, i) => peak(i).toFixed(0)).join(" ");
}
