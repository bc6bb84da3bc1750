/** The command that downloads weights, for hints and errors. */

import { isGranted } from "./errors.ts";

/** The name of the weights that are downloaded if there are none: small, for ImageNet's 1000 classes. */
export const defaultName = "squeezenet";

/** The command that downloads weights. */
export function pullCommand(name: string): string {
  return `deno run -A ${script()} pull ${name}`;
}

/** The name of this command's file, as seen from the current folder, or its URL. */
export function script(): string {
  const { mainModule } = Deno;
  if (!mainModule.startsWith("file:")) return mainModule;
  const isElsewhere = mainModule.endsWith("/cli.ts") && mainModule !== urlHere();
  return isElsewhere ? mainModule : "cli.ts";
}

/** The URL of cli.ts in the current folder. Without the permission to know that, this command's. */
function urlHere(): string {
  if (!isGranted({ name: "read", path: "." })) return Deno.mainModule;
  const folder = Deno.cwd().replaceAll("\\", "/");
  return encodeURI(`file://${folder.startsWith("/") ? "" : "/"}${folder}/cli.ts`);
}
