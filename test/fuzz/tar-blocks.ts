/** Where the parts of a tar are, for mutations that leave it a tar: fields of headers, and extension headers' records. */
import { encodePax } from "../support/tar-builder.ts";

export const BLOCK = 512;

/** Offset and width, and whether it is a number. */
export const FIELDS: readonly (readonly [offset: number, width: number, number: boolean])[] = [
  [0, 100, false],
  [100, 8, true],
  [108, 8, true],
  [116, 8, true],
  [124, 12, true],
  [136, 12, true],
  [156, 1, false],
  [157, 100, false],
  [257, 8, false],
  [329, 8, true],
  [337, 8, true],
  [345, 155, false],
  // GNU: pieces of a sparse file, whether there are more, and its size
  [386, 12, true],
  [398, 12, true],
  [410, 12, true],
  [422, 12, true],
  [482, 1, false],
  [483, 12, true],
];

/** Offsets of blocks that are headers by their checksum. */
export function headersOf(tar: Buffer): number[] {
  const headers: number[] = [];
  for (let at = 0; at + BLOCK <= tar.length; at += BLOCK) {
    if (tar[at + 148] !== 0 && Number.parseInt(tar.toString("latin1", at + 148, at + 154), 8) === sumOf(tar, at))
      headers.push(at);
  }
  return headers;
}

/** The checksum that the header at `at` should have, written there. */
export function mend(tar: Buffer, at: number): void {
  if (at + BLOCK <= tar.length) tar.write(`${sumOf(tar, at).toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
}

function sumOf(tar: Buffer, at: number): number {
  let sum = 8 * 0x20;
  for (let index = at; index < at + BLOCK; index += 1)
    if (index < at + 148 || index >= at + 156) sum += tar[index] as number;
  return sum;
}

/** `tar` with the body of the extension header at `at` replaced, its size and checksum mended. */
export function withBody(tar: Buffer, at: number, body: Buffer): Buffer {
  const size = Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8) || 0;
  const header = Buffer.from(tar.subarray(at, at + BLOCK));
  header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  mend(header, 0);
  const padding = Buffer.alloc(-body.length & (BLOCK - 1));
  const rest = tar.subarray(at + BLOCK + size + (-size & (BLOCK - 1)));
  return Buffer.concat([tar.subarray(0, at), header, body, padding, rest]);
}

/** The body of the extension header at `at`. */
export function bodyAt(tar: Buffer, at: number): Buffer {
  const size = Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8) || 0;
  return tar.subarray(at + BLOCK, Math.min(at + BLOCK + size, at + BLOCK + 65_536));
}

/** The records of a PAX header, as far as they can be told; those that are malformed as one without a key. */
export function recordsOf(body: Buffer): (readonly [key: string, value: string])[] {
  let text = body.toString("latin1");
  const records: (readonly [string, string])[] = [];
  while (text !== "") {
    const match = /^([0-9]{1,6}) ([^=]*)=/.exec(text);
    const length = Number(match?.[1] ?? 0);
    if (match === null || length <= match[0].length) return [...records, ["", text]];
    records.push([match[2] as string, text.slice(match[0].length, length - 1)]);
    text = text.slice(length);
  }
  return records;
}

/** One after the other, also of one key; one without a key as it stands. */
export function encodeRecords(records: readonly (readonly [key: string, value: string])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) =>
      key === "" ? Buffer.from(value, "latin1") : encodePax({ [key]: Buffer.from(value, "latin1") }),
    ),
  );
}
