/**
 * One layer in one pass: transported bytes → (ingest file, digest) → decompressed → DiffID → tar → tree and index.
 * Runs in a worker. Nothing is believed before the end: size, digest and DiffID must all match or it throws, and the
 * staged directory is thrown away by whoever asked.
 */
import { writeFileSync } from "node:fs";
import { algorithmOf, createHasher, type Hasher, type IngestWriter, openIngestWriter } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { LayerApplier } from "./apply.ts";
import { type Decompressor, MAGIC_BYTES, openDecompressor } from "./decompress.ts";
import { encodeEntryIndex } from "./entry-index.ts";
import { readChunks, readFileRange } from "./input.ts";
import { openLayerTree } from "./layer-tree.ts";
import { tooLarge } from "./limits.ts";
import { TarReader } from "./tar-entries.ts";
import type { UnpackResult, UnpackTask } from "./tasks.ts";

export async function unpackLayer(task: UnpackTask, onProgress: (doneBytes: number) => void): Promise<UnpackResult> {
  using tree = openLayerTree(task.fsPath, task.privileged);
  const applier = new LayerApplier(tree, task.limits);
  const content = new TarContent(new TarReader(applier), createHasher(algorithmOf(task.diffId)), task.limits.maxBytes);
  const resumeAt = task.ingest?.offset ?? 0;
  if (task.ingest !== undefined && resumeAt > 0) {
    const kept = { path: task.ingest.path, offset: 0, sizeBytes: resumeAt };
    for (const chunk of readFileRange(kept)) await content.write(chunk);
  }
  using transport = new Transport(task);
  let doneBytes = resumeAt;
  for await (const chunk of readChunks(task.bytes)) {
    transport.write(chunk);
    await content.write(chunk);
    doneBytes += chunk.length;
    onProgress(doneBytes);
  }
  const blob = transport.finish();
  const found = await content.finish();
  if (found !== task.diffId) {
    throw new AppError("layer-corrupt", `Cannot unpack layer ${task.diffId}: its content is ${found}`, {
      hint: "the image's configuration and its layers do not belong together; pull it from its origin again",
      details: { expected: task.diffId, found },
    });
  }
  const entries = applier.finish();
  writeFileSync(task.indexPath, encodeEntryIndex(entries), { mode: 0o600, flag: "wx" });
  const sizeBytes = entries.reduce((sum, entry) => sum + entry.size, 0);
  return { blob, entryCount: entries.length, sizeBytes, markersRefused: tree.markersRefused };
}

/** The bytes as transported: kept, or only hashed, or (when their digest is the DiffID) checked by that alone. */
class Transport implements Disposable {
  readonly #task: UnpackTask;
  readonly #writer: IngestWriter | undefined;
  readonly #hasher: Hasher | undefined;
  #size = 0;

  constructor(task: UnpackTask) {
    this.#task = task;
    const { digest, sizeBytes } = task.blob;
    if (task.ingest !== undefined) {
      this.#writer = openIngestWriter(task.ingest.path, { digest, size: sizeBytes, offset: task.ingest.offset });
    } else if (digest !== task.diffId) this.#hasher = createHasher(algorithmOf(digest));
  }

  write(chunk: Uint8Array): void {
    this.#size += chunk.length;
    this.#writer?.write(chunk);
    this.#hasher?.update(chunk);
  }

  finish(): UnpackResult["blob"] {
    if (this.#writer !== undefined) return this.#writer.finish();
    const { digest, sizeBytes } = this.#task.blob;
    const found = this.#hasher?.digest() ?? digest;
    if (this.#size !== sizeBytes || found !== digest) {
      throw new AppError(
        "blob-corrupt",
        `Cannot unpack layer ${digest}: the bytes are ${found}, ${this.#size} of ${sizeBytes} bytes`,
        {
          hint: "the archive is damaged or was changed while it was read",
          details: { expected: digest, found, expectedBytes: sizeBytes, foundBytes: this.#size },
        },
      );
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#writer?.abort();
  }
}

/** The uncompressed side: DiffID over the whole stream, zeros behind the archive's end included. */
class TarContent {
  readonly #tar: TarReader;
  readonly #hasher: Hasher;
  readonly #maxBytes: number;
  #head: Uint8Array | undefined = new Uint8Array(0);
  #decompressor: Decompressor | undefined;
  #size = 0;

  constructor(tar: TarReader, hasher: Hasher, maxBytes: number) {
    this.#tar = tar;
    this.#hasher = hasher;
    this.#maxBytes = maxBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let input = chunk;
    if (this.#head !== undefined) {
      input = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      if (input.length < MAGIC_BYTES) {
        this.#head = Buffer.from(input);
        return;
      }
      this.#head = undefined;
    }
    this.#decompressor ??= openDecompressor(input);
    await this.#consume(this.#decompressor.write(input));
  }

  async finish(): Promise<string> {
    const head = this.#head ?? new Uint8Array(0);
    this.#decompressor ??= openDecompressor(head);
    await this.#consume(this.#decompressor.write(head));
    await this.#consume(this.#decompressor.end());
    await this.#tar.end();
    return this.#hasher.digest();
  }

  async #consume(output: Iterable<Uint8Array>): Promise<void> {
    for (const chunk of output) {
      if (chunk.length === 0) continue;
      this.#size += chunk.length;
      if (this.#size > this.#maxBytes) throw tooLarge(`more than ${this.#maxBytes} bytes`, "max_bytes");
      this.#hasher.update(chunk);
      await this.#tar.write(chunk);
    }
  }
}
