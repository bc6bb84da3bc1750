/** Pulls alexnet-tiny from a URL into a folder: a process that a test can kill. */

import { pull } from "../../src/hub/mod.ts";
import { published } from "./models.ts";

const [url, folder] = Deno.args;
const { entry } = await published();
console.log("pulling");
const { cached } = await pull(entry(url), folder, { precision: "int8" });
console.log(cached ? "cached" : "pulled");
