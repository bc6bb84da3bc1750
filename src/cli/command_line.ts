/** How to start this command again, for help, hints and errors. */

import { envIfGranted, isGranted } from "./errors.ts";

/** The name of the weights that are downloaded if there are none: small, for ImageNet's 1000 classes. */
export const defaultName = "squeezenet";

/** The command that downloads weights. */
export function pullCommand(name: string): string {
  return `${commandLine()} pull ${name}`;
}

/**
 * What starts this command, quoted for a shell: its own name if it is compiled or installed, or else
 * Deno with its file.
 */
export function commandLine(): string {
  const { mainModule } = Deno;
  if (Deno.build.standalone) return shellQuote(Deno.execPath().replace(/^.*[/\\]|\.exe$/gi, ""));
  const isHere = !mainModule.endsWith("/cli.ts") || mainModule === urlHere();
  if (isHere) return "deno run -A cli.ts";
  const name = installedName();
  return name === undefined ? `deno run -A ${shellQuote(mainModule)}` : shellQuote(name);
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
  // bash and zsh tell the program that they start: with --root, it may be in any folder
  const started = envIfGranted("_");
  if (started && startsThis(started)) return nameOf(started);
  const home = envIfGranted("HOME") ?? envIfGranted("USERPROFILE");
  const root = envIfGranted("DENO_INSTALL_ROOT") || (home && `${home}/.deno`);
  const folder = `${root}/bin`;
  if (!root || !isGranted({ name: "read", path: folder })) return undefined;
  try {
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => `${folder}/${name}`);
    const script = names.find(startsThis);
    return script && nameOf(script);
  } catch {
    return undefined; // there is no such folder
  }
}

/** The name of an installed command, from the path of its script. */
function nameOf(path: string): string {
  return path.replace(/^.*[/\\]|\.cmd$/gi, "");
}

/** Whether a file is a script of `deno install` that starts this command. */
function startsThis(path: string): boolean {
  if (!isGranted({ name: "read", path })) return false;
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile && size <= maxScriptBytes &&
      startsModule(Deno.readTextFileSync(path), Deno.mainModule);
  } catch {
    return false; // the file cannot be read
  }
}

/** Whether a script of `deno install` starts a module: its URL is quoted for a shell, or for Windows. */
export function startsModule(script: string, url: string): boolean {
  return script.includes(`'${url.replace(/['!]/g, "'\\$&'")}'`) ||
    script.includes(`"${url.replaceAll("%", "%%")}"`);
}

/**
 * Quotes a word for a POSIX shell, if it needs quotes. On Windows, for PowerShell and cmd.
 *
 * @param os The operating system.
 */
export function shellQuote(word: string, os: typeof Deno.build.os = Deno.build.os): string {
  if (os === "windows") {
    if (/^[\w@+=:./\\-]+$/.test(word)) return word;
    // before a quote, \\ stands for one backslash
    const escaped = word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, "$&$&");
    return `"${escaped}"`;
  }
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
