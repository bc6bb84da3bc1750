/**
 * A server under load, for long: `cli.ts serve` and wrk on the same machine, photos of which every
 * tenth is damaged, and the memory that the server takes meanwhile. Then the bulk command on the same
 * photos, for comparison.
 *
 *     deno task load
 *     deno task load --connections 64 --minutes 1 --weights alexnet.safetensors --photos FOLDER
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Server } from "./lib/server.ts";

const { values: options } = parseArgs({
  options: {
    connections: { type: "string", default: "1,8,64" },
    minutes: { type: "string", default: "10" },
    photos: { type: "string", default: fileURLToPath(new URL("../tests/photos", import.meta.url)) },
    weights: { type: "string" },
  },
});
const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
const lua = fileURLToPath(new URL("load.lua", import.meta.url));
const seconds = Math.max(1, Math.round(Number(options.minutes) * 60));
const network = options.weights ? ["--weights", options.weights] : ["-m", "alexnet-tiny"];

/** What wrk says at its end, by the script beside this file; milliseconds. */
interface Outcome {
  readonly seconds: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly p50: number;
  readonly p99: number;
  readonly broken: number;
}

const folder = await Deno.makeTempDir();
try {
  const files = await mixture(options.photos, folder);
  console.log(`${files.length} photos of ${options.photos}, one in ten of them cut; ${network[1]}`);
  console.log(
    "connections  requests/s   p50 ms   p99 ms   answers; memory in MB, by tenths of the time",
  );
  let last = 0;
  for (const connections of options.connections.split(",").map(Number)) {
    last = await load(files, connections);
  }
  const bulk = await bulkRate(files, folder);
  console.log(
    `bulk         ${rate(bulk)}   the last row is ${(100 * last / bulk).toFixed(0)} % of it`,
  );
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** The photos of a folder, each several times, every tenth cut in the middle. */
async function mixture(photos: string, folder: string): Promise<string[]> {
  const names = [...Deno.readDirSync(photos)].map(({ name }) => name)
    .filter((name) => /\.(jpe?g|png)$/.test(name)).sort();
  if (names.length === 0) throw new Error(`${photos} has no photos`);
  const files: string[] = [];
  for (let i = 0; i < 10 * names.length; i++) {
    const name = names[i % names.length], whole = `${photos}/${name}`;
    if (i % 10 !== 9) {
      files.push(whole);
      continue;
    }
    const bytes = await Deno.readFile(whole), cut = `${folder}/${i}-${name}`;
    await Deno.writeFile(cut, bytes.subarray(0, bytes.length / 2));
    files.push(cut);
  }
  return files;
}

/** Serves so many connections, prints what came of it, and returns requests per second. */
async function load(files: readonly string[], connections: number): Promise<number> {
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
    if (!success) throw new Error(`wrk: ${text}${new TextDecoder().decode(stderr)}`);
    const outcome: Outcome = JSON.parse(text.trim().split("\n").at(-1)!);
    clearInterval(sampling);
    const answered = Object.values(outcome.answers).reduce((a, b) => a + b, 0);
    const perSecond = answered / outcome.seconds;
    const answers = Object.entries(outcome.answers).map(([status, n]) => `${n} × ${status}`);
    if (outcome.broken > 0) answers.push(`${outcome.broken} broken off`);
    const ms = (value: number) => value.toFixed(1).padStart(9);
    console.log(
      `${String(connections).padStart(11)}  ${rate(perSecond)}${ms(outcome.p50)}${
        ms(outcome.p99)
      }   ` +
        `${answers.join(", ")}; ${tenths(memory)}`,
    );
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
    throw new Error("wrk is not there; systems have a package of that name", { cause: error });
  }
}

/** Tells the server to stop while it has requests: each is answered. */
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
  const outcomes = await Promise.all(requests.map((request) => request.catch(String)));
  const { code } = await server.process.status;
  const lost = outcomes.filter((status) => status !== 200 && status !== 503);
  if (lost.length > 0 || code !== 0) {
    throw new Error(`stopped with ${code}; of 32 requests ${lost.length} were lost: ${lost[0]}`);
  }
}

/** Photos per second of the bulk command, on some thousands of the same. */
async function bulkRate(files: readonly string[], folder: string): Promise<number> {
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
  if (lines !== count) throw new Error(`bulk: ${lines} lines for ${count} photos`);
  return count / (performance.now() - start) * 1000;
}

function rate(perSecond: number): string {
  return perSecond.toFixed(1).padStart(10);
}

/** The largest of each tenth. */
function tenths(memory: readonly number[]): string {
  const most = (i: number) =>
    Math.max(...memory.slice(memory.length * i / 10, memory.length * (i + 1) / 10));
  return Array.from({ length: 10 }, (_, i) => most(i).toFixed(0)).join(" ");
}
