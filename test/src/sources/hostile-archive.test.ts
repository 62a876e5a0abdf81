/** Archives that two readers take for different things, or that are made to be too much: an error, never a wait without end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openTarFiles } from "../../../src/sources/archives/tar-files.ts";
import { buildLayer, type TarEntry } from "../../support/tar-builder.ts";
import { openTempDir } from "../../support/temp-dir.ts";
import { errorOf, openArchives } from "./open-archives.ts";

async function open(bytes: Buffer, signal?: AbortSignal): Promise<unknown> {
  await using temp = await openTempDir("archive");
  const path = join(temp.path, "a.tar");
  writeFileSync(path, bytes);
  const range = { path, offset: 0, sizeBytes: bytes.length };
  await using files = await openTarFiles(range, { what: `archive ${path}`, path }, signal);
  return files.topLevel;
}

const name: TarEntry = { name: "manifest.json", content: "[]" };
/** The entry behind it is its body to some tools, and an entry to others. */
const sized = (entry: string): TarEntry => ({ name: entry, raw: { size: Buffer.from("00000002000\0") } });
const zeroWithChecksum = Buffer.concat([
  Buffer.alloc(148),
  Buffer.from("000400\0 "),
  Buffer.alloc(512 - 156),
  Buffer.alloc(2048),
]);

describe("an archive", () => {
  test.each([
    ["a long name of the other GNU type", buildLayer([{ name: "x", type: "N", content: "a\0" }])],
    ["a header of zeros with a checksum", zeroWithChecksum],
    [
      "a name longer than a path can be",
      buildLayer([{ name: "././@LongLink", type: "L", content: "x".repeat(5000) }, name]),
    ],
    ["a symlink that has a size", buildLayer([{ ...sized("x"), type: "symlink", linkname: "y" }, name])],
    ["a hard link that has a size", buildLayer([{ ...sized("x"), type: "hardlink", linkname: "manifest.json" }, name])],
    ["a FIFO that has a size", buildLayer([{ ...sized("x"), type: "fifo" }, name])],
    ["an extension with nothing behind it", buildLayer([{ name: "x", type: "x", content: "9 path=a\n" }])],
  ])("with %s is refused", async (_what, bytes) => {
    await expect(open(bytes)).rejects.toMatchObject({ code: "archive-invalid" });
  });

  test("with blanks before the size of a long name is read", async () => {
    const size = Buffer.from("         13 \0");
    const long = { name: "././@LongLink", type: "L", content: "manifest.jso\0".slice(0, 11), raw: { size } } as const;
    await expect(open(buildLayer([long, name]))).resolves.toHaveLength(1);
  });

  test("is no longer read after an interruption", async () => {
    await expect(open(buildLayer([name]), AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  });
});

describe("a list in an archive", () => {
  const megabytes = (count: number): string => " ".repeat(count * 1024 * 1024);

  test.each(["manifest.json", "index.json", "oci-layout", "repositories", "./manifest.json"])(
    "that is there twice is refused: %s",
    async (twice) => {
      const error = await errorOf(
        open(buildLayer([{ name: twice, content: "[]" }, name, { name: twice.replace("./", ""), content: "[]" }])),
      );
      expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringContaining("twice") });
    },
  );

  test("is no list of its own for being in a directory", async () => {
    await expect(open(buildLayer([name, { name: "x/manifest.json" }]))).resolves.toEqual(["manifest.json", "x"]);
  });

  test.each<readonly [string, string, readonly TarEntry[]]>([
    ["larger than any can be", "docker-archive", [{ name: "manifest.json", content: `[${megabytes(17)}]` }]],
    ["nested without end", "docker-archive", [{ name: "manifest.json", content: "[".repeat(1_000_000) }]],
    [
      "nested deeply, and closed again",
      "docker-archive",
      [{ name: "manifest.json", content: `${"[".repeat(100_000)}${"]".repeat(100_000)}` }],
    ],
    ["no text", "docker-archive", [{ name: "manifest.json", content: Buffer.from([0x5b, 0xff, 0x5d]) }]],
    ["of wrong types", "docker-archive", [{ name: "manifest.json", content: '[{"Config":1}]' }]],
    ["of a large index", "oci-archive", layout(`{"schemaVersion":2,"manifests":[${megabytes(5)}]}`)],
    ["of a deep index", "oci-archive", layout(`{"schemaVersion":2,"manifests":${"[".repeat(500_000)}`)],
    ["of too many images", "oci-archive", layout(`{"schemaVersion":2,"manifests":[${"{},".repeat(10_001)}{}]}`)],
    ["of no index", "oci-archive", layout("[]")],
    ["of a large version", "oci-archive", [{ name: "index.json" }, { name: "oci-layout", content: megabytes(1) }]],
    ["of large repositories", "docker-archive", [{ name: "repositories", content: `{${megabytes(5)}}` }]],
    ["of deep repositories", "docker-archive", [{ name: "repositories", content: '{"a":'.repeat(200_000) }]],
  ])("that is %s is refused", async (_, kind, entries) => {
    await using archives = await openArchives();
    const path = join(archives.path, "a.tar");
    writeFileSync(path, buildLayer(entries));
    const error = await errorOf(archives.resolve(`${kind}:${path}`));
    expect(error.code).toBe("archive-invalid");
    expect(error.message.length).toBeLessThan(1000);
  });

  test("does not put control characters into messages", async () => {
    await using archives = await openArchives();
    const path = join(archives.path, "a.tar");
    writeFileSync(path, buildLayer([{ name: "\u001b[31mred\u202e" }, { name: "../\u001b[31m" }]));
    expect((await errorOf(archives.resolve(`docker-archive:${path}`))).message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    writeFileSync(path, buildLayer([{ name: "\u001b[31mred\u202e" }]));
    expect((await errorOf(archives.resolve(`docker-archive:${path}`))).message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

function layout(index: string): TarEntry[] {
  return [
    { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: "index.json", content: index },
  ];
}
