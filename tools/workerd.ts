/**
 * Prints the path of Cloudflare's runtime: `deno run -A --lock=tools/deno.lock tools/workerd.ts`.
 *
 * @module
 */

import workerd from "npm:workerd@1.20261117.1";

console.log(workerd.default);
