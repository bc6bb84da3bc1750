/** Compares ten steps of each optimiser on a small problem with torch.optim. */

import { kernelsOf } from "../../src/backend/interface.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

interface Options {
  readonly lr: number;
  readonly weight_decay: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly betas: readonly [number, number];
  readonly eps: number;
}

interface Goldens {
  readonly w: readonly number[];
  readonly a: readonly number[];
  readonly c: readonly number[];
  readonly runs: readonly {
    readonly optimizer: "SGD" | "AdamW";
    readonly options: Options;
    readonly steps: readonly (readonly number[])[];
  }[];
}

const url = new URL("../fixtures/optimizers/goldens.json", import.meta.url);
const { w: start, a, c, runs }: Goldens = JSON.parse(Deno.readTextFileSync(url));

for (const { optimizer, options, steps } of runs) {
  const { lr, weight_decay: weightDecay, momentum, nesterov, betas, eps } = options;
  testOnEveryBackend(
    `${optimizer} takes torch.optim's steps with ${JSON.stringify(options)}`,
    async (backend) => {
      assertEquals(steps.length, 10);
      using w = backend.upload(start, [start.length]);
      using first = backend.upload(Array(start.length).fill(0), [start.length]);
      using second = backend.upload(Array(start.length).fill(0), [start.length]);
      for (let t = 1; t <= steps.length; t++) {
        const gradient = [...await w.read()].map((v, i) => c[i] * (v - a[i]) - Math.sin(v));
        using dw = backend.upload(gradient, [start.length]);
        if (optimizer === "SGD") {
          const step = { lr, momentum, weightDecay, nesterov };
          kernelsOf(backend).sgdStep(w, dw, momentum === 0 ? null : first, step);
        } else {
          const [beta1, beta2] = betas;
          kernelsOf(backend).adamwStep(w, dw, first, second, {
            shrink: 1 - lr * weightDecay,
            beta1,
            rest1: 1 - beta1,
            beta2,
            rest2: 1 - beta2,
            step: lr / (1 - beta1 ** t),
            root: Math.sqrt(1 - beta2 ** t),
            eps,
          });
        }
        // float32 weights up to 2: one rounding per step
        assertAllClose(await w.read(), steps[t - 1], { abs: t * 2 ** -22, name: `step ${t}` });
      }
    },
  );
}
