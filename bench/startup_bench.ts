/**
 * Start-up time: from `deno run` to the command's first result. Modules are in Deno's cache, and files
 * in the operating system's, as on every start except the first.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import denoJson from "../deno.json" with { type: "json" };
import { writeSafetensors } from "../mod.ts";
import { bundledNetwork } from "../src/models/bundled.ts";
import { entriesFor, measure, seed, type Suite } from "./lib/suite.ts";
import { createNetwork } from "./peers/network.ts";
import type { Peer, Work } from "./peers/peer.ts";

const defaultRounds = 7;

const pembroke: Peer = {
  name: "pembroke",
  version: denoJson.version,
  threads: 1, // not meaningful for a whole process
  dispose() {},
};

/** Arguments that classify a photo of the tests. */
const classify = [
  "-A",
  fileURLToPath(new URL("../cli.ts", import.meta.url)),
  fileURLToPath(new URL("../tests/photos/rocket.jpg", import.meta.url)),
  "--jsonl",
];
const bundled = ["-m", bundledNetwork];
/** Lets Deno load modules when they are imported, instead of all that might be. */
const lazyImports = "--unstable-lazy-dynamic-imports";

export const startUp: Suite = {
  programs: [pembroke.name],
  async run({ options, skipped }) {
    const file = await Deno.makeTempFile({ suffix: ".safetensors" });
    const program = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await writeWeights(file);
      await Deno.writeTextFile(program, "console.log(1);\n");
      const section = "Start-up, from `deno run` to the first result";
      const tasks = [
        { name: "the bundled model", args: ["run", ...classify, ...bundled] },
        {
          name: "the bundled model, lazy imports",
          args: ["run", lazyImports, ...classify, ...bundled],
        },
        { name: "random weights", args: ["run", ...classify, "--random", "--seed", "1"] },
        { name: "weights from a file", args: ["run", ...classify, "--weights", file] },
        { name: "a program of one line", args: ["run", "-A", program] },
      ];
      const entries = await Promise.all(tasks.map(({ name, args }) => {
        const task = { section, name, process: true };
        return entriesFor(task, [pembroke], () => firstLine(args), skipped);
      }));
      const rounds = options.rounds ?? defaultRounds;
      return await measure(entries.flat(), { label: "start-up", rounds, skipped });
    } finally {
      await Promise.all([file, program].map((path) => Deno.remove(path)));
    }
  },
};

async function writeWeights(file: string): Promise<void> {
  const { parameters } = await createNetwork("alexnet", seed);
  const bytes = writeSafetensors(
    [...parameters].map(([name, { shape, values }]) => {
      return { name, dtype: "F32", shape, data: values };
    }),
  );
  await Deno.writeFile(file, bytes);
}

/** Times a process until its first output, which is a number or a JSON result. */
function firstLine(args: string[]): Work {
  let stdout: string;
  return {
    async run() {
      const start = performance.now();
      const process = new Deno.Command(Deno.execPath(), {
        args,
        env: { NO_COLOR: "1" },
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const errors = new Response(process.stderr).text();
      let ms: number | undefined;
      stdout = "";
      for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
        ms ??= performance.now() - start;
        stdout += text;
      }
      const { success } = await process.status;
      if (!success || ms === undefined) throw new Error(await errors);
      return ms;
    },
    output() {
      const printed = JSON.parse(stdout);
      const predictions: { probability: number }[] = printed.predictions ?? [{ probability: 1 }];
      return Promise.resolve(Float32Array.from(predictions, ({ probability }) => probability));
    },
  };
}
