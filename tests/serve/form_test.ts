import { assertEquals, assertMatch } from "../assert.ts";
import { photoReader } from "../../src/serve/body.ts";
import { RequestError } from "../../src/serve/request_error.ts";

const boundary = "x+1", end = `--${boundary}--\r\n`;
const file = 'Content-Disposition: form-data; name="photo"; filename="a.jpg"';
const text = 'Content-Disposition: form-data; name="note"';

const part = (head: string, body: string) => `--${boundary}\r\n${head}\r\n\r\n${body}\r\n`;

/** The text of the file in a form, or the error. */
function read(body: string, parameters = `boundary=${boundary}`): string {
  const headers = { "content-type": `multipart/form-data; ${parameters}` };
  const request = new Request("http://localhost", { method: "POST", headers });
  try {
    const bytes = photoReader(request)({ bytes: new TextEncoder().encode(body), release() {} });
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error.message;
  }
}

Deno.test("photoReader() reads forms as other servers do", () => {
  assertEquals(read(part(file, "one") + end), "one");
  assertEquals(read(part(file, "one") + end, `boundary="${boundary}"`), "one");
  assertEquals(read(part(file, "one") + end, `x="; boundary=a"; Boundary=${boundary}`), "one");
  assertEquals(read(`preamble\r\n${part(text, "t")}${part(file, "two")}${end}`), "two");
  const body = `x--${boundary}\r\n--x`;
  assertEquals(read(part(text, "") + part(file, body) + end), body);
  assertEquals(read(part(file, "") + end), "the photo is empty");
  const none = file.replace("a.jpg", "");
  assertEquals(read(part(none, "") + part(file, "two") + end), "two");
  assertEquals(read(part(none, "") + end), "the form has no file");
  assertEquals(read(part(none, "no name") + end), "no name");
  assertEquals(read(part(text, "t") + end), "the form has no file");
  assertEquals(read(end), "the form has no file");
  const cut = ["", "x", `--${boundary}`, part(file, "cut"), `--${boundary}\r\n${file}`];
  for (const body of [...cut, `--${boundary}\r\n\r\n`]) {
    assertMatch(read(body), /^(malformed form data|the photo is empty)$/);
  }
  assertEquals(read(end, "boundary="), "malformed form data");
  assertEquals(read(part(text, "").repeat(100) + part(file, "last") + end), "last");
  const many = part(text, "").repeat(50_000) + part(file, "last") + end;
  assertEquals(read(many), "the form has too many parts");
});

Deno.test("photoReader() tells files from fields", () => {
  const firstOf = (parameters: string) =>
    read(part(`Content-Disposition: form-data${parameters}`, "first") + part(file, "a.jpg") + end);
  for (
    const parameters of [
      '; name="p"; filename="a.jpg"',
      '; filename="a.jpg"; name="p"',
      ";name=p;filename=a.jpg",
      '; name="p"; FileName = "a.jpg"',
      "; name=\"p\"; filename*=UTF-8''a.jpg",
      '; name="p"; filename=""; filename*=UTF-8\'\'a.jpg',
      '; name="p"; filename="a.jpg', // no quote at the end
      '; name="a\\"b"; filename="a.jpg"',
      '; name="p"; filename="a\\".jpg"',
      '; name="p"; filename="a\u2028.jpg"',
      '; name="p";\r\n filename="a.jpg"',
      '; name="a; filename="; filename="a.jpg"',
    ]
  ) assertEquals(firstOf(parameters), "first", parameters);
  for (
    const parameters of [
      '; name="p"',
      '; name="a; filename=b"',
      '; name="a; filename=\\"b\\""',
      '; name="a\\"; filename=b"',
      '; name="a; FILENAME*=b"',
      '; name="a; filename=b', // no quote at the end
      "; name='filename'",
      "; name=filename",
      "; xfilename=b",
      "; filename",
      "",
    ]
  ) assertEquals(firstOf(parameters), "a.jpg", parameters);
  assertEquals(read(part("Content-Type: image/png", "first") + part(file, "a") + end), "a");
  const long = [";".repeat(16_000), '"'.repeat(16_000), "; a".repeat(5000), '; a="\\'.repeat(2500)];
  for (const parameters of long) assertEquals(firstOf(parameters), "a.jpg");
});
