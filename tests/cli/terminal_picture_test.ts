import { nearestOf256, pictureFormat, pictureText } from "../../src/cli/terminal_picture.ts";
import { sixels } from "../../src/cli/sixel.ts";
import { decodeImage } from "../../src/image/decode.ts";
import type { RgbImage } from "../../src/image/pixels.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";

/** Two rows of three pixels: red, green, blue; black, white, grey. */
const flag: RgbImage = {
  width: 3,
  height: 2,
  // deno-fmt-ignore
  data: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 128, 128, 128),
};

Deno.test("the format is the best one that the environment names", () => {
  const format = (variables: Record<string, string>) => pictureFormat((name) => variables[name]);
  const truecolor = { COLORTERM: "truecolor" };
  assertEquals(format({}), "256");
  assertEquals(format({ TERM: "xterm-256color", COLORTERM: "yes" }), "256");
  assertEquals(format({ ...truecolor, TERM: "xterm-256color" }), "truecolor");
  assertEquals(format({ COLORTERM: "24bit" }), "truecolor");
  assertEquals(format({ ...truecolor, KITTY_WINDOW_ID: "1" }), "kitty");
  assertEquals(format({ TERM: "xterm-kitty" }), "kitty");
  assertEquals(format({ TERM_PROGRAM: "WezTerm" }), "kitty");
  assertEquals(format({ TERM: "foot" }), "sixel");
  assertEquals(format({ TERM: "mlterm-256color" }), "sixel");
  // a multiplexer inside
  assertEquals(format({ ...truecolor, KITTY_WINDOW_ID: "1", TERM: "screen" }), "truecolor");
  assertEquals(format({ KITTY_WINDOW_ID: "1", TERM_PROGRAM: "tmux" }), "256");
});

Deno.test("half blocks have two pixels each, in 24-bit or the nearest of 256 colours", async () => {
  assertEquals(
    await pictureText([flag], "truecolor", 80),
    "\x1b[38;2;255;0;0m\x1b[48;2;0;0;0m▀\x1b[38;2;0;255;0m\x1b[48;2;255;255;255m▀" +
      "\x1b[38;2;0;0;255m\x1b[48;2;128;128;128m▀\x1b[0m",
  );
  assertEquals(
    await pictureText([flag], "256", 80),
    "\x1b[38;5;196m\x1b[48;5;16m▀\x1b[38;5;46m\x1b[48;5;231m▀\x1b[38;5;21m\x1b[48;5;244m▀\x1b[0m",
  );
});

Deno.test("nearestOf256() finds the nearest colour", () => {
  const levels = [0, 95, 135, 175, 215, 255];
  const palette = [
    ...Array.from({ length: 216 }, (_, i) => [36, 6, 1].map((n) => levels[Math.floor(i / n) % 6])),
    ...Array.from({ length: 24 }, (_, i) => Array(3).fill(8 + 10 * i)),
  ];
  const distance = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);
  for (let i = 0; i < 500; i++) {
    const color = [i * 37 % 256, i * 91 % 256, i % 3 === 0 ? i * 37 % 256 : i * 13 % 256];
    const found = palette[nearestOf256(color[0], color[1], color[2]) - 16];
    const least = Math.min(...palette.map((other) => distance(color, other)));
    assertEquals(distance(color, found), least, color.join());
  }
});

Deno.test("pictures are side by side, and fit into the columns", async () => {
  const wide = { width: 400, height: 100, data: new Uint8Array(400 * 100 * 3).fill(9) };
  const text = await pictureText([wide, wide], "truecolor", 61);
  // deno-lint-ignore no-control-regex
  const lines = text.split("\n").map((line) => line.replace(/\x1b\[[\d;]*m/g, ""));
  assertEquals(new Set(lines), new Set(["▀".repeat(59)]));
  assertEquals(lines.length, 4); // 29 × 8 pixels
  const tall = { width: 10, height: 4000, data: new Uint8Array(10 * 4000 * 3) };
  assertEquals((await pictureText([tall], "256", 80)).split("\n").length, 30);
});

Deno.test("kitty gets a PNG in chunks of base64, without an answer", async () => {
  const noise = Uint8Array.from({ length: 90 * 80 * 3 }, (_, i) => (i * i * 31) >> 3);
  const text = await pictureText([{ width: 90, height: 80, data: noise }], "kitty", 80);
  // deno-lint-ignore no-control-regex
  const chunks = [...text.matchAll(/\x1b_G([^;]*);([^\x1b]*)\x1b\\/g)];
  assert(chunks.length > 1 && chunks.every(([, , data]) => data.length <= 4096));
  assertEquals(chunks.map(([all]) => all).join(""), text);
  assertEquals(chunks[0][1], "a=T,f=100,q=2,m=1");
  assertEquals(
    chunks.slice(1).map(([, keys]) => keys).join(),
    [
      ...Array(chunks.length - 2).fill("m=1"),
      "m=0",
    ].join(),
  );
  const image = await decodeImage(Uint8Array.fromBase64(chunks.map(([, , data]) => data).join("")));
  assertEquals([image.width, image.height, image.data], [90, 80, noise]);
});

Deno.test("sixel has close colours everywhere", () => {
  const width = 61, height = 32;
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % width, y = Math.floor(i / 3 / width);
    return [x * 4, y * 8, 255 - x * 4][i % 3];
  });
  const decoded = decodeSixels(sixels({ width, height, data }));
  assertEquals([decoded.width, decoded.height], [width, height]);
  // dots differ, but not the means of 8 × 8 pixels
  for (let top = 0; top + 8 <= height; top += 8) {
    for (let left = 0; left + 8 <= width; left += 8) {
      for (let c = 0; c < 3; c++) {
        const mean = (pixels: ArrayLike<number>) => {
          let sum = 0;
          for (let i = 0; i < 64; i++) {
            sum += pixels[((top + (i >> 3)) * width + left + i % 8) * 3 + c];
          }
          return sum / 64;
        };
        assert(Math.abs(mean(decoded.data) - mean(data)) < 12, `${left} ${top} ${c}`);
      }
    }
  }
});

/** Decodes sixels that start with their size. */
function decodeSixels(text: string): RgbImage {
  // deno-lint-ignore no-control-regex
  const [, sizes, body] = /^\x1bP0;1q"1;1;(\d+;\d+)(.*)\x1b\\$/.exec(text)!;
  const [width, height] = sizes.split(";").map(Number);
  const data = new Uint8Array(width * height * 3), colors = new Map<string, number[]>();
  let x = 0, y = 0, color: number[] = [];
  for (
    const [token, index, percents, count, mask] of body.matchAll(
      /#(\d+)(?:;2;([\d;]+))?|(?:!(\d+))?([?-~])|\$|-/g,
    )
  ) {
    if (token === "$") x = 0;
    else if (token === "-") [x, y] = [0, y + 6];
    else if (percents) {
      colors.set(
        index,
        percents.split(";").map((p) => Math.round(Number(p) * 2.55)),
      );
    } else if (index) color = colors.get(index)!;
    else {
      for (let n = Number(count ?? 1); n > 0; n--, x++) {
        for (let row = 0; row < 6; row++) {
          if (mask.charCodeAt(0) - 63 >> row & 1) data.set(color, ((y + row) * width + x) * 3);
        }
      }
    }
  }
  assertMatch(body, /^#/);
  return { width, height, data };
}
