/** A layer's bytes in a file, which anybody may have changed since it was resolved. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readFileRange } from "../../../src/layers/input.ts";
import { missingPrograms } from "../../support/peers.ts";
import { openTempDir } from "../../support/temp-dir.ts";
import { openTestWorkshop } from "../../support/workshop.ts";

test("readFileRange gives the bytes of the range", async () => {
  await using temp = await openTempDir("input");
  const path = join(temp.path, "file");
  writeFileSync(path, "beforebytesafter");
  const chunks = [...readFileRange({ path, offset: 6, sizeBytes: 5 })];
  expect(Buffer.concat(chunks).toString()).toBe("bytes");
});

test.skipIf(missingPrograms("mkfifo").length > 0)(
  "a FIFO or a directory in the place of a file is an error, and not waited for (needs mkfifo)",
  async () => {
    await using workshop = await openTestWorkshop();
    const fifo = join(workshop.path, "fifo");
    execFileSync("mkfifo", [fifo]);
    const notRegular = { code: "archive-invalid", message: expect.stringContaining("no regular file") };
    for (const path of [fifo, workshop.path]) {
      const file = { path, offset: 0, sizeBytes: 512 };
      expect(() => [...readFileRange(file)]).toThrow(expect.objectContaining(notRegular));
      await expect(workshop.workshop.expand(file, "an archive")).rejects.toMatchObject(notRegular);
      await expect(workshop.workshop.scanTar(file, { algorithm: "sha256" })).rejects.toMatchObject({
        message: expect.stringContaining("no regular file"),
      });
    }
    rmSync(fifo);
  },
);
