import type { ForwardOptions, Layer } from "../../src/layers/mod.ts";
import type { Tensor } from "../../src/tensor.ts";

/** Derives a class that overrides forward(). Its name is that of the layer after "Own". */
export function withOwnForward<T extends new (...args: never[]) => Layer>(
  base: T,
  finish: (y: Tensor, x: Tensor) => Tensor = (y) => y,
): T {
  // @ts-expect-error: TypeScript wants a mixin's base to take any arguments
  const own = class extends base {
    override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
      return finish((base.prototype as Layer).forward.call(this, x, options), x);
    }
  };
  return Object.defineProperty(own, "name", { value: `Own${base.name}` });
}
