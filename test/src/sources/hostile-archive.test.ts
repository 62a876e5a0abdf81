/** Archives whose headers two readers take for different things: an error, never a wait without end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openArchive } from "../../../src/sources/docker-archive/archive-index.ts";
import { buildLayer, type TarEntry } from "../../support/tar-builder.ts";
import { openTempDir } from "../../support/temp-dir.ts";

async function open(bytes: Buffer, signal?: AbortSignal): Promise<unknown> {
  await using temp = await openTempDir("archive");
  const path = join(temp.path, "a.tar");
  writeFileSync(path, bytes);
  await using archive = await openArchive(path, signal);
  return archive.names;
}

const name: TarEntry = { name: "manifest.json", content: "[]" };
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
