/** How to start this command again, for help, hints and errors. */

import { envIfGranted, isGranted } from "./errors.ts";

/** The name of the weights that are downloaded if there are none: small, for ImageNet's 1000 classes. */
export const defaultName = "squeezenet";

/** The command that downloads weights. */
export function pullCommand(name: string): string {
  return `${commandLine()} pull ${name}`;
}

/** What starts this command: its own name if it is compiled or installed, or else Deno with its file. */
export function commandLine(): string {
  const { mainModule } = Deno;
  if (Deno.build.standalone) return Deno.execPath().replace(/^.*[/\\]|\.exe$/gi, "");
  const isHere = !mainModule.endsWith("/cli.ts") || mainModule === urlHere();
  return isHere ? "deno run -A cli.ts" : installedName() ?? `deno run -A ${mainModule}`;
}

/** The URL of cli.ts in the current folder. Without the permission to know that, this command's. */
function urlHere(): string {
  const { mainModule } = Deno;
  if (!mainModule.startsWith("file:") || !isGranted({ name: "read", path: "." })) return mainModule;
  const folder = Deno.cwd().replaceAll("\\", "/");
  return encodeURI(`file://${folder.startsWith("/") ? "" : "/"}${folder}/cli.ts`);
}

/** The most bytes of a script that `deno install` writes. */
const maxScriptBytes = 1 << 12;

/** The name under which `deno install` has installed this command, if that can be known. */
function installedName(): string | undefined {
  const home = envIfGranted("HOME") ?? envIfGranted("USERPROFILE");
  const root = envIfGranted("DENO_INSTALL_ROOT") || (home && `${home}/.deno`);
  if (!root) return undefined;
  const folder = `${root}/bin`;
  if (!isGranted({ name: "read", path: folder })) return undefined;
  try {
    for (const { name, isFile } of Deno.readDirSync(folder)) {
      const path = `${folder}/${name}`;
      if (!isFile || Deno.statSync(path).size > maxScriptBytes) continue;
      if (startsModule(Deno.readTextFileSync(path), Deno.mainModule)) {
        return name.replace(/\.cmd$/i, "");
      }
    }
  } catch {
    // there is no such folder, or a file in it cannot be read
  }
  return undefined;
}

/** Whether a script of `deno install` starts a module: its URL is quoted for a shell, or for Windows. */
export function startsModule(script: string, url: string): boolean {
  return script.includes(`'${url.replace(/['!]/g, "'\\$&'")}'`) ||
    script.includes(`"${url.replaceAll("%", "%%")}"`);
}
