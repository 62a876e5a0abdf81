import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { barProgress, lineProgress } from "../../../src/cli/progress.ts";
import type { RootwrightEvent } from "../../../src/events.ts";
import { digestOf } from "../../../store/index.ts";

const DIFF_ID = digestOf(Buffer.from("layer"));
const LAYER = { type: "layer", diffId: DIFF_ID, sizeBytes: 1000, index: 0, count: 1 } as const;
const EVENTS: readonly RootwrightEvent[] = [
  { type: "request", method: "GET", url: "http://127.0.0.1/v2/", status: 200 },
  { ...LAYER, state: "started" },
  { type: "bytes", diffId: DIFF_ID, doneBytes: 500, sizeBytes: 1000 },
  { ...LAYER, state: "done" },
];

const WHAT = `https://example.com/${"images/".repeat(8)}app.aci`;
const DOWNLOAD = { type: "download", what: WHAT, sizeBytes: 1000 } as const;
const DOWNLOADS: readonly RootwrightEvent[] = [
  { ...DOWNLOAD, state: "started", doneBytes: 0 },
  { ...DOWNLOAD, state: "going", doneBytes: 500 },
  { ...DOWNLOAD, state: "done", doneBytes: 1000 },
];

function record(events: readonly RootwrightEvent[], open: typeof lineProgress, explain = false): string {
  let text = "";
  using progress = open({ write: (more) => (text += more), columns: 60 }, explain);
  for (const event of events) progress.emit(event);
  return text;
}

describe("lineProgress", () => {
  test("writes a line for each change of state, and none for bytes", () => {
    expect(record(EVENTS, lineProgress)).toMatch(/^layer 1\/1 sha256:[0-9a-f]{12} unpacked \(1000 B\)\n$/);
  });

  test("writes a line for the start and the end of a download", () => {
    expect(record(DOWNLOADS, lineProgress)).toBe(`fetching ${WHAT}\n${WHAT} fetched (1000 B)\n`);
  });

  test("tells requests and starts when asked to explain", () => {
    const text = record(EVENTS, lineProgress, true);
    expect(text).toContain("GET http://127.0.0.1/v2/ → 200\n");
    expect(text).toContain("layer 1/1 started\n");
  });

  test("writes no control characters, whatever a message holds", () => {
    expect(record([{ type: "warning", message: "a\x1b[2Jb\n" }], lineProgress)).toBe("warning: ab?\n");
  });
});

describe("barProgress", () => {
  test("draws a bar no wider than the terminal, and erases it", () => {
    const text = record(EVENTS, barProgress);
    expect(text).toContain("[####");
    for (const line of stripVTControlCharacters(text).split("\n")) expect(line.length).toBeLessThan(60);
    expect(text).toContain("\x1b[1A\x1b[J");
  });

  test.each([
    ["a bar for a download", DOWNLOADS, "/app.aci  [####"],
    [
      "the bytes of a download whose size nobody knows",
      [{ type: "download", what: WHAT, state: "started", doneBytes: 500 } as const],
      "/app.aci    500 B\n",
    ],
  ] as const)("draws %s, no wider than the terminal", (_what, events, expected) => {
    const text = stripVTControlCharacters(record(events, barProgress));
    expect(text).toContain(expected);
    for (const line of text.split("\n")) if (!line.endsWith("fetched (1000 B)")) expect(line.length).toBeLessThan(60);
  });
});
