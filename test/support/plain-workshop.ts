/**
 * A workshop without a store, for tests of sources that use one: files in a temporary directory, work on the main thread.
 * It does what the contract in src/sources/source.ts says and remembers what it was asked for.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type TarEntry as TarHeader, TarReader } from "../../src/layers/tar-entries.ts";
import type { ScanOptions, TarScan, WantedBytes, Workshop } from "../../src/sources/source.ts";
import { verifyBytes } from "../../src/sources/verify-bytes.ts";
import { digestOf, parseDigest } from "../../store/index.ts";
import { openTempDir } from "./temp-dir.ts";

export interface PlainWorkshop extends AsyncDisposable {
  readonly workshop: Workshop;
  /** What was to be kept, in order of asking. */
  readonly kept: readonly WantedBytes[];
  /** Paths that were scanned. */
  readonly scanned: readonly string[];
  /** Offsets from which bytes were asked for, and those at which they began. */
  readonly opened: readonly { readonly asked: number; readonly got: number }[];
}

const ATTEMPTS = 5;

export async function openPlainWorkshop(): Promise<PlainWorkshop> {
  const directory = await openTempDir("workshop");
  const kept: WantedBytes[] = [];
  const scanned: string[] = [];
  const opened: { asked: number; got: number }[] = [];

  const fetch = async (wanted: WantedBytes): Promise<Buffer> => {
    let bytes = Buffer.alloc(0);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const asked = bytes.length;
        const { offset, body } = await wanted.open(asked, new AbortController().signal);
        opened.push({ asked, got: offset });
        bytes = bytes.subarray(0, offset);
        for await (const chunk of body) bytes = Buffer.concat([bytes, chunk]);
        return bytes;
      } catch (error) {
        const { details } = error as { details?: { temporary?: unknown } };
        if (details?.temporary !== true || attempt >= ATTEMPTS) throw error;
      }
    }
  };

  const workshop: Workshop = {
    async keep(wanted) {
      kept.push(wanted);
      const bytes = await fetch(wanted);
      const size = wanted.sizeBytes ?? bytes.length;
      const digest = wanted.digest ?? digestOf(bytes);
      verifyBytes(bytes, { digest, size }, wanted.what);
      const path = join(directory.path, digest.replace(":", "-"));
      await writeFile(path, bytes);
      return { digest, file: { path, offset: 0, sizeBytes: bytes.length } };
    },
    forget: () => {},
    async scanTar({ path, offset, sizeBytes }, options) {
      scanned.push(path);
      return await scan(expanded((await readFile(path)).subarray(offset, offset + sizeBytes)), options);
    },
    expand: (_, what) => Promise.reject(new Error(`this workshop cannot expand ${what}`)),
  };
  return { workshop, kept, scanned, opened, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

async function scan(tar: Buffer, { algorithm, documents: wanted = {} }: ScanOptions): Promise<TarScan> {
  const documents = new Map<string, Uint8Array>();
  const topLevel = new Set<string>();
  let entryCount = 0;
  let current: { readonly name: string; readonly chunks: Uint8Array[] } | undefined;
  const reader = new TarReader({
    begin(entry: TarHeader) {
      entryCount += 1;
      const name = entry.path.replace(/^(?:\.?\/)+/, "");
      topLevel.add(name.split("/")[0] ?? "");
      current = entry.type === "file" && Object.hasOwn(wanted, name) ? { name, chunks: [] } : undefined;
    },
    data: (chunk) => void current?.chunks.push(Buffer.from(chunk)),
    end() {
      if (current !== undefined) documents.set(current.name, Buffer.concat(current.chunks));
    },
  });
  reader.write(tar);
  reader.end();
  const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(tar).digest("hex")}`);
  return { digest, sizeBytes: tar.length, entryCount, documents, topLevel: [...topLevel] };
}

function expanded(bytes: Buffer): Buffer {
  const magic = bytes.subarray(0, 6).toString("hex");
  if (magic.startsWith("1f8b")) return gunzipSync(bytes);
  const program = magic.startsWith("425a68") ? "bzip2" : magic === "fd377a585a00" ? "xz" : undefined;
  return program === undefined ? bytes : execFileSync(program, ["-dc"], { input: bytes, maxBuffer: 1 << 30 });
}
