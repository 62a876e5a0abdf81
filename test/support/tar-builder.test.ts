/** The builder is what other tests stand on: it is read back here by GNU tar and skopeo, which share no code with it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { missingPrograms, run } from "./peers.ts";
import {
  base256,
  buildImage,
  buildLayer,
  encodePax,
  sha256,
  writeDockerArchive,
  writeOciLayout,
} from "./tar-builder.ts";
import { openTempDir } from "./temp-dir.ts";

const noSkopeo = missingPrograms("skopeo").length > 0;

async function listWithTar(layer: Buffer): Promise<string[]> {
  await using temp = await openTempDir();
  const path = join(temp.path, "layer.tar");
  await writeFile(path, layer);
  const { stdout } = await run("tar", ["--numeric-owner", "--utc", "-tvf", path], { env: { LC_ALL: "C.UTF-8" } });
  return stdout.trimEnd().split("\n");
}

describe("buildLayer", () => {
  it("writes every type of entry so that GNU tar reads it", async () => {
    const lines = await listWithTar(
      buildLayer([
        { name: "d/", type: "dir" },
        { name: "d/f", content: "four", mode: 0o4755, uid: 7, gid: 8 },
        { name: "l", type: "symlink", linkname: "d/f" },
        { name: "h", type: "hardlink", linkname: "d/f" },
        { name: "c", type: "char", devmajor: 1, devminor: 3 },
        { name: "p", type: "fifo" },
      ]),
    );
    expect(lines.map((line) => line.slice(0, 10))).toEqual([
      "drwxr-xr-x",
      "-rwsr-xr-x",
      "lrwxrwxrwx",
      "hrw-r--r--",
      "crw-r--r--",
      "prw-r--r--",
    ]);
    expect(lines[1]).toMatch(/7\/8\s+4 2023-11-14 22:13 d\/f$/);
    expect(lines[4]).toContain(" 1,3 ");
  });

  it.each(["pax", "gnu", "prefix"] as const)(
    "writes a long name the %s way so that GNU tar reads it",
    async (longNames) => {
      const name = `${"p".repeat(90)}/${"n".repeat(95)}`;
      expect((await listWithTar(buildLayer([{ name, longNames }])))[0]).toContain(` ${name}`);
    },
  );

  it("writes numbers beyond octal digits in base 256", async () => {
    expect((await listWithTar(buildLayer([{ name: "f", uid: 4_000_000_000 }])))[0]).toContain(" 4000000000/0 ");
    expect(base256(-1, 8)).toEqual(Buffer.alloc(8, 0xff));
  });

  it("keeps a replaced field, and sums it into the checksum", async () => {
    const layer = buildLayer([{ name: "f", raw: { mode: "0000755 ", uname: "somebody" } }]);
    expect(layer.toString("latin1", 265, 273)).toBe("somebody");
    expect((await listWithTar(layer))[0]).toMatch(/^-rwxr-xr-x/);
  });

  it("keeps a wrong checksum", () => {
    expect(buildLayer([{ name: "f", raw: { chksum: "0000001\0" } }]).toString("latin1", 148, 155)).toBe("0000001");
  });
});

describe("encodePax", () => {
  it.each([1, 86, 87, 88, 89, 90, 986, 987])(
    "counts the digits of a record's own length (value of %i bytes)",
    (size) => {
      const record = encodePax({ keyword: "v".repeat(size) });
      expect(Number.parseInt(record.toString("latin1"), 10)).toBe(record.length);
    },
  );
});

describe("buildImage", () => {
  it("names every blob by its digest and every layer by its tar's", () => {
    const image = buildImage([[{ name: "a", content: "1" }], [{ name: "b", content: "2" }]]);
    for (const [digest, bytes] of image.blobs) expect(sha256(bytes)).toBe(digest);
    expect(image.diffIds).toEqual(image.tars.map((tar) => sha256(tar)));
    expect(image.blobs.size).toBe(4);
  });

  it.skipIf(noSkopeo)("is read by skopeo from archives and layouts (needs skopeo)", async () => {
    await using temp = await openTempDir();
    const image = buildImage([[{ name: "a", content: "1" }]], { config: { Env: ["A=b"] } });
    const place = (name: string) => join(temp.path, name);
    await writeDockerArchive(place("new.tar"), image, ["example.com/app:1"]);
    await writeDockerArchive(place("old.tar"), image, ["example.com/app:1"], { style: "graphdriver" });
    await writeOciLayout(place("layout"), image, "1");
    for (const name of ["docker-archive:new.tar", "oci-archive:new.tar:1", "docker-archive:old.tar", "oci:layout:1"]) {
      const { stdout } = await run("skopeo", ["inspect", "--config", name], { cwd: temp.path });
      expect(JSON.parse(stdout)).toMatchObject({ config: { Env: ["A=b"] }, rootfs: { diff_ids: image.diffIds } });
    }
  });
});
