/** Names that a terminal would obey, that no file system has, or that are as long and as deep as can be. */
import { describe, expect, test } from "vitest";
import { displayPath } from "../../../../src/layers/entry.ts";
import type { TarEntry } from "../../../support/tar-builder.ts";
import {
  type Case,
  dir,
  expectOutcome,
  file,
  hardlink,
  IS_ROOT,
  MODES,
  symlink,
  testAttacks,
  useRange,
} from "./fixtures.ts";

testAttacks("a name with", [
  ["a newline is kept", [file("a\nb")], ["a\nb=inside"]],
  ["escape sequences is kept", [file("\x1b[2J\x1b]0;owned\x07")], ["\x1b[2J\x1b]0;owned\x07=inside"]],
  [
    "every control character is kept",
    [dir(Buffer.from(Array.from({ length: 31 }, (_, at) => at + 1)))],
    [`${Array.from({ length: 31 }, (_, at) => String.fromCharCode(at + 1)).join("")}/`],
  ],
  ["a NUL ends there in a header", [file("a\0/../../secret")], ["a=inside"]],
  ["a NUL is refused in a PAX path", [file("a", "x", { pax: { path: "a\0b" } })], "layer-invalid"],
  ["a NUL is refused in a PAX link target", [{ ...symlink("l", "a"), pax: { linkpath: "a\0b" } }], "layer-invalid"],
  [
    "a NUL ends there in a GNU long name",
    [{ name: "x", type: "L", content: `${"a".repeat(120)}\0/../../secret` }, file("b")],
    [`${"a".repeat(120)}=inside`],
  ],
  ["a dash or quotes is kept", [file("-rf"), file("';$(id)`\"")], ["-rf=inside", "';$(id)`\"=inside"]],
  ["nothing in a PAX path is that of the header", [file("a", "inside", { pax: { path: "" } })], ["a=inside"]],
]);

const NASTY = "\x1b[2J\x9b31m\r\n\x7f\x08";

describe.each(MODES)("an error about a name with control characters (as %s)", (_who, privileged) => {
  const range = useRange();
  // that no such character is in the message, its hint or its details is what every attack is checked for
  test.each<Case>([
    ["in an entry's path", [file(`${NASTY}/../x`)], "layer-escape"],
    ["in a whiteout", [file(`${NASTY}/.wh.`)], "layer-invalid"],
    ["in a path that is too long", [file(NASTY.repeat(60))], "layer-invalid"],
    ["in a directory that is none", [file(NASTY), file(`${NASTY}/a`)], "layer-invalid"],
    ["in a link's target", [hardlink("h", `../${NASTY}`)], "layer-escape"],
    ["in a PAX key", [file("a", "x", { pax: { [`SCHILY.xattr.${NASTY}`]: "1", path: "../x" } })], "layer-escape"],
    ["in a PAX number", [file("a", "x", { pax: { uid: NASTY } })], "layer-invalid"],
    ["in a PAX time", [file("a", "x", { pax: { mtime: NASTY } })], "layer-invalid"],
    ["of an unknown type", [{ name: NASTY, type: "V" }], "layer-unsupported"],
  ])("%s shows none of them", async (_what, layer, expected) => {
    expectOutcome(await range().attack(layer, { privileged }), expected);
  });
});

describe.each(MODES)("an error about a name that is very long (as %s)", (_who, privileged) => {
  const range = useRange();
  test.each<Case>([
    ["a PAX path", [file("a", "x", { pax: { path: "p/".repeat(450_000) } })], "layer-invalid"],
    [
      "a PAX path that leaves the tree",
      [file("a", "x", { pax: { path: `${"p/".repeat(450_000)}..` } })],
      "layer-escape",
    ],
    ["a path of control characters", [file("a", "x", { pax: { path: NASTY.repeat(50_000) } })], "layer-invalid"],
    ["a path of characters that are no ASCII", [file("€".repeat(300_000))], "layer-invalid"],
    ["a link's target", [{ ...hardlink("h", "x"), pax: { linkpath: `../${"p".repeat(900_000)}` } }], "layer-escape"],
    ["an attribute's", [file("a", "x", { xattrs: { [`user.${"n".repeat(900_000)}`]: "" } })], "layer-invalid"],
  ])("shows its beginning: %s", async (_what, layer, expected) => {
    const outcome = await range().attack(layer, { privileged });
    expectOutcome(outcome, expected);
    if (outcome.code === undefined) throw new Error("it was taken");
    const { message, hint, details } = outcome.error;
    expect(`${message}${hint}${JSON.stringify(details)}`.length).toBeLessThan(1000);
  });
});

describe("displayPath", () => {
  test("shows names of up to 200 characters whole", () => {
    expect(displayPath("n".repeat(200))).toBe("n".repeat(200));
    expect(displayPath("\xe2\x82\xac\xff")).toBe("\\xe2\\x82\\xac\\xff");
    expect(displayPath(Buffer.from("a€\u202eb").toString("latin1"))).toBe("a€\\u{202e}b");
  });

  test("shows the beginning of longer ones, and how long they are", () => {
    expect(displayPath("n".repeat(900_000))).toBe(`${"n".repeat(200)}… (900000 bytes)`);
    expect(displayPath("\x1b".repeat(100))).toBe(`${"\\x1b".repeat(50)}… (100 bytes)`);
  });

  test("cuts no character of UTF-8 in two", () => {
    for (const character of ["é", "€", "😀"])
      for (let before = 0; before < 4; before += 1) {
        const shown = displayPath(Buffer.from("n".repeat(before) + character.repeat(300)).toString("latin1"));
        expect(shown.replaceAll(character, "")).toMatch(/^n{0,3}… \([0-9]+ bytes\)$/);
      }
  });
});

describe.skipIf(!IS_ROOT)("an error of the kernel about a name with control characters (needs root)", () => {
  const range = useRange();
  test("shows none of them", async () => {
    const nasty = file(NASTY, "x", { xattrs: { "security.capability": "none" } });
    expect(["layer-invalid", "layer-unsupported"]).toContain((await range().attack([nasty])).code);
  });
});

const names = (count: number, length: number): string =>
  Array.from({ length: count }, () => "n".repeat(length)).join("/");
/** 4095 bytes in 16 names: the longest path that the kernel takes. */
const LONGEST = names(16, 255);
const styles = ["pax", "gnu"] as const;

testAttacks(
  "a name that is as long as can be",
  styles.flatMap((longNames): Case[] => {
    const more: Partial<TarEntry> = { longNames };
    const lines = (path: string): string[] => path.split("/").map((_, at, all) => `${all.slice(0, at + 1).join("/")}/`);
    return [
      [`is taken with 255 bytes (${longNames})`, [dir("n".repeat(255), more)], [`${"n".repeat(255)}/`]],
      [`is refused with 256 bytes (${longNames})`, [dir("n".repeat(256), more)], "layer-invalid"],
      [
        `is refused with 256 bytes in the middle (${longNames})`,
        [dir(`a/${"n".repeat(256)}/b`, more)],
        "layer-invalid",
      ],
      [`is counted in bytes (${longNames})`, [dir("\u20ac".repeat(86), more)], "layer-invalid"],
      [`is taken as a path of 4095 bytes (${longNames})`, [dir(LONGEST, more)], lines(LONGEST)],
      [`is refused as a path of 4096 bytes (${longNames})`, [dir(`a/${LONGEST.slice(1)}`, more)], "layer-invalid"],
      [`is refused as a path of half a megabyte (${longNames})`, [dir(names(2000, 255), more)], "layer-invalid"],
      [
        `is taken as a link's target of 4095 bytes (${longNames})`,
        [{ ...symlink("l", "t".repeat(4095)), ...more }],
        [`l->${"t".repeat(4095)}`],
      ],
      [
        `is refused as a link's target of 4096 bytes (${longNames})`,
        [{ ...symlink("l", "t".repeat(4096)), ...more }],
        "layer-invalid",
      ],
      [
        `is refused as a link's target of half a megabyte (${longNames})`,
        [{ ...symlink("l", "t".repeat(2 ** 19)), ...more }],
        "layer-invalid",
      ],
      [
        `is taken as a hard link's target of 4095 bytes (${longNames})`,
        [{ ...hardlink("h", LONGEST), ...more }],
        [`h=>>${LONGEST}`],
      ],
      [
        `is refused as a hard link's target of 4096 bytes (${longNames})`,
        [{ ...hardlink("h", `a/${LONGEST}`), ...more }],
        "layer-invalid",
      ],
    ];
  }),
);

testAttacks("a symlink's target", [["that is empty is refused", [symlink("l", "")], "layer-invalid"]]);

describe.each(MODES)("a path behind links (as %s)", (_who, privileged) => {
  const range = useRange();
  test("that becomes longer than the kernel takes is refused", async () => {
    const half = names(8, 255);
    const layer = [dir(half), symlink("l", half), file(`l/${half}/a`)];
    expectOutcome(await range().attack(layer, { privileged }), "layer-invalid");
  });

  test("that links make grow without end is refused in no time", async () => {
    const far = "l/".repeat(2000);
    const layer = [symlink("l", far), file("l/a")];
    const start = performance.now();
    expectOutcome(await range().attack(layer, { privileged }), "layer-invalid");
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
