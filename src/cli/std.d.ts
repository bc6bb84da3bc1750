// The part of deno std's fmt/colors module that the command uses; the npm mirror carries no types.
export function bold(text: string): string;
export function cyan(text: string): string;
export function dim(text: string): string;
export function red(text: string): string;
export function stripAnsiCode(text: string): string;
export function yellow(text: string): string;
