import { readArgs, readCommand } from "../../src/cli/args.ts";
import { shellQuote } from "../../src/cli/command_line.ts";
import { permissionLine } from "../../src/cli/permissions.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { cli, fixture, run, runSeveral, shell, TempFolder, theError } from "./run.ts";

const image = fixture("models/waves.png");
const windows = Deno.build.os === "windows";
const denied = (text: string) =>
  new Deno.errors.NotCapable(`Requires ${text}, run again with the --allow-x flag`);

/** The message for a command with random weights, or with weights from a file. */
function line(error: string, inputs: string[], weights?: string): string {
  const parsed = readArgs([weights === undefined ? "--random" : `--weights=${weights}`, ...inputs]);
  return permissionLine(denied(error), "https://x.test/cli.ts", inputs, parsed);
}

Deno.test("shellQuote() quotes only words with special characters", () => {
  for (const word of ["a.png", "--top-k=3", "./a/b_c", "https://x.test:80/a.png", "me@x+y,z"]) {
    assertEquals(shellQuote(word, "linux"), word);
  }
  assertEquals(
    ["", "a b", "*.png", "it's", "$HOME", "[::1]", "ü", "a\nb"].map((word) =>
      shellQuote(word, "linux")
    ),
    ["''", "'a b'", "'*.png'", `'it'\\''s'`, "'$HOME'", "'[::1]'", "'ü'", "'a\nb'"],
  );
  assertEquals(
    ["C:\\a\\b.png", "C:\\a b\\", '{"crop":227}', '\\"', "a,b", "*.png"].map((word) =>
      shellQuote(word, "windows")
    ),
    ["C:\\a\\b.png", '"C:\\a b\\\\"', '"{\\"crop\\":227}"', '"\\\\\\""', '"a,b"', '"*.png"'],
  );
});

Deno.test("permissionLine() lists exactly the permissions that the inputs need", () => {
  const command = "run: deno run";
  const script = "https://x.test/cli.ts";
  const read = 'read access to "a, b.png"', net = 'net access to "127.0.0.1:80"';
  assertEquals(
    line(read, ["a, b.png"]),
    `Requires read access to "a, b.png"; ${command} --allow-read ${script} ${
      shellQuote("a, b.png")
    }`,
  );
  assertMatch(line(net, ["http://127.0.0.1/x"]), / run --allow-net=127\.0\.0\.1 https/);
  assertMatch(
    line(net, ["http://127.0.0.1/x"], "w.pth"),
    / run --allow-read --allow-net=127\.0\.0\.1 https/,
  );
  assertMatch(
    line(read, ["a, b.png", "http://a.test:8000/x", "https://b.test/y", "http://a.test:8000/z"]),
    / run --allow-read "?--allow-net=a\.test:8000,b\.test"? https/,
  );
});

Deno.test("permissionLine() lets explain write its files", async () => {
  const parsed = await readCommand(["explain", "--random", "-o", "x", "-"]);
  const error = denied('write access to "x"');
  assertMatch(
    permissionLine(error, "https://x.test/cli.ts", [], parsed),
    / run --allow-read --allow-write https/,
  );
});

Deno.test("permissionLine() lets --features write its files, and --base be a URL", () => {
  const features = readArgs(["--features", "--random", "-o", "x.npy", "https://a.test/x"]);
  assertMatch(
    permissionLine(denied('read access to "x.npy"'), "https://x.test/cli.ts", [], features),
    / run --allow-read --allow-write --allow-net=a\.test https/,
  );
  const joined = readArgs(["a.png", "--weights=head.safetensors", "--base=https://b.test/x"]);
  assertMatch(
    permissionLine(denied('read access to "a.png"'), "https://x.test/cli.ts", [], joined),
    / run --allow-read --allow-net=b\.test https/,
  );
});

Deno.test("permissionLine() adds the host of a redirect", () => {
  assertMatch(
    line('net access to "cdn.test:443"', ["https://a.test/x"]),
    / run "?--allow-net=a\.test,cdn\.test"? https/,
  );
});

Deno.test("permissionLine() includes the bundled weights beside the script", () => {
  const flags = (script: string, inputs: string[]) =>
    / run: deno run (.*) \S*cli\.ts /.exec(
      permissionLine(denied('read access to "x"'), script, inputs, readArgs(inputs)),
    )?.[1];
  assertEquals(flags("file:///C:/me/cli.ts", ["-"]), "--allow-read");
  assertEquals(
    flags("file:///C:/me/cli.ts", ["https://a.test/x"]),
    "--allow-read --allow-net=a.test",
  );
  assertEquals(
    flags("https://x.test/cli.ts", ["a.png"]),
    "--allow-read --allow-net=x.test",
  );
  assertEquals(
    flags("https://x.test/cli.ts", ["https://a.test/x"]),
    shellQuote("--allow-net=a.test,x.test"),
  );
});

Deno.test("permissionLine() keeps what was granted", () => {
  const flags = (args: string[], granted: Record<string, readonly string[]>) => {
    const error = denied('read access to "a.png"'), grants = new Map(Object.entries(granted));
    const line = permissionLine(error, "file:///cli.ts", args, readArgs(args), grants);
    return / run: deno run (.*?) \S*cli\.ts /.exec(line)?.[1].replaceAll(/['"]/g, "");
  };
  const url = "https://a.test/x";
  assertEquals(flags(["a.png"], { env: [], read: [] }), "--allow-env --allow-read");
  assertEquals(flags(["a.png"], { net: [] }), "--allow-net --allow-read");
  assertEquals(
    flags(["a.png"], { env: ["HOME", "X"], read: ["/cache"], net: ["b.test"] }),
    "--allow-env=HOME,X --allow-read --allow-net=b.test",
  );
  assertEquals(flags(["a.png", url], { net: [] }), "--allow-read --allow-net");
  assertEquals(
    flags(["a.png", url], { net: ["b.test"] }),
    "--allow-read --allow-net=a.test,b.test",
  );
  assertEquals(flags(["a.png", url], { net: ["a.test"] }), "--allow-read --allow-net=a.test");
});

Deno.test("a missing permission keeps those that were given, also with limits", async () => {
  await using folder = await TempFolder.make();
  const cache = folder.path, args = ["gone.png"];
  const flagsOf = async (flags: readonly string[], env: Record<string, string> = {}) => {
    const outcome = await run(args, {
      flags: ["--no-prompt", ...flags],
      env: { PEMBROKE_CACHE: cache, ...env },
    });
    const [, line] = theError(outcome, 2).split("; run: deno run ");
    return line.replaceAll(/['"]/g, "").split(/ \S*cli\.ts /)[0];
  };
  const variables = "--allow-env=PEMBROKE_CACHE,HOME", host = "raw.githubusercontent.com";
  assertEquals(
    await flagsOf(["--allow-net", "--allow-env", "--allow-write"]),
    "--allow-env --allow-write --allow-net --allow-read",
  );
  assertEquals(
    await flagsOf([variables, `--allow-write=${cache}`, `--allow-net=${host},a.test`]),
    `${variables} --allow-write=${cache} --allow-net=${host} --allow-read`,
  );
  const mirror = "--allow-env=PEMBROKE_MIRROR";
  for (
    const [address, net] of [["https://b.test/x", "--allow-net=b.test "], ["b", ""], [
      "http://[",
      "",
    ]]
  ) {
    assertEquals(
      await flagsOf([mirror, "--allow-net=b.test"], { PEMBROKE_MIRROR: address }),
      `${mirror} ${net}--allow-read`,
    );
  }
});

Deno.test("permissionLine() lets serve listen, and models ask for the size of bundled weights", async () => {
  for (
    const [args, flags] of [
      [["serve"], "--allow-read --allow-net=127.0.0.1:8000"],
      [["serve", "--host=::1", "--port=9"], "--allow-read '--allow-net=[::1]:9'"],
      [["models"], "--allow-env --allow-read"],
    ] as const
  ) {
    const error = denied('read access to "x"'), parsed = await readCommand(args);
    const line = permissionLine(error, "file:///cli.ts", args, parsed);
    const quoted = windows ? flags.replaceAll("'", '"') : flags;
    assertEquals(line.split("; run: deno run ")[1].split(/ \S*cli\.ts /)[0], quoted);
  }
  const models = await readCommand(["models"]);
  assertMatch(
    permissionLine(denied('env access to "x"'), "https://x.test/cli.ts", ["models"], models),
    / --allow-env --allow-read --allow-net=x\.test https/,
  );
});

Deno.test("permissionLine() passes on other permissions", () => {
  assertMatch(line('sys access to "osRelease"', ["-"]), / run --allow-sys https/);
});

Deno.test("help, version and summary need no permissions", async () => {
  const commands = [["--help"], ["--version"], ["summary"], ["summary", "--json"]];
  for (const { code, stdout, stderr } of await runSeveral(commands, { flags: ["--no-prompt"] })) {
    assertEquals([code, stdout !== "", stderr], [0, true, ""]);
  }
});

Deno.test("standard input and random weights need no permissions", async () => {
  const stdin = await Deno.readFile(fixture("image/images/progressive.jpg"));
  const { code, stdout, stderr } = await run(["-q", "-m", "alexnet-tiny", "--random", "-"], {
    flags: ["--no-prompt"],
    stdin,
  });
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^-\n/);
});

Deno.test({
  name: "a missing permission prints the command line that works",
  ignore: windows, // quoted for POSIX shells
  fn: async () => {
    await using folder = await TempFolder.make();
    await folder.write("it's one.png", await Deno.readFile(image));
    await folder.write("two.webp", await Deno.readFile(fixture("image/images/lossy.webp")));
    const bytes = await Deno.readFile(image);
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      () => new Response(bytes),
    );
    const host = `127.0.0.1:${server.addr.port}`;
    const url = `http://${host}/a.png?b=c&d`;

    const args = ["-q", "-m", "alexnet-tiny", "-k", "1", "it's one.png", "*.webp", url];
    for (const flags of [[], ["--no-prompt"]]) {
      const error = theError(await run(args, { flags, cwd: folder.path }), 2);
      const [reason, command] = error.split("; run: ");
      assertEquals(reason, `Requires read access to "it's one.png"`);
      assert(command.startsWith(`deno run --allow-read --allow-net=${host} ${shellQuote(cli)} `));
      if (flags.length === 0) continue;

      const again = await shell(command, { cwd: folder.path });
      assertEquals([again.code, again.stderr], [0, ""]);
      const inputs = again.stdout.split("\n").filter((line) => /^\S/.test(line));
      assertEquals(inputs, ["it's one.png", "two.webp", url]);
    }
  },
});

Deno.test({
  name: "a missing network permission prints the command line that works, also after a redirect",
  ignore: windows,
  fn: async () => {
    const bytes = await Deno.readFile(image);
    const serve = (handler: () => Response) =>
      Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
    await using target = serve(() => new Response(bytes));
    await using server = serve(() => Response.redirect(`http://127.0.0.1:${target.addr.port}/`));
    const hosts = [server, target].map(({ addr }) => `127.0.0.1:${addr.port}`);

    const args = ["-q", "-m", "alexnet-tiny", "--random", `http://${hosts[0]}/`];
    const first = theError(await run(args, { flags: ["--no-prompt"] }), 2).split("; run: ")[1];
    assert(first.startsWith(`deno run --allow-net=${hosts[0]} `), first);
    const second = theError(await shell(first), 2).split("; run: ")[1];
    assert(second.startsWith(`deno run --allow-net=${hosts} `), second);
    assertEquals((await shell(second)).code, 0);
  },
});

Deno.test("a missing permission to write is reported before anything is computed", async () => {
  const commands = [
    ["learn", "gone", "-o", "out.safetensors"],
    ["quantize", "gone.pth", "-o", "out.safetensors"],
    ["evaluate", "gone", "--html", "out.html"],
    ["--features", "gone.png", "-o", "out.npy"],
  ];
  const flags = ["--no-prompt", "--allow-read", "--allow-env"];
  for (const outcome of await runSeveral(commands, { flags })) {
    const line = theError(outcome, 2);
    assertMatch(line, /^Requires write access to "out\./);
    assertMatch(line, /; run: deno run --allow-env --allow-read --allow-write /);
  }
});

Deno.test("a missing permission for the weights is reported as such", async () => {
  const args = ["-q", "--weights", fixture("weights/model.pth"), image];
  const error = theError(await run(args, { flags: [`--allow-read=${image}`] }), 2);
  assertMatch(error, /^Requires read access to ".*model\.pth"; run: deno run --allow-read /);
});
