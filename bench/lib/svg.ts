/**
 * The colours and shapes of charts.
 *
 * @module
 */

/** The shape of a program's marks. */
export type Shape = "circle" | "square" | "triangle" | "diamond";

/** The colours of charts. */
interface Palette {
  readonly paper: string;
  readonly line: string;
  readonly ink: string;
  readonly soft: string;
  readonly blue: string;
  readonly orange: string;
  readonly purple: string;
  readonly gray: string;
}

/** A colour of marks. */
export type Colour = "blue" | "orange" | "purple" | "gray";

const light: Palette = {
  paper: "#ffffff",
  line: "#d1d9e0",
  ink: "#1f2328",
  soft: "#59636e",
  blue: "#0969da",
  orange: "#d9690f",
  purple: "#8250df",
  gray: "#6e7781",
};

const dark: Palette = {
  paper: "#0d1117",
  line: "#3d444d",
  ink: "#f0f6fc",
  soft: "#9198a1",
  blue: "#4493f8",
  orange: "#f0883e",
  purple: "#a371f7",
  gray: "#9198a1",
};

const fontRules = `text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.small { font-size: 12px; }
.bold { font-weight: 600; }
.title { font-size: 18px; font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.mark { stroke-width: 1.5; }
.bar { stroke-width: 2; }`;

/** Without CSS variables, which not every SVG viewer supports. */
function rules({ paper, line, ink, soft, ...colours }: Palette): string {
  return [
    `.paper { fill: ${paper}; stroke: ${line}; } .line { stroke: ${line}; }`,
    `text { fill: ${ink}; } .soft { fill: ${soft}; }`,
    ...Object.entries(colours).map(([name, colour]) =>
      `.${name} { fill: ${colour}; stroke: ${colour}; } text.${name} { stroke: none; }`
    ),
    `.hollow { fill: ${paper}; }`,
  ].join("\n");
}

/** Returns an SVG document. It follows the viewer's light or dark mode. */
export function svgDocument(
  title: string,
  width: number,
  height: number,
  elements: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `height="${height}" role="img" aria-label="${escape(title)}">`,
    `<style>\n${fontRules}\n${rules(light)}`,
    `@media (prefers-color-scheme: dark) {\n${rules(dark)}\n}\n</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...elements,
    "</svg>\n",
  ].join("\n");
}

/** Text with its baseline at y. */
export function text(x: number, y: number, content: string, look = ""): string {
  return `<text x="${x}" y="${y}"${look ? ` class="${look}"` : ""}>${escape(content)}</text>`;
}

/** A line with a class. */
export function line(look: string, [x1, y1]: Point, [x2, y2]: Point): string {
  return `<line class="${look}" x1="${x1}" x2="${x2}" y1="${y1}" y2="${y2}"/>`;
}

/** A position in pixels. */
export type Point = readonly [x: number, y: number];

/** A mark around a point, with a label that viewers show on hover. */
export function mark(shape: Shape, look: string, point: Point, label = ""): string {
  const title = label && `<title>${escape(label)}</title>`;
  return `<path class="mark ${look}" d="M${point.join(" ")}${outlines[shape]}">${title}</path>`;
}

/** Paths relative to the middle of a mark. */
const outlines: Readonly<Record<Shape, string>> = {
  circle: "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z",
  square: "m-4 -4h8v8h-8Z",
  triangle: "m-5 4h10l-5 -9Z",
  diamond: "m-5 0l5 -5l5 5l-5 5Z",
};

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
