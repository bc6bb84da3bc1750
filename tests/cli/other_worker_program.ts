/** The command with another worker for decoding, whose URL is the first argument. */

import { main } from "../../cli.ts";
import { replaceDecodeWorker } from "../image/threads/replace_worker.ts";

const [script, ...args] = Deno.args;
using _ = replaceDecodeWorker(new URL(script));
Deno.exit(await main(args));
