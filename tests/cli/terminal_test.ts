import { assert, assertEquals, assertMatch } from "../assert.ts";
import { cli, fixture, run, shell, TempFolder, theError } from "./run.ts";
import { shellQuote } from "../../src/cli/permissions.ts";

const waves = fixture("models/waves.png");
const args = `-m alexnet-tiny --random --seed 1 -k 2 ${shellQuote(waves)}`;
const escape = "\x1b";

/** Whether util-linux's `script` is installed, which runs a command in a terminal. */
const hasScript = Deno.build.os === "linux" &&
  await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" })
    .output().then(({ success }) => success, () => false);

/** Runs the command in a terminal, and returns what both streams printed. */
async function inTerminal(rest: string, env: Record<string, string> = {}) {
  const { code, stdout } = await shell(
    `script -qec ${shellQuote(`"$DENO" run -A ${cli} ${rest}`)} /dev/null`,
    {
      env: { SHELL: "/bin/sh", TERM: "xterm", ...env },
    },
  );
  return { code, screen: stdout };
}

Deno.test("without a terminal there are no colours and no bars", async () => {
  const { code, stdout, stderr } = await run(["-m", "alexnet-tiny", waves, "gone.png"]);
  assertEquals(code, 1);
  for (const text of [stdout, stderr]) {
    assert(!text.includes(escape) && !text.includes("\r"), text);
  }
});

Deno.test({
  name: "a terminal shows colours, unless NO_COLOR or --no-color is set",
  ignore: !hasScript,
  fn: async () => {
    const { code, screen } = await inTerminal(`${args} gone.png`);
    assertEquals(code, 1);
    for (const colour of ["[1m", "[2m", "[31m", "[36m"]) {
      assert(screen.includes(escape + colour), screen);
    }
    const plain = await Promise.all([
      inTerminal(`${args} gone.png`, { NO_COLOR: "1" }),
      inTerminal(`${args} --no-color gone.png`),
    ]);
    for (const { code, screen } of plain) {
      assertEquals(code, 1);
      assert(!screen.includes(escape), screen);
      assertMatch(screen, /error: gone\.png: no such file\r\n$/);
    }
  },
});

Deno.test({
  name: "a progress bar appears on the terminal only, and disappears",
  ignore: !hasScript,
  fn: async () => {
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
    const line = `${args} ${slow} ${shellQuote(waves)} gone.png > ${shellQuote(out)}`;
    const { code, screen } = await inTerminal(line);
    assertEquals(code, 1);
    const written = await Deno.readTextFile(out);
    assertEquals(written.split("\n").filter((line) => /^\S/.test(line)), [waves, slow, waves]);
    for (const part of [escape, "\r", "░", "classifying"]) assert(!written.includes(part), written);

    const [head, rest, last] = screen.split("\n");
    assertMatch(head, /AlexNetTiny, random/);
    const frames = rest.split("\r").filter((frame) => frame.includes("classifying"));
    assert(frames.length > 0, screen);
    for (const frame of frames) {
      assertMatch(frame, /^classifying [█░]{30} [123]\/4 images *$/);
    }
    // blanks over the bar, then the error at the start of its line
    assertMatch(rest, /\r +\r\S*error:\S* gone\.png: no such file\r$/);
    assertEquals(last, "");
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

Deno.test({
  name: "a full disk is one error",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const outcome = await shell(`deno run --quiet -A ${shellQuote(cli)} -q ${args} > /dev/full`);
    assertMatch(theError(outcome, 1), /No space left on device/);
  },
});
