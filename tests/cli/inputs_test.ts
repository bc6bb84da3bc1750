import { pathToFileURL } from "node:url";
import { classFolders } from "../../src/cli/class_folders.ts";
import { filesIn, filesMatching } from "../../src/cli/files.ts";
import { findInputs } from "../../src/cli/inputs.ts";
import { readLabels } from "../../src/cli/labels.ts";
import { FileError } from "../../src/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { cli, fixture, run, TempFolder, theError } from "./run.ts";

const windows = Deno.build.os === "windows";

/** A folder with these files. */
async function folderWith(...names: string[]): Promise<TempFolder> {
  const folder = await TempFolder.make();
  for (const name of names) await folder.write(name, name.endsWith("/") ? "" : name);
  return folder;
}

const photos = [
  "b.png",
  "a/2.JPEG",
  "a/10.jpg",
  "a/deep/er/x.webp",
  "a/notes.txt",
  "c.gif",
  "é (1)/ß [x]+.bmp",
  ".hidden.png",
  ".thumbnails/b.png",
  "README.md",
];

const inputsOf = (argument: string) => Array.fromAsync(findInputs(argument));

async function names(folder: TempFolder, argument: string): Promise<string[]> {
  return (await inputsOf(argument)).map(({ name }) => name.replace(`${folder.path}/`, ""));
}

Deno.test("findInputs() finds the images in a folder and its subfolders, sorted, without hidden ones", async () => {
  await using folder = await folderWith(...photos);
  const images = ["a/10.jpg", "a/2.JPEG", "a/deep/er/x.webp", "b.png", "c.gif", "é (1)/ß [x]+.bmp"];
  assertEquals(await names(folder, folder.path), images);
  assertEquals(await names(folder, `${folder.path}/`), images);
  assertEquals(await names(folder, `${folder.path}/a`), images.slice(0, 3));
});

Deno.test("findInputs() yields an error for a folder without images", async () => {
  await using folder = await folderWith("a/notes.txt");
  const [input] = await inputsOf(folder.path);
  const { message } = await assertRejects(() => input.read(), FileError);
  assertEquals(
    message,
    `${folder.path}: no images in this folder (JPEG, PNG, WebP, GIF, BMP)`,
  );
});

Deno.test("findInputs() matches patterns as a shell does", async () => {
  await using folder = await folderWith(...photos);
  const match = (pattern: string) => names(folder, `${folder.path}/${pattern}`);
  assertEquals(await match("*.png"), ["b.png"]);
  assertEquals(await match("[bc].*"), ["b.png", "c.gif"]);
  assertEquals(await match("a/?.JPEG"), ["a/2.JPEG"]);
  assertEquals(await match("*/*.{jpg,JPEG}"), ["a/10.jpg", "a/2.JPEG"]);
  assertEquals(await match("{a/deep,a}/**/x.*"), ["a/deep/er/x.webp"]);
  assertEquals(await match("**/*.{webp,png}"), ["a/deep/er/x.webp", "b.png"]);
  assertEquals(await match("é (1)/*.bmp"), ["é (1)/ß [x]+.bmp"]);
  assertEquals(await match(".h*"), [".hidden.png"]);
  assertEquals(await match("*"), ["README.md", "b.png", "c.gif"]);
});

Deno.test("filesMatching() takes backslashes and any case on Windows", async () => {
  await using folder = await folderWith("a/IMG_1.JPG", "a/b/2.jpg", "a/c.png");
  const paths = async (pattern: string, os: typeof Deno.build.os) =>
    (await Array.fromAsync(filesMatching(`${folder.path}/${pattern}`, os)))
      .map(({ path }) => path.slice(folder.path.length + 1));
  assertEquals(await paths("a/*.jpg", "windows"), ["a/IMG_1.JPG"]);
  assertEquals(await paths("A*\\*.jpg", "windows"), ["a/IMG_1.JPG"]);
  assertEquals(await paths("**\\*.jpg", "windows"), ["a/IMG_1.JPG", "a/b/2.jpg"]);
  assertEquals(await paths("**/*.jpg", "linux"), ["a/b/2.jpg"]);
});

Deno.test("findInputs() prefers an existing file over a pattern", async () => {
  await using folder = await folderWith("[a].png", "a.png");
  assertEquals(await names(folder, `${folder.path}/[a].png`), ["[a].png"]);
});

Deno.test("findInputs() yields an error for a pattern that matches nothing", async () => {
  await using folder = await folderWith("a.png");
  const [input] = await inputsOf(`${folder.path}/*.jpg`);
  const { message } = await assertRejects(() => input.read(), FileError);
  assertEquals(message, `${folder.path}/*.jpg: no file matches`);
});

Deno.test("findInputs() yields an error for a wrong pattern", async () => {
  const [input] = await inputsOf("[z-a].png");
  await assertRejects(() => input.read(), FileError, "[z-a].png: is not a valid pattern");
});

Deno.test("filesMatching() and filesIn() list no more levels than needed", async () => {
  await using folder = await folderWith("a/b/c/d.png", "a/b.png");
  const paths = async (pattern: string) =>
    (await Array.fromAsync(filesMatching(`${folder.path}/${pattern}`))).map(({ path }) => path);
  assertEquals(await paths("*/*.png"), [`${folder.path}/a/b.png`]);
  assertEquals(await Array.fromAsync(filesIn(folder.path, { depth: 1 })), []);
});

Deno.test({
  name: "findInputs() follows links to files and folders, without loops, and reports broken links",
  ignore: windows, // links need a privilege there
  fn: async () => {
    await using folder = await folderWith("real/a.png");
    await Deno.symlink(folder.path, `${folder.path}/real/loop`);
    await Deno.symlink("a.png", `${folder.path}/real/b.png`);
    await Deno.symlink("gone", `${folder.path}/real/c.png`);
    const [a, b, c, ...more] = await inputsOf(folder.path);
    assertEquals(more, []);
    assertEquals(await b.read(), await a.read());
    const { message } = await assertRejects(() => c.read(), FileError);
    assertEquals(message, `${folder.path}/real/c.png: no such file`);

    // another folder, which leads back, and is linked twice
    await using other = await folderWith("x/d.png", "e.png");
    await Deno.symlink(other.path, `${folder.path}/linked`);
    await Deno.symlink(`${other.path}/x`, `${folder.path}/part`);
    await Deno.symlink(folder.path, `${other.path}/x/back`);
    assertEquals(await names(folder, folder.path), [
      "linked/e.png",
      "linked/x/d.png",
      "real/a.png",
      "real/b.png",
      "real/c.png",
    ]);
  },
});

Deno.test({
  name: "findInputs() lists a folder once that a link leads around",
  ignore: windows,
  fn: async () => {
    await using folder = await folderWith("top/photos/a.png", "top/b.png");
    await Deno.symlink("..", `${folder.path}/top/photos/up`);
    assertEquals(await names(folder, `${folder.path}/top/photos`), [
      "top/photos/a.png",
      "top/photos/up/b.png",
    ]);
  },
});

Deno.test("findInputs() finds images by all their extensions, and counts other files", async () => {
  const images = ["a.jfif", "b.JPE", "c.mpo", "d.apng", "e.jpeg", "f.jpg", "g.png"];
  await using folder = await folderWith(...images, "notes.txt", "x/README", "x/.hidden");
  let skipped = 0;
  const inputs = await Array.fromAsync(findInputs(folder.path, () => skipped++));
  assertEquals(inputs.map(({ name }) => name.slice(folder.path.length + 1)), images);
  assertEquals(skipped, 2);
});

Deno.test("findInputs() accepts data URLs, with short names", async () => {
  const [base64] = await inputsOf("data:image/png;base64,aGk=");
  assertEquals(new TextDecoder().decode(await base64.read()), "hi");
  assertMatch(base64.name, /^data:image\/png \(26 characters, [\da-f]{8}\)$/);
  const [text] = await inputsOf("data:,a%20b");
  assertEquals(new TextDecoder().decode(await text.read()), "a b");
  const [bad] = await inputsOf("data:image/png;base64,%%%");
  await assertRejects(() => bad.read(), FileError, "is not a valid data URL");
});

Deno.test("findInputs() shows no password", async () => {
  for (const scheme of ["http", "ftp"]) {
    const [input] = await inputsOf(`${scheme}://ada:secret@127.0.0.1:9/a.png`);
    const { message } = await assertRejects(() => input.read(), FileError);
    assertEquals(`${input.name} ${message}`.includes("secret"), false, message);
  }
});

Deno.test("findInputs() rejects other URL schemes", async () => {
  const [input] = await inputsOf("ftp://example.org/cat.jpg");
  await assertRejects(
    () => input.read(),
    FileError,
    "unsupported URL, must be http, https or file",
  );
  for (const url of ["http://", "https://a b/cat.jpg"]) {
    const [input] = await inputsOf(url);
    await assertRejects(() => input.read(), FileError, `${url}: is not a valid URL`);
  }
});

Deno.test("weights and files of results at wrong URLs are one error", async () => {
  for (const url of ["s3://a/b", "http://", "file:///%zz", "file:///a%2Fb"]) {
    for (const option of ["--weights", "--resume"]) {
      const line = theError(await run([option, url, "a.png"]), 1);
      assert(line.startsWith(`${url}: `), line);
    }
  }
});

Deno.test("a name that is not UTF-8 is reported as such", async () => {
  const [input] = await inputsOf("caf\ufffd.png");
  const line = "caf\ufffd.png: no such file; if its name is not UTF-8, rename it";
  await assertRejects(() => input.read(), FileError, line);
});

Deno.test("findInputs() accepts file URLs", async () => {
  await using folder = await folderWith("é 1.png");
  const path = `${folder.path}/é 1.png`;
  const [input] = await inputsOf(pathToFileURL(path).href);
  assertEquals(new TextDecoder().decode(await input.read()), "é 1.png");
  const [short] = await inputsOf(pathToFileURL(path).href.replace("file://", "file:"));
  assertEquals(new TextDecoder().decode(await short.read()), "é 1.png");
  const [bad] = await inputsOf("file:///%00.png");
  await assertRejects(() => bad.read(), FileError, "file:///%00.png: ");
});

Deno.test({
  name: "an endless input fails at 256 MiB",
  ignore: windows,
  fn: async () => {
    const [input] = await inputsOf("/dev/zero");
    await assertRejects(() => input.read(), FileError, "/dev/zero: larger than 256 MiB");
  },
});

Deno.test({
  name: "pipes, sockets and devices are not read, except those of the process",
  ignore: windows,
  fn: async () => {
    await using folder = await folderWith("ok/bee/1.png");
    const pipe = `${folder.path}/ok/bee/pipe.jpg`, socket = `${folder.path}/socket.jpg`;
    const device = `${folder.path}/device.jpg`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    await Deno.symlink("/dev/null", device);
    using _ = Deno.listen({ transport: "unix", path: socket });
    const reason = "is a pipe, a socket or a device; must be a file";
    const folders = await classFolders(`${folder.path}/ok`);
    const photo = folders.photos.find(({ name }) => name === pipe)!;
    for (const input of [photo, ...await inputsOf(socket), ...await inputsOf(device)]) {
      await assertRejects(() => input.read(), FileError, `${input.name}: ${reason}`);
    }
    await assertRejects(() => readLabels(pipe), FileError, `${pipe}: ${reason}`);
    const shell = (command: string) => new Deno.Command("bash", { args: ["-c", command] }).output();
    const line = [Deno.execPath(), "run", "-A", cli, "-q", "--json", "-m", "resnet-tiny"].join(" ");
    const png = fixture("models/waves.png");
    for (const command of [`cat ${png} | ${line} /dev/stdin`, `${line} <(cat ${png})`]) {
      const { code, stderr } = await shell(command);
      assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    }
  },
});

Deno.test("a file larger than 256 MiB is not read", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("large.png", "");
  await Deno.truncate(path, 2 ** 28 + 1); // sparse
  const [input] = await inputsOf(path);
  const { external } = Deno.memoryUsage();
  await assertRejects(() => input.read(), FileError, "large.png: larger than 256 MiB");
  assertEquals(Deno.memoryUsage().external - external < 2 ** 26, true);
});
