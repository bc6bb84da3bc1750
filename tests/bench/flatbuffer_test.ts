import { assertEquals } from "../assert.ts";
import { blob, flatbuffer, integers, table, tables, text } from "../../bench/peers/flatbuffer.ts";

Deno.test("flatbuffer() writes what a reader of the format finds", () => {
  const children = [table([undefined, 5]), table([text("abc"), blob(Float32Array.of(1.5, -2))])];
  const bytes = flatbuffer("TEST", table([-3, undefined, tables(children), integers([7, -8])]));
  const view = new DataView(bytes.buffer), read = (at: number) => view.getInt32(at, true);
  /** Follows an offset. */
  const follow = (at: number) => at + view.getUint32(at, true);
  /** The position of a table's field, or undefined. */
  const field = (table: number, index: number) => {
    const vtable = table - read(table);
    if (4 + 2 * index >= view.getUint16(vtable, true)) return undefined;
    const offset = view.getUint16(vtable + 4 + 2 * index, true);
    return offset === 0 ? undefined : table + offset;
  };
  const bytesAt = (vector: number) => bytes.subarray(vector + 4, vector + 4 + read(vector));

  assertEquals(new TextDecoder().decode(bytes.subarray(4, 8)), "TEST");
  const root = follow(0);
  assertEquals([0, 1, 4].map((i) => field(root, i) && read(field(root, i)!)), [
    -3,
    undefined,
    undefined,
  ]);
  const list = follow(field(root, 2)!), numbers = follow(field(root, 3)!);
  assertEquals([read(numbers), read(numbers + 4), read(numbers + 8)], [2, 7, -8]);
  assertEquals(read(list), 2);
  const first = follow(list + 4), second = follow(list + 8);
  assertEquals([field(first, 0), read(field(first, 1)!)], [undefined, 5]);
  const name = follow(field(second, 0)!), values = follow(field(second, 1)!);
  assertEquals(new TextDecoder().decode(bytesAt(name)), "abc");
  assertEquals(bytes[name + 4 + 3], 0); // strings end with a zero
  assertEquals((values + 4) % 16, 0);
  assertEquals([...new Float32Array(bytesAt(values).slice().buffer)], [1.5, -2]);
});
