/** Faults in the n-th call, for every n, during a run with --resume. */

import { assert, assertEquals, assertMatch } from "../assert.ts";
import { fixture, run, TempFolder } from "../cli/run.ts";
import { forEveryFault, type Kind, withFault } from "./inject.ts";

const photos = ["models/waves.png", "models/tiles.png"].map(fixture);

for (const kind of ["read", "write"] satisfies Kind[]) {
  Deno.test(`--resume ends with results or an error when the n-th ${kind} fails`, async () => {
    await forEveryFault(async (n) => {
      await using folder = await TempFolder.make();
      const out = await folder.write("out.jsonl", "");
      const args = ["-q", "-k", "1", "-m", "alexnet-tiny", "--resume", out, ...photos];
      let code = -1, stderr = "";
      const result = await withFault(kind, n, async () => ({ code, stderr } = await run(args)));
      assertEquals(result.error, undefined);
      const when = `${kind} ${n}: ${stderr}`;
      assert(code === 0 || code === 1, when);
      if (code === 1) assertMatch(stderr, /^error: [^\n]+\n(error: [^\n]+\n)*$/, when);
      assert(!stderr.includes("unexpected"), when);
      const names = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
      assertEquals(names, ["out.jsonl"], when);
      // the next run completes the file
      assertEquals((await run(args)).code, 0, when);
      const lines = (await Deno.readTextFile(out)).trimEnd().split("\n");
      const inputs = lines.map((line) => JSON.parse(line).input);
      assertEquals(inputs.sort(), [...photos].sort(), when);
      return result;
    });
  });
}
