/** An AlexNet in 8 bits whose weights are noise, as the file that `convert` makes. */

import { AlexNet } from "../../mod.ts";
import { parameterShapes } from "../../src/layers/layer.ts";
import { elements } from "../../src/tensor.ts";
import { scaleName } from "../../src/weights/quantized.ts";
import { layOut } from "../../src/weights/safetensors_writer.ts";

/** The bytes of the file, 61 MB. */
export function noisyAlexNet(): Uint8Array<ArrayBuffer> {
  const weights = [...parameterShapes(new AlexNet())].map(([name, shape]) => ({
    name,
    shape,
    dtype: shape.length > 1 ? "I8" as const : "F32" as const,
  }));
  const scaled = weights.filter(({ dtype }) => dtype === "I8");
  const scales = scaled.map(({ name, shape }) => ({
    name: scaleName(name),
    shape: [shape[0]],
    dtype: "F32" as const,
  }));
  const { header, places, size } = layOut([...weights, ...scales]);
  const bytes = new Uint8Array(size); // biases stay 0
  bytes.set(header);
  let seed = 1;
  for (const { name, shape } of scaled) {
    const start = places.get(name)!, count = elements(shape);
    for (let i = 0; i < count; i++) {
      seed = Math.imul(seed, 1664525) + 1013904223 | 0;
      bytes[start + i] = seed >>> 24;
    }
    const scale = Math.sqrt(6 * shape[0] / count) / 128;
    new Float32Array(bytes.buffer, places.get(scaleName(name)), shape[0]).fill(scale);
  }
  return bytes;
}
