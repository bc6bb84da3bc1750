import { fileURLToPath } from "node:url";
import { assertEquals } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { needsRegistry } from "../needs.ts";
import { Server } from "../../bench/lib/server.ts";

const { missing } = await needsRegistry();
const root = fileURLToPath(new URL("../../", import.meta.url));

Deno.test({
  name: `the Containerfile copies everything that the server needs, and starts it${missing}`,
  ignore: missing !== "" || Deno.build.os === "windows", // has no cp
  fn: async () => {
    await using folder = await TempFolder.make();
    const cwd = `${folder.path}/pembroke`;
    await Deno.mkdir(cwd);
    const env = { DENO_DIR: `${folder.path}/cache`, NO_COLOR: "1" };
    const execute = async (command: string, args: string[]) => {
      const { code, stderr } = await new Deno.Command(command, { args, cwd, env }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
    };

    const text = await Deno.readTextFile(`${root}examples/Containerfile`);
    const start: string[] = [];
    for (const line of text.split("\n")) {
      const [instruction, ...words] = line.split(" ");
      if (instruction === "COPY") {
        const from = words.slice(0, -1).map((word) => `${root}${word}`);
        await execute("cp", ["-r", ...from, words.at(-1)!]);
      }
      if (instruction === "RUN") await execute(Deno.execPath(), words.slice(1));
      if (instruction === "CMD") start.push(...JSON.parse(words.join(" ")));
    }

    const args = [...start, "--port=0"].map((word) => word.replace("/pembroke", cwd));
    const listening = /listening on http:\/\/0\.0\.0\.0:(\d+)\//;
    await using server = await Server.start(Deno.execPath(), args, listening, { cwd, env });
    const body = await Deno.readFile(`${root}tests/photos/coffee.jpg`);
    const headers = { "content-type": "image/jpeg" };
    const response = await server.fetch("/", { method: "POST", body, headers });
    assertEquals((await response.json()).predictions[0].label, "espresso");
  },
});
