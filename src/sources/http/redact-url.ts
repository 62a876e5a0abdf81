/** URLs as they may appear in messages, events and logs: without user, password, query (signatures) and fragment. */

export function redactUrl(url: URL): string {
  const query = url.search === "" ? "" : "?…";
  return `${url.origin}${url.pathname}${query}`;
}
