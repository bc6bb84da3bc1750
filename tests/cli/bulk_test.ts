import { FileError } from "../../src/errors.ts";
import { linesOf as linesOfText } from "../../src/cli/lines.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { crashingWorker } from "../image/threads/replace_worker.ts";
import { cli, fixture, otherWorker, run, runSeveral, TempFolder, theError, utf16 } from "./run.ts";

const tiny = ["-q", "--jsonl", "-k", "1", "-m", "alexnet-tiny"];
const notImage = "is not a supported image (JPEG, PNG, WebP, GIF, BMP)";

/** A BMP of one colour, different for each number. */
function bmp(number: number, side = 8): Uint8Array {
  const bytes = new Uint8Array(54 + side * side * 3), view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  const header = [[2, bytes.length], [10, 54], [14, 40], [18, side], [22, side]];
  for (const [at, value] of header) view.setUint32(at, value, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let i = 54; i < bytes.length; i++) bytes[i] = (number * 37 + i % 3 * number * 11) & 255;
  return bytes;
}

/** Writes 64 files to "photos", every seventh not an image. Returns their names, in order. */
async function fill(folder: TempFolder): Promise<string[]> {
  const png = await Deno.readFile(fixture("models/waves.png"));
  const jpeg = await Deno.readFile(fixture("image/images/baseline-420.jpg"));
  const names: string[] = [];
  for (let i = 0; i < 64; i++) {
    const name = `photos/${i >> 4}/${String(i).padStart(2, "0")}.png`;
    await folder.write(name, i % 7 === 3 ? "no image" : [png, jpeg, bmp(i)][i % 3]);
    names.push(name);
  }
  return names;
}

interface Line {
  readonly input: string;
  readonly error?: string;
  readonly predictions?: readonly { readonly index: number; readonly probability: number }[];
}

const linesOf = (text: string): Line[] =>
  text.split("\n").slice(0, -1).map((line) => JSON.parse(line));

/** Results without timings, and with rounded probabilities, for comparison. */
const comparable = (lines: readonly Line[]) =>
  lines.map(({ input, error, predictions }) =>
    `${input} ${error ?? predictions!.map((p) => `${p.index} ${p.probability.toFixed(4)}`)}`
  );

Deno.test("classify prints one line per image of a folder, in order, damaged ones included", async () => {
  await using folder = await TempFolder.make();
  const names = await fill(folder);
  const few = names.slice(0, 12);
  const document = ["-q", "--json", "-k", "1", "-m", "alexnet-tiny", "photos"];
  const [{ code, stdout, stderr }, single, asDocument] = await runSeveral(
    [[...tiny, "photos"], [...tiny, ...few], document],
    { cwd: folder.path },
  );
  assertEquals(code, 1);
  const lines = linesOf(stdout);
  assertEquals(lines.map(({ input }) => input), names);
  const bad = names.filter((_, i) => i % 7 === 3);
  assertEquals(
    lines.filter(({ error }) => error).map(({ error }) => error),
    bad.map((name) => `${name}: ${notImage}`),
  );
  assertEquals(stderr, bad.map((name) => `error: ${name}: ${notImage}\n`).join(""));

  // the same one at a time, and as a JSON document
  assertEquals(comparable(linesOf(single.stdout)), comparable(lines).slice(0, 12));
  const { results } = JSON.parse(asDocument.stdout);
  assertEquals(comparable(results), comparable(lines));
});

Deno.test("an image that crashes its decoding thread fails alone", async () => {
  await using folder = await TempFolder.make();
  const names = await fill(folder);
  for (const name of [names[5], names[40]]) await folder.write(name, "throw");
  const args = [crashingWorker.href, ...tiny, "photos"];
  const { code, stdout, stderr } = await run(args, { cwd: folder.path, script: otherWorker });
  assertEquals(code, 1);
  const lines = linesOf(stdout);
  assertEquals(lines.map(({ input }) => input), names);
  const ended = "the decoding thread crashed: Uncaught RangeError: out of memory";
  const errors = names.flatMap((name, i) =>
    i === 5 || i === 40 ? `${name}: ${ended}` : i % 7 === 3 ? `${name}: ${notImage}` : []
  );
  assertEquals(lines.flatMap(({ error }) => error ?? []), errors);
  assertEquals(stderr, errors.map((error) => `error: ${error}\n`).join(""));
});

Deno.test("decoding threads that cannot start end the command with one error", async () => {
  await using folder = await TempFolder.make();
  await fill(folder);
  const args = ["file:///gone/threads/worker.ts", ...tiny, "--resume=out.jsonl", "photos"];
  const { code, stdout, stderr } = await run(args, { cwd: folder.path, script: otherWorker });
  assertEquals([code, stdout], [1, ""]);
  // the runtime prints its own message for each worker
  const [line, ...rest] = stderr.split("\n").filter((line) => !line.includes("(in worker"));
  assertEquals(rest, [""], stderr);
  assertMatch(line, /^error: cannot start decoding threads: Module not found ".+"/);
});

Deno.test("--files-from adds inputs from a file or standard input to the arguments", async () => {
  await using folder = await TempFolder.make();
  const names = await fill(folder);
  const list = new TextEncoder().encode(`${names[4]}\r\n\nphotos/3\ngone.png\n-\n${names[1]}`);
  const inputs = [names[0], names[4], ...names.slice(48), "gone.png", "./-", names[1]];
  await folder.write("list.txt", list);
  const from = (list: string) => [...tiny, `--files-from=${list}`, names[0]];
  const [gone, ...outcomes] = await runSeveral(
    ["gone.txt", "-", "list.txt"].map(from),
    { cwd: folder.path, stdin: list },
  );
  for (const { code, stdout } of outcomes) {
    assertEquals(code, 1);
    assertEquals(linesOf(stdout).map(({ input }) => input), inputs);
  }
  assertEquals([gone.code, gone.stderr], [1, "error: gone.txt: no such file\n"]);
});

Deno.test("--files-from - prints results before the list ends", async () => {
  await using folder = await TempFolder.make();
  await fill(folder);
  const process = start([...tiny, "--files-from=-"], folder.path);
  const writer = process.stdin.getWriter();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (const name of ["photos/0/00.png", "photos/0/01.png"]) {
    await writer.write(new TextEncoder().encode(`${name}\n`));
    assertEquals(linesOf((await reader.read()).value!).map(({ input }) => input), [name]);
  }
  await writer.close();
  assertEquals([(await reader.read()).done, (await process.status).code], [true, 0]);
});

Deno.test("--resume completes the results of a killed command", async () => {
  await using folder = await TempFolder.make();
  const names = await fill(folder);
  const out = `${folder.path}/out.jsonl`;
  const process = start([...tiny, "--resume", out, "--files-from=-"], folder.path);
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(names.slice(0, 40).join("\n")));
  // the list is still open: the command has classified its lines, and waits
  while (await lengthOf(out) < 30) await new Promise((done) => setTimeout(done, 20));
  process.kill("SIGKILL");
  await Promise.all([process.status, process.stdout.cancel(), writer.abort().catch(() => {})]);

  const before = await Deno.readTextFile(out);
  await Deno.writeTextFile(out, before + '{"input":"photos/3/6'); // incomplete, as after a crash
  const args = ["--resume", out, "-k", "1", "-m", "alexnet-tiny", "photos"];
  const [{ code, stdout, stderr }, whole] = await runSeveral(
    [args, [...tiny, "photos"]],
    { cwd: folder.path },
  );
  assertEquals([code, stdout], [1, ""]);
  const good = linesOf(before).filter(({ error }) => !error);
  assertEquals(stderr.split("\n")[0], `${out}: resuming after ${good.length} results`);
  const after = await Deno.readTextFile(out);
  const results = before.split("\n").filter((line) => line.includes('"predictions"'));
  assertEquals(after.split("\n").slice(0, results.length), results);
  assertEquals(comparable(linesOf(after)).sort(), comparable(linesOf(whole.stdout)).sort());

  // a second run retries only the errors
  for (const name of names.filter((_, i) => i % 7 === 3)) await folder.write(name, bmp(1));
  const again = await run(args, { cwd: folder.path });
  assertEquals(again.code, 0);
  const end = linesOf(await Deno.readTextFile(out));
  assertEquals(end.map(({ input }) => input).sort(), names);
  assert(end.every(({ predictions }) => predictions?.length === 1));
});

Deno.test({
  name: "--resume rejects a file in use by another command",
  ignore: Deno.build.os === "windows", // links need a privilege there
  fn: async () => {
    await using folder = await TempFolder.make();
    const [first, second] = await fill(folder);
    const out = `${folder.path}/out.jsonl`;
    const files = () => Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
    const process = start([...tiny, "--resume=out.jsonl", "--files-from=-"], folder.path);
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${first}\n`));
    while (await lengthOf(out) < 1) await new Promise((done) => setTimeout(done, 20));
    const before = await Deno.readTextFile(out);

    await Deno.symlink("out.jsonl", `${folder.path}/link.jsonl`);
    const commands = ["out.jsonl", "link.jsonl"].map((name) => [...tiny, "--resume", name, second]);
    for (const [i, other] of (await runSeveral(commands, { cwd: folder.path })).entries()) {
      const wait = "in use by another command; wait until it ends, or use another file";
      assertEquals(theError(other, 1), `${["out.jsonl", "link.jsonl"][i]}: ${wait}`);
    }
    assertEquals(await Deno.readTextFile(out), before);

    process.kill("SIGINT");
    await Promise.all([process.status, process.stdout.cancel(), writer.abort().catch(() => {})]);
    const { code } = await run([...tiny, "--resume=link.jsonl", second], { cwd: folder.path });
    assertEquals(code, 0);
    const inputs = linesOf(await Deno.readTextFile(out)).map(({ input }) => input);
    assertEquals(inputs, [first, second]);
    assertEquals((await files()).sort(), ["link.jsonl", "out.jsonl", "photos"]);
  },
});

Deno.test("--resume leaves other files unchanged", async () => {
  await using folder = await TempFolder.make();
  const text = '{"input":"a.png","error":"a.png: gone"}\nsomething else\n';
  const path = await folder.write("notes.txt", text);
  const args = [...tiny, "--resume=notes.txt", fixture("models/waves.png")];
  const error = theError(await run(args, { cwd: folder.path }), 1);
  assertEquals(error, "notes.txt: line 2 is not --jsonl output");
  assertEquals(await Deno.readTextFile(path), text);
  assertEquals((await Array.fromAsync(Deno.readDir(folder.path))).length, 1);
  // no line break at all: not a line that was interrupted
  const resume = (out: string) => run([...tiny, `--resume=${out}`, fixture("models/waves.png")]);
  for (const rest of ["one line", '{"input":1', '{"input":"a.png","error":"gone"}\nx']) {
    await folder.write("notes.txt", rest);
    const number = rest.split("\n").length;
    assertEquals(
      theError(await resume(path), 1),
      `${path}: line ${number} is not --jsonl output`,
    );
    assertEquals(await Deno.readTextFile(path), rest);
  }
  const nowhere = `${folder.path}/no/out.jsonl`, { code, stderr } = await resume(nowhere);
  assertEquals([code, stderr], [1, `error: ${nowhere}: its folder does not exist\n`]);
});

Deno.test({
  name: "--resume and --files-from refuse pipes, devices and endless lines at once",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const image = fixture("models/waves.png");
    assertEquals(
      theError(await run([...tiny, "--resume=/dev/full", image]), 1),
      "/dev/full: is not a file",
    );
    const chunks = Array(2 ** 10).fill(new Uint8Array(2 ** 16).fill(0x41));
    const stream = ReadableStream.from([...chunks, Uint8Array.of(0x41)]);
    const lines = linesOfText(stream, "a.txt");
    await assertRejects(() => lines.next(), FileError, "a.txt: has a line that is too long");
  },
});

Deno.test("linesOf() reads UTF-8, and UTF-16 as PowerShell writes it, in any chunks", async () => {
  const text = "é.png\r\n猫 😀.png\n\na.png", utf8 = new TextEncoder().encode(text);
  for (const bytes of [utf8, utf16(text), new Uint8Array([0xef, 0xbb, 0xbf, ...utf8])]) {
    const chunks = [
      bytes.slice(0, 5),
      ...Array.from(bytes.slice(5), (byte) => Uint8Array.of(byte)),
    ];
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    for (
      const stream of [
        new Blob([bytes]).stream(),
        ReadableStream.from(chunks),
        ReadableStream.from([new Uint8Array(), ...single]),
      ]
    ) {
      const lines = await Array.fromAsync(linesOfText(stream, "a.txt"), ({ text }) => text);
      assertEquals(lines, ["é.png", "猫 😀.png", "", "a.png"]);
    }
  }
});

Deno.test({
  name: "--resume changes no lock file of others, and keeps the permissions of its own file",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await TempFolder.make();
    const image = fixture("models/waves.png");
    const others = ["deno.lock", "package.lock", "out.jsonl.lock"];
    for (const name of others) await folder.write(name, '{"version":"5"}');
    await folder.write("empty.lock", "");
    for (const name of ["deno", "package", "out.jsonl", "empty"]) {
      const out = `${folder.path}/${name}`;
      assertEquals((await run([...tiny, "--resume", out, image])).code, 0);
      await Deno.chmod(out, 0o600);
      assertEquals((await run([...tiny, "--resume", out, image])).code, 0);
      assertEquals((await Deno.stat(out)).mode! & 0o777, 0o600);
    }
    for (const name of others) {
      assertEquals(await Deno.readTextFile(`${folder.path}/${name}`), '{"version":"5"}');
    }
    assertEquals((await Deno.stat(`${folder.path}/empty.lock`)).size, 0);
    const names = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
    assertEquals(names.length, 8);
  },
});

Deno.test("--shard assigns every image of any source to exactly one part", async () => {
  await using folder = await TempFolder.make();
  const names = await fill(folder);
  await folder.write("list.txt", `${names[9]}\ngone.png\nphotos/3/6*.png\n`);
  const args = [...tiny, "photos", names[2], "photos/0/0?.png", "--files-from=list.txt"];
  const listed = [names[9], "gone.png", ...names.slice(60)];
  const inputs = [...names, names[2], ...names.slice(0, 10), ...listed];
  const commands = [1, 2, 3].map((number) => [...args, `--shard=${number}/3`]);
  const shards = await runSeveral(commands, { cwd: folder.path });
  for (const [i, { code, stdout }] of shards.entries()) {
    assertEquals(code, 1);
    const expected = inputs.filter((_, position) => position % 3 === i);
    assertEquals(linesOf(stdout).map(({ input }) => input), expected);
  }
});

Deno.test("--shard and --resume combine: a second run only retries errors", async () => {
  await using folder = await TempFolder.make();
  const names = await fill(folder);
  const shard = names.filter((_, i) => i % 4 === 1);
  const args = ["-q", "-k", "1", "-m", "alexnet-tiny", "--shard=2/4", "--resume=2.jsonl", "photos"];
  const inputs = async () =>
    linesOf(await Deno.readTextFile(`${folder.path}/2.jsonl`)).map(({ input }) => input);
  assertEquals((await run(args, { cwd: folder.path })).code, 1);
  assertEquals(await inputs(), shard);

  for (const name of names.filter((_, i) => i % 7 === 3)) await folder.write(name, bmp(1));
  const { code, stdout, stderr } = await run(args, { cwd: folder.path });
  assertEquals([code, stdout, stderr], [0, "", ""]);
  assertEquals((await inputs()).sort(), shard);
});

Deno.test("--shard prints nothing for an empty part, and rejects bad values", async () => {
  const image = fixture("models/waves.png");
  const empty = await run(["-m", "alexnet-tiny", "--shard=2/2", image]);
  assertEquals(empty, { code: 0, stdout: "", stderr: "" });
  assertEquals(linesOf((await run([...tiny, "--shard=1/2", image])).stdout).length, 1);
  const { results } = JSON.parse((await run(["-q", "--json", "--shard=2/2", image])).stdout);
  assertEquals(results, []);
  assertEquals(
    theError(await run([...tiny, "--shard=3/2", image]), 2),
    '--shard is "3/2", must be N/M with N from 1 to M, such as 3/16',
  );
});

Deno.test("a closed pipe is no error, even with many images", async () => {
  await using folder = await TempFolder.make();
  await fill(folder);
  const process = start([...tiny, ...Array(20).fill("photos/0/00.png"), "photos"], folder.path);
  const errors = new Response(process.stderr).text();
  const reader = process.stdout.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals((await process.status).code, 0);
  for (const line of (await errors).split("\n").slice(0, -1)) assertMatch(line, /^error: photos/);
});

Deno.test({
  name: "memory does not grow with the number of images",
  ignore: Deno.build.os !== "linux", // needs /proc
  fn: async () => {
    await using folder = await TempFolder.make();
    // 49 kB for the file, for its pixels and for the network's input: 16 MB in the second half
    for (let i = 0; i < 40; i++) await folder.write(`photos/${i}.bmp`, bmp(i, 128));
    const process = start([...tiny, "--files-from=-"], folder.path);
    const list = process.stdin.getWriter(), answers = process.stdout.getReader();
    const resident: number[] = [];
    for (let round = 0; round < 15; round++) {
      await list.write(new TextEncoder().encode("photos\n"));
      for (let lines = 0; lines < 40;) {
        lines += (await answers.read()).value!.reduce((sum, byte) => sum + Number(byte === 10), 0);
      }
      const status = await Deno.readTextFile(`/proc/${process.pid}/status`);
      resident.push(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024);
    }
    await list.close();
    assertEquals([(await answers.read()).done, (await process.status).code], [true, 0]);
    const half = resident.length >> 1;
    const growth = Math.max(...resident.slice(half)) - Math.max(...resident.slice(0, half));
    assert(growth < 8, `${resident.map(Math.round)} MiB`);
  },
});

function start(args: string[], cwd: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", cli, ...args],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The number of lines of a file; 0 if it does not exist. */
async function lengthOf(path: string): Promise<number> {
  return (await Deno.readTextFile(path).catch(() => "")).split("\n").length - 1;
}
