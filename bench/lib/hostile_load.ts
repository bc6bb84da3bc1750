/** Load-tests the server with photos and attacks, and checks its memory and its answers. */

import { deflateSync } from "node:zlib";
import { PembrokeError } from "../../src/errors.ts";
import { crc32 } from "../../src/io/crc32.ts";
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

/** Runs the test, prints a report, and returns whether the server kept its promises. */
export async function hostileLoad(options: HostileLoadOptions): Promise<boolean> {
  const { cli, network, connections, seconds, memory } = options;
  const args = ["run", "-A", cli, "serve", "--port=0", `--memory=${memory}MB`, ...network];
  await using server = await Server.start(Deno.execPath(), args, /http:\/\/127\.0\.0\.1:(\d+)/);
  const photos = await goodPhotos(options.photos), attacks = attacksOn(server);
  const latencies: number[] = [], failures: string[] = [], residents: number[] = [];
  const counts = new Map<string, number>();
  const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  let exited = false;
  server.process.status.then(() => exited = true);
  const sampling = setInterval(async () => {
    const text = await server.fetch("/metrics").then((answer) => answer.text(), () => "");
    const bytes = /^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1];
    if (bytes) residents.push(Number(bytes) / 1e6);
  }, 250);

  const end = performance.now() + 1000 * seconds;
  let number = 0;
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < end && !exited) {
      const n = number++;
      if (n % 10 === 9) {
        const attack = attacks[Math.floor(n / 10) % attacks.length];
        count(await attack().catch((error) => `attack: ${error}`));
        continue;
      }
      const { body, type } = photos[n % photos.length], start = performance.now();
      try {
        const headers = { "content-type": type };
        const answer = await server.fetch("/", { method: "POST", body, headers });
        const text = await answer.text();
        count(`photo: ${answer.status}`);
        if (answer.status !== 200) failures.push(text);
        else latencies.push(performance.now() - start);
      } catch (error) {
        failures.push(String(error));
      }
    }
  }));
  clearInterval(sampling);
  const health = exited ? "stopped" : String((await server.fetch("/healthz")).status);

  latencies.sort((a, b) => a - b);
  const p = (share: number) => latencies[Math.floor(share * latencies.length)] ?? NaN;
  const peak = Math.max(...residents), budget = memory + otherMegabytes;
  console.log(`${connections} connections, ${seconds} s: ${latencies.length} good photos`);
  console.log(`latency of good photos: p50 ${p(0.5).toFixed(0)} ms, p99 ${p(0.99).toFixed(0)} ms`);
  console.log(`memory: peak ${peak.toFixed(0)} MB of ${budget} MB; health: ${health}`);
  console.log(`restarts: ${exited ? 1 : 0}; failed good photos: ${failures.length}`);
  for (const [key, n] of [...counts].sort()) console.log(`  ${n} × ${key}`);
  for (const failure of failures.slice(0, 5)) console.log(`  ${failure}`);
  return !exited && failures.length === 0 && peak < budget && p(0.99) < maxP99 && health === "200";
}

/** The photos of a folder. */
async function goodPhotos(folder: string) {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => /\.(jpe?g|png)$/.test(name)).sort();
  if (names.length === 0) throw new PembrokeError(`no photos in ${folder}`);
  return await Promise.all(names.map(async (name) => ({
    body: await Deno.readFile(`${folder}/${name}`),
    type: name.endsWith("png") ? "image/png" : "image/jpeg",
  })));
}

/** Each sends one hostile request, and returns what became of it. */
function attacksOn(server: Server): (() => Promise<string>)[] {
  const files: Record<string, Uint8Array<ArrayBuffer>> = {
    "RGBA PNG of 16 bits, 8000×8000": png(8000, 8000, 16),
    "PNG of 7900×8000": png(7900, 8000, 8),
    "PNG of 60000×60000": png(60_000, 60_000, 8, 1),
    "JPEG of 8000×8000 with 20000 scans": jpegScans(8000, 8000, 20_000),
    "JPEG of 4000×4000 with 882 scans": jpegScans(4000, 4000, 882),
    "animated WebP of 8000×8000": webp(8000, 8000),
    "text": new TextEncoder().encode("no image"),
    "10 MB of zeros": new Uint8Array(10_000_000),
  };
  const post = (name: string, body: Uint8Array<ArrayBuffer>) => async () => {
    const headers = { "content-type": "image/png" };
    const answer = await server.fetch("/", { method: "POST", body, headers });
    await answer.body?.cancel();
    return `${name}: ${answer.status}`;
  };
  const { port } = server;
  const head = (length: number) =>
    new TextEncoder().encode(
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: ${length}\r\n\r\n`,
    );
  const open = async (length: number) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(head(length));
    return connection;
  };
  /** Keeps a connection without waiting for it. */
  const linger = (connection: Deno.Conn, work: () => Promise<unknown>) => {
    void work().catch(() => {}).finally(() => connection.close());
  };
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  return [
    ...Object.entries(files).map(([name, body]) => post(name, body)),
    async () => {
      const connection = await open(10_000_000);
      linger(connection, () => connection.read(new Uint8Array(1)));
      return "header without a body";
    },
    async () => {
      const connection = await open(10_000);
      let answered = false;
      connection.read(new Uint8Array(1)).finally(() => answered = true).catch(() => {});
      linger(connection, async () => {
        while (!answered) {
          await connection.write(new Uint8Array(1));
          await sleep(50);
        }
      });
      return "body that trickles in";
    },
    async () => {
      const body = files["RGBA PNG of 16 bits, 8000×8000"];
      const connection = await open(body.length);
      for (let rest = body; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
      connection.close();
      return "client that leaves";
    },
  ];
}

/** A PNG of zeros: RGBA, or grey with one channel. */
function png(width: number, height: number, bits: 8 | 16, channels: 1 | 4 = 4) {
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = bits;
  header[9] = channels === 4 ? 6 : 0;
  const rows = Math.min(height, 8000), row = 1 + width * channels * bits / 8;
  const data = deflateSync(new Uint8Array(Math.min(rows * row, 2 ** 29)));
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", header)];
  return concat([...parts, chunk("IDAT", data), chunk("IEND", new Uint8Array(0))]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(12 + data.length), view = new DataView(result.buffer);
  view.setUint32(0, data.length);
  result.set(new TextEncoder().encode(type), 4);
  result.set(data, 8);
  view.setUint32(8 + data.length, crc32(result.subarray(4, 8 + data.length)));
  return result;
}

/** A progressive grey JPEG with many scans that refine one coefficient. */
function jpegScans(width: number, height: number, scans: number) {
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  const tables = [0xff, 0xdb, 0, 67, 0, ...Array(64).fill(1)];
  const frame = [0xff, 0xc2, 0, 11, 8, ...size, 1, 1, 0x11, 0];
  const huffman = (kind: number) => [0xff, 0xc4, 0, 20, kind, 1, ...Array(15).fill(0), 0];
  const first = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x01, ...Array(8).fill(0)];
  const scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x10, ...Array(8).fill(0)];
  return concat([
    Uint8Array.of(0xff, 0xd8, ...tables, ...frame, ...huffman(0), ...huffman(0x10), ...first),
    ...Array(scans).fill(Uint8Array.from(scan)),
    Uint8Array.of(0xff, 0xd9),
  ]);
}

/** An animated WebP whose only frame is small, on a large canvas. */
function webp(width: number, height: number) {
  const u24 = (value: number) => [value & 255, value >> 8 & 255, value >> 16];
  const u32 = (value: number) => [...u24(value & 0xffffff), value >>> 24];
  const text = (value: string) => [...new TextEncoder().encode(value)];
  const part = (type: string, data: number[]) => [
    ...text(type),
    ...u32(data.length),
    ...data,
    ...data.length % 2 ? [0] : [],
  ];
  const image = part("VP8L", [0x2f, 0, 0, 0, 0, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 8, 8]);
  const frame = [...u24(0), ...u24(0), ...u24(0), ...u24(0), ...u24(100), 0, ...image];
  const body = [
    ...text("WEBP"),
    ...part("VP8X", [2, 0, 0, 0, ...u24(width - 1), ...u24(height - 1)]),
    ...part("ANIM", [0, 0, 0, 0, 0, 0]),
    ...part("ANMF", frame),
  ];
  return Uint8Array.from([...text("RIFF"), ...u32(body.length), ...body]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (result.set(part, at), at + part.length), 0);
  return result;
}
