/** What of a Warning header reaches people. */
import { expect, test } from "vitest";
import { MAX_WARNINGS, registryWarnings } from "../../../../src/sources/http/warnings.ts";

function warnings(...values: string[]): string[] {
  return registryWarnings({
    status: 200,
    url: new URL("https://a.test"),
    headers: (name) => (name === "warning" ? values : []),
    body: (async function* () {})(),
    discard: async () => {},
  });
}

test.each<readonly [string, string[], string[]]>([
  ["nothing, of none", [], []],
  ["the text", ['299 - "this repository will be closed"'], ["this repository will be closed"]],
  ["several, each once", ['299 - "one", 299 - "two"', '299 - "one"'], ["one", "two"]],
  ["quoted characters", ['299 - "say \\"please\\" \\\\o/"'], ['say "please" \\o/']],
  ["nothing of proxies", ['110 proxy.test "Response is stale"', '299 proxy.test "x"'], []],
  ["nothing that is within another", ['199 - "see 299 - \\"trap\\""'], []],
  [
    "nothing that controls a terminal",
    ['299 - "\u001b[31mred\u0007 \u202eright to left\r\n"'],
    ["?[31mred? ?right to left"],
  ],
  ["nothing malformed", ["299", '299 - ""', "299 - bare", '299 - "open'], []],
])("%s", (_, values, texts) => {
  expect(warnings(...values)).toEqual(texts);
});

test("at most 4096 bytes are read", () => {
  const values = Array.from(
    { length: 100 },
    (_, count) => `299 - "${String(count).padStart(3, "0")}${"x".repeat(797)}"`,
  );
  const read = warnings(...values);
  expect(read.length).toBeGreaterThan(3);
  expect(read.join("").length).toBeLessThan(4096);
});

test("no more are told than a pull may bring", () => {
  const values = Array.from({ length: 100 }, (_, count) => `299 - "${count}"`);
  expect(warnings(...values)).toEqual(Array.from({ length: MAX_WARNINGS }, (_, count) => String(count)));
});
