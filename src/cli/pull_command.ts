/** The command that downloads weights, for hints and errors. */

/** The name of the weights that are downloaded if there are none: small, for ImageNet's 1000 classes. */
export const defaultName = "squeezenet";

/** The command that downloads weights. */
export function pullCommand(name: string): string {
  return `deno run -A ${script()} pull ${name}`;
}

/** The name of this command's file, or its URL. */
export function script(): string {
  return Deno.mainModule.startsWith("file:") ? "cli.ts" : Deno.mainModule;
}
