/** Faults in the n-th call, for every n, during a pull. */

import { FileError } from "../../src/errors.ts";
import { modelPath, pull } from "../../src/hub/mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { equalBytes, testWeights } from "../hub/models.ts";
import { serveFile } from "../hub/server.ts";
import { forEveryFault, type Kind, withFault } from "./inject.ts";

const { bytes, entry } = await testWeights();

for (const kind of ["read", "write", "network"] satisfies Kind[]) {
  Deno.test(`pull() ends with the model or a typed error when the n-th ${kind} fails`, async () => {
    await using server = await serveFile(bytes);
    // rounding takes ten times as long as all the rest
    const options = { precision: "f32", backoffMs: 1 } as const;
    let expected = new Uint8Array(), calls = 0;
    {
      await using folder = await TempFolder.make();
      ({ calls } = await withFault(kind, Infinity, async () => {
        expected = await Deno.readFile((await pull(entry(server.url), folder.path, options)).path);
      }));
    }
    // of a long series of the same call, the first ones, the last ones and some others
    const step = (n: number) => n < 16 || n > calls - 4 || n % 50 === 0;
    const tested = await forEveryFault(async (n) => {
      if (!step(n)) return { calls: Infinity };
      await using folder = await TempFolder.make();
      const result = await withFault(kind, n, () => pull(entry(server.url), folder.path, options));
      const { error } = result;
      assert(error === undefined || error instanceof FileError, `${kind} ${n}: ${error}`);
      const names = () => Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
      const path = modelPath(folder.path, "tiny", "f32");
      if (!error) assert(equalBytes(await Deno.readFile(path), expected), `${kind} ${n}`);
      const leftovers = (await names()).filter((name) => !name.endsWith(".safetensors"));
      assertEquals(leftovers, [], `${kind} ${n}: ${error}`);
      // usable afterwards
      await pull(entry(server.url), folder.path, options);
      assert(equalBytes(await Deno.readFile(path), expected), `after ${kind} ${n}`);
      assertEquals(await names(), ["tiny-f32.safetensors"]);
      return result;
    });
    assert(tested > 5, `${tested} calls`);
  });
}
