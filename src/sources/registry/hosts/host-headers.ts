/** Headers that configuration adds to all requests to a host. They may be secrets: names are shown, values never. */
import { configInvalid } from "./config-document.ts";

/** RFC 9110, 5.1: a field name is a token. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$/;
/** RFC 9110, 5.5: visible characters, blanks and tabs. Anything else could begin another header. */
const VALUE = /^[\t\x20-\x7e]*$/;
/** They describe one message or one connection, which is not for configuration to say. */
const RESERVED = [
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** Several values of one name are joined as HTTP allows. Throws AppError `config-invalid`. */
export function parseHeaders(
  raw: Readonly<Record<string, string | readonly string[]>>,
  path: string,
  key: string,
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(raw)) {
    const lower = name.toLowerCase();
    const values = [value].flat();
    if (!NAME.test(name)) throw configInvalid(path, `${key}header has a name that no header can have`);
    if (RESERVED.includes(lower)) throw configInvalid(path, `${key}header.${name} cannot be set`);
    if (!values.every((each) => VALUE.test(each))) {
      throw configInvalid(path, `${key}header.${name} has a character that no header can have`);
    }
    headers[lower] = [...(headers[lower] === undefined ? [] : [headers[lower]]), ...values].join(", ");
  }
  return headers;
}
