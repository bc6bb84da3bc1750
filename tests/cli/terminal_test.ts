import { assert, assertEquals, assertMatch } from "../assert.ts";
import { testWith } from "../needs.ts";
import { inTerminal, terminal } from "./in_terminal.ts";
import { cli, fixture, run, shell, TempFolder, theError } from "./run.ts";
import { shellQuote } from "../../src/cli/command_line.ts";
import { Progress } from "../../src/cli/progress.ts";
import { writeAll } from "../../src/cli/terminal.ts";

const waves = fixture("models/waves.png");
const args = `-m alexnet-tiny --random --seed 1 -k 2 ${shellQuote(waves)}`;
const escape = "\x1b";
const root = new URL("../../", import.meta.url).href;

/** The start of a command line for a terminal. */
const command = `"$DENO" run -A ${cli}`;

Deno.test("without a terminal there are no colours and no bars", async () => {
  const { code, stdout, stderr } = await run(["-m", "alexnet-tiny", waves, "gone.png"]);
  assertEquals(code, 1);
  for (const text of [stdout, stderr]) {
    assert(!text.includes(escape) && !text.includes("\r"), text);
  }
});

testWith(
  terminal,
  "a terminal shows colours, unless it has none, or NO_COLOR or --no-color is set",
  async () => {
    const { code, screen } = await inTerminal(`${command} ${args} gone.png`);
    assertEquals(code, 1);
    for (const colour of ["[1m", "[2m", "[31m", "[36m"]) {
      assert(screen.includes(escape + colour), screen);
    }
    const plain = await Promise.all([
      inTerminal(`${command} ${args} gone.png`, { TERM: "dumb" }),
      inTerminal(`${command} ${args} gone.png`, { NO_COLOR: "1" }),
      inTerminal(`${command} ${args} --no-color gone.png`),
    ]);
    for (const { code, screen } of plain) {
      assertEquals(code, 1);
      assert(!screen.includes(escape), screen);
      assertMatch(screen, /error: gone\.png: no such file\r\n$/);
    }
  },
);

/** What a command prints in terminals with 40, 80 and 300 columns. */
async function inWidths(line: string, env: Record<string, string> = {}): Promise<string[]> {
  return await Promise.all([40, 80, 300].map(async (columns) => {
    const { code, screen } = await inTerminal(`stty cols ${columns}; ${command} ${line}`, {
      NO_COLOR: "1",
      ...env,
    });
    assertEquals(code, 0, screen);
    // notes and sentences may wrap
    const lines = screen.split("\r\n").filter((line) => !/^(models|a wider|last)/.test(line));
    for (const line of lines) assert(line.length <= columns, line);
    return screen;
  }));
}

testWith(
  terminal,
  "models leaves out columns that do not fit into the terminal",
  async () => {
    await using folder = await TempFolder.make();
    const [narrowest, narrow, wide] = await inWidths("models", { PEMBROKE_CACHE: folder.path });
    assertMatch(wide, / accuracy +where\r\n/);
    assertMatch(wide, /\nresnet18 +available .* 69\.8 % +http:.*\.pth\r\n/);
    assertMatch(narrow, / accuracy\r\n/);
    assertMatch(narrow, /\nresnet18 +available .* 69\.8 %\r\n/);
    assertMatch(narrow, /\r\nmodels --json also prints: where\r\n$/);
    assertMatch(narrowest, /\nresnet-tiny +bundled +default\r\n/);
    assertMatch(narrowest, /also prints: where, precision, classes, size, accuracy\r\n$/);
  },
);

testWith(terminal, "summary leaves out columns that do not fit into the terminal", async () => {
  const [narrowest, narrow, wide] = await inWidths("summary -m resnet-tiny");
  assertMatch(
    wide,
    /\nlayer2\.0\.add +Add +layer2\.0\.bn2, layer2\.0\.downsample\.1 +96×16×16\r\n/,
  );
  assertMatch(wide, /384 → 200 features\r\n$/);
  assertMatch(narrow, /\nlayer2\.0\.add +Add +96×16×16\r\n/);
  assertMatch(narrow, /\r\na wider terminal also shows: inputs\r\n$/);
  assertMatch(narrowest, /\nlayer +multiply-adds\r\nconv1 +2,457,600\r\n/);
  assertMatch(narrowest, /also shows: inputs, type, output, parameters\r\n$/);
});

testWith(terminal, "a progress bar appears on the terminal only, and disappears", async () => {
  await using folder = await TempFolder.make();
  const out = `${folder.path}/out.txt`;
  const bytes = await Deno.readFile(waves);
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async () => {
      await new Promise((done) => setTimeout(done, 600)); // long enough to show a bar
      return new Response(bytes);
    },
  );
  const slow = `http://127.0.0.1:${server.addr.port}/slow.png`;
  const line = `${command} ${args} ${slow} ${shellQuote(waves)} gone.png > ${shellQuote(out)}`;
  const { code, screen } = await inTerminal(line);
  assertEquals(code, 1);
  const written = await Deno.readTextFile(out);
  assertEquals(written.split("\n").filter((line) => /^\S/.test(line)), [waves, slow, waves]);
  for (const part of [escape, "\r", "░", "classifying"]) assert(!written.includes(part), written);

  const [head, rest, last] = screen.split("\n");
  assertMatch(head, /alexnet-tiny, random/);
  const frames = rest.split("\r").filter((frame) => frame.includes("classifying"));
  assert(frames.length > 0, screen);
  for (const frame of frames) {
    assertMatch(frame, /^classifying [█░]{30} [123]\/4 images *$/);
  }
  // blanks over the bar, then the error at the start of its line
  assertMatch(rest, /\r +\r\S*error:\S* gone\.png: no such file\r$/);
  assertEquals(last, "");
});

testWith(
  terminal,
  "--features has a progress bar if it writes a file, and none where its lines go",
  async () => {
    await using folder = await TempFolder.make();
    for (const i of Array(3).keys()) await Deno.copyFile(waves, `${folder.path}/${i}.png`);
    // the clock runs fast, so that a bar appears
    const clock =
      "const { now } = performance; performance.now = () => 1000 * now.call(performance)";
    const preload = await folder.write("clock.ts", clock);
    for (const [output, hasBar] of [[` -o ${folder.path}/out.npy`, true], ["", false]] as const) {
      const rest = `--preload ${preload} ${cli} -m alexnet-tiny --features ${folder.path}${output}`;
      const line = `"$DENO" run -A ${rest}`;
      const { code, screen } = await inTerminal(line);
      assertEquals([code, screen.includes("computing ")], [0, hasBar], screen);
    }
  },
);

testWith(terminal, "a progress bar fits a narrow terminal", async () => {
  for (
    const [columns, frame] of [[40, /^down [█░]{18} 1\/4 long images *$/], [9, /^down 1\/4$/]]
  ) {
    const code = `
        const { Progress } = await import(${JSON.stringify(`${root}src/cli/progress.ts`)});
        const progress = new Progress("down", true);
        await new Promise((done) => setTimeout(done, 520));
        progress.update(1, 4, "long images");
        progress.clear();`;
    const line = `stty cols ${columns}; "$DENO" eval ${shellQuote(code)}`;
    const { screen } = await inTerminal(line);
    const [, drawn, blanks] = screen.split("\r");
    assertMatch(drawn, frame as RegExp);
    assert(drawn.length < Number(columns), screen);
    assertEquals(blanks, " ".repeat(drawn.length));
  }
});

Deno.test("a progress bar on a terminal that was closed ends no command", () => {
  const closed = () => {
    throw new Error("Input/output error (os error 5)");
  };
  const { stderr } = Deno, { now } = performance;
  const set = (value: unknown) => Object.defineProperty(Deno, "stderr", { value });
  set({ isTerminal: () => true, writeSync: closed });
  try {
    using progress = new Progress("down", true);
    performance.now = () => now.call(performance) + 1000; // a bar appears late
    progress.update(1, 2);
  } finally {
    performance.now = now;
    set(stderr);
  }
});

Deno.test("writeAll() waits for the reader of a pipe that does not block", () => {
  let tries = 0;
  const written: number[] = [];
  const stream = {
    writeSync(bytes: Uint8Array): number {
      if (tries++ % 2 === 0) throw new Deno.errors.WouldBlock("full");
      written.push(...bytes.subarray(0, 2));
      return Math.min(2, bytes.length);
    },
  };
  writeAll(stream, "abc");
  assertEquals(String.fromCharCode(...written), "abc");
});

Deno.test({
  name: "JSON keeps names with control characters, which cannot control the terminal",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await TempFolder.make();
    const names = [
      "\x9b31mred.png",
      "\x1b[31mred.png",
      "del\x7f\n.png",
      "\u202egnp\u200f\u{e0061}.png",
    ];
    for (const name of names) await folder.write(name, await Deno.readFile(waves));
    const paths = names.map((name) => `${folder.path}/${name}`);
    const options = ["-q", "-m", "alexnet-tiny", "-k", "1"];
    const { stdout } = await run([...options, "--jsonl", ...paths]);
    // deno-lint-ignore no-control-regex
    assert(!/[\0-\x09\x0b-\x1f\x7f-\x9f\u200f\u202e]|\u{e0061}/u.test(stdout), stdout);
    const inputs = stdout.trim().split("\n").map((line) => JSON.parse(line).input);
    assertEquals(inputs, paths);
  },
});

Deno.test("a closed pipe is no error", async () => {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", cli, "-q", "-m", "alexnet-tiny", "-k", "200", waves, waves],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await process.stdout.cancel();
  const [status, stderr] = await Promise.all([process.status, new Response(process.stderr).text()]);
  assertEquals([status.code, stderr], [0, ""]);
});

Deno.test("results are complete if nobody reads standard error", async () => {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", cli, "-m", "alexnet-tiny", "-k1", "gone.png", waves, waves],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await process.stderr.cancel();
  const [status, stdout] = await Promise.all([process.status, new Response(process.stdout).text()]);
  assertEquals([status.code, stdout.split("\n").filter((line) => line === waves).length], [1, 2]);
});

Deno.test({
  name: "a full disk is one error",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const outcome = await shell(`deno run --quiet -A ${shellQuote(cli)} -q ${args} > /dev/full`);
    assertEquals(theError(outcome, 1), "standard output: no space left on device");
  },
});
