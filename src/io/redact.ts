/**
 * Hides the passwords in URLs, and shortens data URLs, for messages.
 *
 * @module
 */

/**
 * Replaces the user name and password in a URL by `***`, and shortens a data URL to `data:…`. Other
 * text is unchanged.
 */
export function redactUrl(url: string): string {
  if (/^data:/i.test(url)) return "data:…";
  // Like fetch(), accept more than two slashes.
  const [scheme] = /^(https?:\/\/+|[a-z][a-z\d+.-]{0,30}:\/\/)/i.exec(url) ?? [];
  if (!scheme) return url;
  const end = url.slice(scheme.length).search(/[/?#]/);
  const authority = end < 0 ? url : url.slice(0, scheme.length + end);
  // A password with a slash makes the URL invalid, but must not be shown either.
  const secret = isUrl(url) ? authority : url;
  const at = secret.lastIndexOf("@");
  return at < scheme.length ? url : `${scheme}***@${url.slice(at + 1)}`;
}

/** As `URL.canParse()`, which Chrome 119 and Safari 16 lack. */
function isUrl(text: string): boolean {
  try {
    return Boolean(new URL(text));
  } catch {
    return false;
  }
}

/** Replaces the user name and password in every URL of a text by `***`. */
export function redactUrls(text: string): string {
  if (!text.includes("://")) return text;
  return text.replace(/[^\s"'<>]+/g, (word) => word.includes("@") ? redactWord(word) : word);
}

/** As {@linkcode redactUrl}, for a word that may have other text before its URLs. */
function redactWord(word: string): string {
  // Each part but the first follows a "://".
  const parts = word.split("://");
  if (parts.length > 100) return "***";
  let result = parts[0];
  for (const part of parts.slice(1)) {
    const [scheme] = /[a-z][a-z\d+.-]{0,30}$/i.exec(result.slice(-31)) ?? [];
    result = scheme === undefined
      ? `${result}://${part}`
      : result.slice(0, result.length - scheme.length) + redactUrl(`${scheme}://${part}`);
  }
  return result;
}
