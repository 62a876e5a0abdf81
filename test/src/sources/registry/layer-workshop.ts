/**
 * A workshop for layers whose digests are known: what is kept is verified, and asked for again when it was wrong, which is
 * what converting schema 1 needs of it. Tars are gzipped or not at all.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { AppError } from "../../../../src/errors.ts";
import type { WantedBytes, Workshop } from "../../../../src/sources/source.ts";
import { digestOf, parseDigest } from "../../../../store/index.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { NO_WORKSHOP } from "../../../support/workshop.ts";

export interface LayerWorkshop extends AsyncDisposable {
  readonly workshop: Workshop;
  /** What was asked for, in order. */
  readonly kept: readonly WantedBytes[];
}

export async function openLayerWorkshop(): Promise<LayerWorkshop> {
  const directory = await openTempDir("workshop");
  const kept: WantedBytes[] = [];
  const workshop: Workshop = {
    ...NO_WORKSHOP,
    async keep(wanted) {
      kept.push(wanted);
      const bytes = await readAll(wanted);
      const digest = digestOf(bytes);
      if (wanted.digest !== undefined && wanted.digest !== digest) {
        throw new AppError("blob-corrupt", `Cannot use ${wanted.what}: its digest is ${digest}`);
      }
      const path = join(directory.path, digest.replace(":", "-"));
      await writeFile(path, bytes);
      return { digest, file: { path, offset: 0, sizeBytes: bytes.length } };
    },
    async scanTar({ path }, { algorithm }) {
      const bytes = await readFile(path);
      const tar = bytes[0] === 0x1f ? gunzipSync(bytes) : bytes;
      const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(tar).digest("hex")}`);
      return { digest, sizeBytes: tar.length, entryCount: 0, documents: new Map(), topLevel: [] };
    },
  };
  return { workshop, kept, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

/** Goes on where a connection broke, once. */
async function readAll({ open }: WantedBytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const length = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { offset, body } = await open(length(), new AbortController().signal);
      if (offset !== length()) throw new Error("this workshop only appends");
      for await (const chunk of body) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    } catch (error) {
      if (attempt > 1 || !(error instanceof AppError) || error.code !== "registry-unreachable") throw error;
    }
  }
}
