import { FollowedLinks } from "../../src/io/followed_links.ts";
import { assertEquals } from "../assert.ts";

/** Which of the folders are listed because links lead to them, one after the other. */
async function listed(start: string, ...folders: string[]): Promise<string[]> {
  const followed = new FollowedLinks(start, (path) => Promise.resolve(path));
  const added: string[] = [];
  for (const folder of folders) if (await followed.add(folder)) added.push(folder);
  for (const folder of folders) assertEquals(await followed.has(folder), added.includes(folder));
  return added;
}

Deno.test("a linked folder that is listed anyway is not listed twice, on any system", async () => {
  for (const root of ["/photos", "C:\\photos", "C:\\", "\\\\server\\photos"]) {
    const separator = root.startsWith("/") ? "/" : "\\", inside = `${root}${separator}a`;
    assertEquals(await listed(root, inside, root), []);
  }
  const elsewhere = ["D:\\a", "D:\\a\\b", "D:\\ab"];
  assertEquals(await listed("C:\\photos", ...elsewhere), ["D:\\a", "D:\\ab"]);
  // a backslash in a name
  assertEquals(await listed("/photos", "/photos\\a"), ["/photos\\a"]);
});
