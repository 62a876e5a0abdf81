/**
 * Numbers of tar headers: octal digits (POSIX ustar), base-256 (GNU, star), and decimal ones of PAX records. What is none
 * gives NaN, and the caller says of which field and entry.
 */

const BLANK = 0x20;
const ZERO = 0x30;
const NINE = 0x39;

/** A numeric field of a header. Beyond 2^53 it is only about the number that is written. */
export function parseNumber(block: Uint8Array, offset: number, width: number): number {
  return ((block[offset] as number) & 0x80) === 0 ? parseOctal(block, offset, width) : parse256(block, offset, width);
}

/**
 * Blanks and NULs may stand around the digits, a NUL ends them whatever follows, and nothing at all is zero: tars of all
 * ages have such fields. Anything else is no number.
 */
export function parseOctal(block: Uint8Array, offset: number, width: number): number {
  const end = offset + width;
  let at = offset;
  while (at < end && isPadding(block[at] as number)) at += 1;
  let value = 0;
  for (; at < end; at += 1) {
    const digit = (block[at] as number) - ZERO;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  if (block[at] === 0) return value;
  while (at < end && isPadding(block[at] as number)) at += 1;
  return at === end ? value : Number.NaN;
}

function isPadding(byte: number): boolean {
  return byte === BLANK || byte === 0;
}

/** Big-endian two's complement of all bits but the first, which says that it is this. */
function parse256(block: Uint8Array, offset: number, width: number): number {
  const negative = ((block[offset] as number) & 0x40) !== 0;
  const flip = negative ? 0xff : 0;
  let value = ((block[offset] as number) ^ flip) & 0x7f;
  for (let at = offset + 1; at < offset + width; at += 1) value = value * 256 + ((block[at] as number) ^ flip);
  return negative ? -value - 1 : value;
}

/** Digits and nothing else: no sign, no blanks, no exponent. */
export function parseDecimal(text: string): number {
  if (text === "" || text.length > 20) return Number.NaN;
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < ZERO || code > NINE) return Number.NaN;
    value = value * 10 + code - ZERO;
  }
  return value;
}

/** Whether it is a length or a place in a file that can be counted with. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
