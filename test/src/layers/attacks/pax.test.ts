/** PAX and GNU extension headers that contradict the header they belong to, or are made to cost. */
import { describe, expect, test } from "vitest";
import { buildLayer, encodePax, globalPax, type TarEntry } from "../../../support/tar-builder.ts";
import { dir, expectOutcome, file, hardlink, MODES, OUTSIDE, symlink, testAttacks, useRange } from "./fixtures.ts";

const hidden = buildLayer([file("hidden")], Buffer.alloc(0));
const raw = (content: string | Buffer): TarEntry => ({ name: "PaxHeaders/x", type: "x", content });

testAttacks("PAX overrides the header:", [
  ["a path inside for one outside", [file("../secret", "inside", { pax: { path: "a" } })], ["a=inside"]],
  ["a path outside for one inside", [file("a", "inside", { pax: { path: "../secret" } })], "layer-escape"],
  ["a link target", [file("a"), { ...hardlink("h", "../secret"), pax: { linkpath: "a" } }], ["a=inside", "h=>a"]],
  [
    "but not a GNU long name, as in Go's archive/tar",
    [{ name: "L", type: "L", content: "gnu\0" }, file("a", "inside", { pax: { path: "pax" } })],
    ["gnu=inside"],
  ],
  ["of two records of one key, the later", [raw("9 path=a\n9 path=b\n"), file("x")], ["b=inside"]],
  [
    "of two records, the later, which leads outside",
    [raw(Buffer.concat([encodePax({ path: "a" }), encodePax({ path: "../../b" })])), file("x")],
    "layer-escape",
  ],
  ["for one entry, and not for the next", [file("x", "1", { pax: { path: "a" } }), file("b", "2")], ["a=1", "b=2"]],
]);

testAttacks("a PAX size that lies", [
  [
    "is the body's size, so that nothing hides behind it",
    [file("a", hidden.toString("latin1"), { size: 0, pax: { size: String(hidden.length) } })],
    [`a=${hidden.length} bytes`],
  ],
  [
    "is the body's size when it is less, so that nothing hides in it",
    [file("a", hidden.toString("latin1"), { pax: { size: "0" } })],
    ["a=", "hidden=inside"],
  ],
  ["beyond the archive is a truncation", [file("a", "x", { pax: { size: "100000" } })], "layer-invalid"],
  ["beyond all limits is refused", [file("a", "x", { pax: { size: "1099511627777" } })], "layer-too-large"],
  ["of 2^50 is refused", [file("a", "x", { pax: { size: "1125899906842624" } })], "layer-too-large"],
  ["beyond 2^53 is refused", [file("a", "x", { pax: { size: "9".repeat(16) } })], "layer-invalid"],
  ["beyond 64 bits is refused", [file("a", "x", { pax: { size: "18446744073709551616" } })], "layer-invalid"],
  ["below zero is refused", [file("a", "x", { pax: { size: "-1" } })], "layer-invalid"],
  ["in hexadecimal is refused", [file("a", "x", { pax: { size: "0x10" } })], "layer-invalid"],
  ["with an exponent is refused", [file("a", "x", { pax: { size: "1e3" } })], "layer-invalid"],
  ["with blanks is refused", [file("a", "x", { pax: { size: " 1" } })], "layer-invalid"],
  ["of a directory gives it no body", [dir("d/", { pax: { size: "512" } }), file("a")], ["a=inside", "d/"]],
  [
    "of a symlink gives it no body",
    [{ ...symlink("l", OUTSIDE), pax: { size: "512" } }, file("a")],
    ["a=inside", "l->/OUTSIDE"],
  ],
]);

testAttacks("a PAX record that is none is refused:", [
  ["a length beyond the header", [raw("99 path=b\n"), file("a")], "layer-invalid"],
  ["a length of all numbers", [raw(`${"9".repeat(30)} path=b\n`), file("a")], "layer-invalid"],
  ["a length of nothing", [raw("0 path=b\n"), file("a")], "layer-invalid"],
  ["a negative length", [raw("-9 path=b\n"), file("a")], "layer-invalid"],
  ["no length", [raw("path=b\n"), file("a")], "layer-invalid"],
  ["no end of line", [raw("9 path=bb"), file("a")], "layer-invalid"],
  ["no equals sign", [raw("9 path b\n"), file("a")], "layer-invalid"],
  ["a length that ends in its own key", [raw("5 pa\n9 path=b\n"), file("a")], "layer-invalid"],
]);

testAttacks("a global PAX header", [
  ["that leads outside is refused", [globalPax({ path: "../secret" }), file("a")], "layer-escape"],
  ["that lies in its records is refused", [{ ...globalPax({}), content: "99 path=b\n" }, file("a")], "layer-invalid"],
  [
    "of owners is overridden by an entry's own",
    [globalPax({ uid: "77" }), file("a", "x", { pax: { uid: "5" } })],
    ["a=x"],
  ],
]);

/** Header blocks without end cost their sender bytes, and us no memory. */
describe.each(MODES)("extension headers without end (as %s)", (_who, privileged) => {
  const range = useRange();
  const kilobyte = encodePax({ comment: "x".repeat(1000) });
  test.each<readonly [string, Buffer]>([
    [
      "ten thousand PAX headers",
      Buffer.concat(Array.from({ length: 10_000 }, () => buildLayer([raw(kilobyte)], Buffer.alloc(0)))),
    ],
    [
      "ten thousand global PAX headers",
      Buffer.concat(
        Array.from({ length: 10_000 }, (_, at) =>
          buildLayer([globalPax({ [`k${at}`]: "x".repeat(1000) })], Buffer.alloc(0)),
        ),
      ),
    ],
    [
      "ten thousand GNU long names",
      Buffer.concat(
        Array.from({ length: 10_000 }, () =>
          buildLayer([{ name: "L", type: "L", content: "x".repeat(1000) }], Buffer.alloc(0)),
        ),
      ),
    ],
  ])("are no memory: %s", async (_what, headers) => {
    const layer = Buffer.concat([headers, buildLayer([file("a", "inside")])]);
    const before = memory();
    const outcome = await range().attack(layer, { privileged });
    expect(memory() - before).toBeLessThan(100 * 2 ** 20);
    if (outcome.code !== undefined) expect(["layer-invalid", "layer-too-large"]).toContain(outcome.code);
  });

  test.each(["x", "g", "L", "K"])("are refused when one is larger than any need be (%s)", async (type) => {
    const content =
      type === "x" || type === "g" ? encodePax({ comment: "x".repeat(80 * 2 ** 20) }) : Buffer.alloc(80 * 2 ** 20, "x");
    const layer = buildLayer([{ name: "h", type, content }, file("a")]);
    const before = memory();
    const outcome = await range().attack(layer, { privileged });
    expect(["layer-invalid", "layer-too-large", "layer-unsupported"]).toContain(outcome.code);
    expect(memory() - before).toBeLessThan(70 * 2 ** 20);
  });

  test.each(["x", "g", "L", "K"])("are refused when one says that it is larger than any memory (%s)", async (type) => {
    const layer = buildLayer([{ name: "h", type, content: "9 path=b\n", size: 2 ** 40 }, file("a")]);
    const before = memory();
    const outcome = await range().attack(layer, { privileged });
    expect(["layer-invalid", "layer-too-large"]).toContain(outcome.code);
    expect(memory() - before).toBeLessThan(50 * 2 ** 20);
  });

  test("are refused when none of them belongs to an entry", async () => {
    expectOutcome(await range().attack(buildLayer([file("a"), raw("9 path=b\n")]), { privileged }), "layer-invalid");
  });

  test("are refused when a million records are in them", async () => {
    const content = Buffer.from("7 k=vv\n".repeat(1_000_000));
    const outcome = await range().attack(buildLayer([raw(content), file("a")]), { privileged });
    if (outcome.code !== undefined) expect(["layer-invalid", "layer-too-large"]).toContain(outcome.code);
  });
});

/** A thousand attributes in one header, and entries of half a kilobyte that each have them all. */
describe.each(MODES)("global attributes of many entries (as %s)", (_who, privileged) => {
  const range = useRange();
  const bomb = (namespace: string, entry: (at: number) => TarEntry): Buffer => {
    const names = Array.from({ length: 1000 }, (_, at) => [`SCHILY.xattr.${namespace}.${at}`, ""]);
    return buildLayer([globalPax(Object.fromEntries(names)), ...Array.from({ length: 4000 }, (_, at) => entry(at))]);
  };

  test("are none of links, which cannot have them, and take no memory", async () => {
    const layer = bomb("user", (at) => symlink(`l${at}`, "x"));
    const before = memory();
    const outcome = await range().attack(layer, { privileged });
    expect(memory() - before).toBeLessThan(100 * 2 ** 20);
    if (outcome.code !== undefined) throw outcome.error;
    expect([...outcome.entries.values()].filter(({ xattrs }) => xattrs.length > 0)).toEqual([]);
    expect(outcome.entries.size).toBe(4001);
  });

  // of hard links, since nothing is written of theirs
  test("are refused before they take much", async () => {
    const layer = bomb("trusted", (at) => (at === 0 ? file("a", "x", { pax: {} }) : hardlink(`h${at}`, "a")));
    const before = memory();
    const outcome = await range().attack(layer, { privileged: false });
    expect(memory() - before).toBeLessThan(100 * 2 ** 20);
    expect(outcome.code).toBe("layer-too-large");
  });

  test("are refused when they are more than any entry has, together with its own", async () => {
    const own = Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`SCHILY.xattr.trusted.own${at}`, ""]));
    const all = Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`SCHILY.xattr.trusted.all${at}`, ""]));
    expectOutcome(
      await range().attack([globalPax(all), file("a", "x", { pax: own })], { privileged }),
      "layer-too-large",
    );
  });

  test("are access lists that take no time again and again", async () => {
    const acl = `${"#".repeat(60_000)}\rx`;
    const layer = buildLayer([
      globalPax({ "SCHILY.acl.access": acl }),
      ...Array.from({ length: 3000 }, (_, at) => [globalPax({ comment: String(at) }), dir(`d${at}`)]).flat(),
    ]);
    const start = performance.now();
    const outcome = await range().attack(layer, { privileged });
    expect(outcome.code).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

/** Bytes outside of JavaScript's heap, where the content of a tar is, together with it. */
function memory(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}
