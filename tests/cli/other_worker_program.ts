/** The command with another worker to decode images, its first argument. */

import { main } from "../../cli.ts";
import { replaceDecodeWorker } from "../image/threads/replace_worker.ts";

const [script, ...args] = Deno.args;
using _ = replaceDecodeWorker(new URL(script));
Deno.exit(await main(args));
