/** WWW-Authenticate, in the forms that registries send it and in those that RFC 9110 allows. */
import { describe, expect, test } from "vitest";
import { parseChallenges } from "../../../src/sources/registry/challenge.ts";

describe("parseChallenges", () => {
  test.each<readonly [string, readonly string[], unknown]>([
    [
      "a comma inside a quoted scope",
      ['Bearer realm="https://auth.example.com/token",service="reg",scope="repository:x:pull,push"'],
      [["bearer", { realm: "https://auth.example.com/token", service: "reg", scope: "repository:x:pull,push" }]],
    ],
    ["blanks around everything", ['Bearer  realm = "a" ,  service = b '], [["bearer", { realm: "a", service: "b" }]]],
    [
      "several challenges in one line",
      ['Basic realm="r", Bearer realm="t",service="s"'],
      [
        ["basic", { realm: "r" }],
        ["bearer", { realm: "t", service: "s" }],
      ],
    ],
    [
      "several lines",
      ['Basic realm="r"', 'Bearer realm="t"'],
      [
        ["basic", { realm: "r" }],
        ["bearer", { realm: "t" }],
      ],
    ],
    [
      "a scheme without parameters first",
      ['Negotiate, Basic realm="r"'],
      [
        ["negotiate", {}],
        ["basic", { realm: "r" }],
      ],
    ],
    [
      "a token68",
      ['Negotiate abc+/==, Basic realm="r"'],
      [
        ["negotiate", {}],
        ["basic", { realm: "r" }],
      ],
    ],
    ["escapes in quoted strings", ['Basic realm="a \\"b\\" \\\\ c"'], [["basic", { realm: 'a "b" \\ c' }]]],
    ["names in any case", ['BEARER Realm="a"'], [["bearer", { realm: "a" }]]],
    ["empty list elements", [', ,Basic realm="r",,'], [["basic", { realm: "r" }]]],
    ["a repeated parameter: the first", ['Bearer realm="a",realm="b"'], [["bearer", { realm: "a" }]]],
    ["an unquoted value", ["Bearer realm=abc"], [["bearer", { realm: "abc" }]]],
    ["nothing", [""], []],
    ["no header", [], []],
    [
      "an unterminated quote: nothing of it",
      ['Bearer realm="abc'],
      [
        ["bearer", {}],
        ["realm", {}],
      ],
    ],
  ])("understands %s", (_, lines, expected) => {
    const parsed = parseChallenges(lines).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
    expect(parsed).toEqual(expected);
  });

  test("takes no time over hostile lines", () => {
    const started = performance.now();
    parseChallenges([`Bearer ${"a=\\".repeat(20_000)}`, `Bearer realm="${"\\\\".repeat(50_000)}`, "=".repeat(100_000)]);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
