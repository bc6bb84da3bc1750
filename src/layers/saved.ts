/**
 * What a forward pass in training mode saves for the backward pass.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";

/** Tensors, or the shape of the input. Each is returned once. */
export class Saved {
  #tensors: readonly { readonly tensor: Tensor; readonly version: number }[] | undefined;
  #shape: Shape | undefined;

  /** Saves tensors. */
  keep(tensors: readonly Tensor[]): void {
    this.#tensors = tensors.map((tensor) => ({ tensor, version: tensor.version }));
  }

  /** Saves the shape of the input. */
  keepShape(shape: Shape): void {
    this.#shape = shape;
  }

  /** Drops everything. */
  clear(): void {
    this.#tensors = this.#shape = undefined;
  }

  /** Returns the tensors. */
  take(type: string): readonly Tensor[] {
    const saved = this.#tensors ?? throwNotSaved(type);
    this.#tensors = undefined;
    return saved.map(({ tensor, version }) => {
      if (tensor.version === version) return tensor;
      throw new PembrokeError(
        `${type}: a tensor that backward() needs was overwritten after forward()`,
      );
    });
  }

  /** Returns the shape. */
  takeShape(type: string): Shape {
    const shape = this.#shape ?? throwNotSaved(type);
    this.#shape = undefined;
    return shape;
  }
}

function throwNotSaved(type: string): never {
  throw new PembrokeError(
    `${type}: backward() needs a forward pass in training mode; call train() first`,
  );
}
