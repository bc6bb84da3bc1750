/** The command with another worker for decoding, whose URL is the first argument. */

import { main } from "../../cli.ts";
import { decodeWith } from "../image/threads/other_worker.ts";

const [script, ...args] = Deno.args;
using _ = decodeWith(new URL(script));
Deno.exit(await main(args));
