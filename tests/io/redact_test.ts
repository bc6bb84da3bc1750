import { FileError } from "../../src/errors.ts";
import { download } from "../../src/io/download.ts";
import { redactUrl, redactUrls } from "../../src/io/redact.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";

Deno.test("redactUrls() hides user names and passwords", () => {
  const cases = [
    ["https://ada:secret@example.org/a.png", "https://***@example.org/a.png"],
    ["https://secret@example.org:8443/a?b=c@d", "https://***@example.org:8443/a?b=c@d"],
    ["HTTP://a:b%40c@x.test/", "HTTP://***@x.test/"],
    ["https://a:b@c@x.test/", "https://***@x.test/"],
    ["https://ada:sec/ret@x.test/a.png: no such file", "https://***@x.test/a.png: no such file"],
    [
      '{"url":"ftp://a:b@x.test/","b":"s3://c:d@e/"}',
      '{"url":"ftp://***@x.test/","b":"s3://***@e/"}',
    ],
    ["https:///ada:secret@x.test/a.png", "https:///***@x.test/a.png"],
    ["file:///a@b/c@1.png", "file:///a@b/c@1.png"],
    ["https://x.test/@scope/a@1.png", "https://x.test/@scope/a@1.png"],
    ["https://x.test/a.png mail@x.test", "https://x.test/a.png mail@x.test"],
    ["no URL", "no URL"],
  ];
  for (const [text, expected] of cases) assertEquals(redactUrls(text), expected);
});

Deno.test("redactUrl() works in browsers without URL.canParse()", () => {
  const { canParse } = URL;
  Object.assign(URL, { canParse: undefined });
  try {
    assertEquals(redactUrl("https://ada:a@x.test/b@1.png"), "https://***@x.test/b@1.png");
  } finally {
    Object.assign(URL, { canParse });
  }
});

Deno.test("redactUrls() takes linear time", () => {
  const start = performance.now(), dots = "a.".repeat(1e5), urls = "a://b ".repeat(1e5);
  assertEquals(redactUrls(`${dots}://a@b`), `${dots}://***@b`);
  assertEquals(redactUrls(urls), urls);
  assertEquals(redactUrls(`${"a://".repeat(1e5)}@`), "***");
  assert(performance.now() - start < 5000, "slow"); // 20 ms, unless the machine is busy
});

Deno.test("download() hides passwords that errors of fetch() repeat", async () => {
  for (const url of ["http://ada:secret@[x/", "http://ada:sec/ret@x.test/"]) {
    const error = await assertRejects(() => download(url, 1), FileError, "Invalid URL");
    assert(!/sec|ret/.test(Deno.inspect(error)), error.message);
  }
});
