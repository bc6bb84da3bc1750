// Types of the parts of deno std that the command uses; the npm mirror has none.

// fmt/colors
export function bold(text: string): string;
export function cyan(text: string): string;
export function dim(text: string): string;
export function red(text: string): string;
export function stripAnsiCode(text: string): string;
export function yellow(text: string): string;
