import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { digestOf, openIngestWriter } from "../../store/index.ts";
import { codeOf, temporaryRoot } from "./fixtures/temporary-store.ts";

const text = "hello, layer";
const digest = digestOf(text);
const size = text.length;

function file() {
  const directory = temporaryRoot();
  return { path: join(directory.path, "part"), [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("openIngestWriter", () => {
  test.each(["sha256", "sha512"] as const)("returns the %s digest and size of what was written", (algorithm) => {
    using part = file();
    using writer = openIngestWriter(part.path, { digest: digestOf(text, algorithm), size, offset: 0 });
    writer.write(Buffer.from(text.slice(0, 5)));
    writer.write(Buffer.from(text.slice(5)));
    expect(writer.position).toBe(size);
    expect(writer.finish()).toEqual({ digest: digestOf(text, algorithm), size });
    expect(readFileSync(part.path, "utf8")).toBe(text);
  });

  test("works without a known size, and for nothing at all", () => {
    using part = file();
    using writer = openIngestWriter(part.path, { digest: digestOf(""), offset: 0 });
    expect(writer.finish()).toEqual({ digest: digestOf(""), size: 0 });
  });

  test("goes on after the kept bytes, and hands them out while it hashes them again", () => {
    using part = file();
    writeFileSync(part.path, `${text.slice(0, 5)}rubbish after the kept part`);
    const kept: string[] = [];
    const onKept = (chunk: Uint8Array) => void kept.push(Buffer.from(chunk).toString());
    using writer = openIngestWriter(part.path, { digest, size, offset: 5, onKept });
    expect(kept.join("")).toBe(text.slice(0, 5));
    expect(readFileSync(part.path, "utf8")).toBe(text.slice(0, 5));
    writer.write(Buffer.from(text.slice(5)));
    expect(writer.finish()).toEqual({ digest, size });
  });

  test("passes on what the receiver of the kept bytes throws", () => {
    using part = file();
    writeFileSync(part.path, text);
    const failure = Object.assign(new Error("not mine"), { code: "ENOSPC" });
    const onKept = () => {
      throw failure;
    };
    expect(() => openIngestWriter(part.path, { digest, size, offset: 3, onKept })).toThrow(failure);
  });

  test("refuses bytes beyond the size, and leaves none to resume from", () => {
    using part = file();
    using writer = openIngestWriter(part.path, { digest, size, offset: 0 });
    writer.write(Buffer.from(text));
    expect(codeOf(() => writer.write(Buffer.from("!")))).toBe("blob-size-mismatch");
    expect(readFileSync(part.path, "utf8")).toBe("");
  });

  test("keeps the bytes of a download that ended early", () => {
    using part = file();
    using writer = openIngestWriter(part.path, { digest, size, offset: 0 });
    writer.write(Buffer.from(text.slice(0, 7)));
    expect(codeOf(() => writer.finish())).toBe("blob-size-mismatch");
    expect(readFileSync(part.path, "utf8")).toBe(text.slice(0, 7));
  });

  test("empties the file when the bytes are others than promised", () => {
    using part = file();
    using writer = openIngestWriter(part.path, { digest, size, offset: 0 });
    writer.write(Buffer.from(text.toUpperCase()));
    let caught: unknown;
    try {
      writer.finish();
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({
      code: "blob-digest-mismatch",
      details: { expected: digest, found: digestOf(text.toUpperCase()) },
      hint: expect.any(String),
    });
    expect(readFileSync(part.path, "utf8")).toBe("");
  });

  test("finds kept bytes that went bad when it is finished", () => {
    using part = file();
    writeFileSync(part.path, "HELLO");
    using writer = openIngestWriter(part.path, { digest, size, offset: 5 });
    writer.write(Buffer.from(text.slice(5)));
    expect(codeOf(() => writer.finish())).toBe("blob-digest-mismatch");
  });

  test.each([
    ["beyond the file", 6],
    ["beyond the size", size + 1],
  ])("refuses an offset %s", (_, offset) => {
    using part = file();
    writeFileSync(part.path, "hello");
    expect(codeOf(() => openIngestWriter(part.path, { digest, size, offset }))).toBe("blob-size-mismatch");
  });

  test("never writes through a symbolic link", () => {
    using part = file();
    symlinkSync("target", part.path);
    expect(codeOf(() => openIngestWriter(part.path, { digest, size, offset: 0 }))).toBe("store-io");
  });

  test("says how much was needed when the disk is full", () => {
    using writer = openIngestWriter("/dev/full", { digest, size, offset: 0 });
    let caught: unknown;
    try {
      writer.write(Buffer.from(text));
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: "disk-full", details: { neededBytes: size, freeBytes: expect.any(Number) } });
  });

  test("explains a directory in its way", () => {
    using part = file();
    mkdirSync(part.path);
    expect(codeOf(() => openIngestWriter(part.path, { digest, size, offset: 0 }))).toBe("store-io");
  });

  test("works in a worker thread", async () => {
    using part = file();
    const source = `
      import { workerData, parentPort } from "node:worker_threads";
      const { openIngestWriter } = await import(workerData.module);
      const writer = openIngestWriter(workerData.path, { digest: workerData.digest, size: workerData.text.length, offset: 0 });
      writer.write(new TextEncoder().encode(workerData.text));
      parentPort.postMessage(writer.finish());`;
    const module = new URL("../../store/ingest-writer.ts", import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      workerData: { module, path: part.path, digest, text },
      execArgv: [],
    });
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.once("message", resolve).once("error", reject);
    expect(await promise).toEqual({ digest, size });
    await worker.terminate();
  });
});
