/**
 * Hides passwords in URLs.
 *
 * @module
 */

/** Text in which the user name and password of every URL are replaced by `***`. */
export function redactUrls(text: string): string {
  return text.replace(/\b[a-z][a-z\d+.-]{0,30}:\/\/[^\s"'<>]*@[^\s"'<>]*/gi, (url) => {
    // A password with a slash makes the URL invalid, but must not be shown either.
    const secret = URL.canParse(url) ? /^([^:]+:\/\/)[^/?#]*@/ : /^([^:]+:\/\/).*@/;
    return url.replace(secret, "$1***@");
  });
}
