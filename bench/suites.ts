/**
 * The suites, with all libraries that they run.
 *
 * @module
 */

import { alexnet } from "./alexnet_bench.ts";
import { algorithms } from "./algorithms_bench.ts";
import { chromium } from "./chromium_bench.ts";
import { conv } from "./conv_bench.ts";
import type { Suite } from "./lib/suite.ts";
import { networks } from "./networks_bench.ts";
import { startUp } from "./startup_bench.ts";
import { training } from "./training_bench.ts";
import { webgpu } from "./webgpu_bench.ts";

/** All suites by name. */
export const suites: Readonly<Record<string, Suite>> = {
  networks,
  chromium,
  alexnet,
  training,
  conv,
  algorithms,
  "start-up": startUp,
  webgpu,
};
