/**
 * One layer in one pass: transported bytes → (ingest file, digest) → decompressed → DiffID → tar → tree and index.
 * Runs in a worker. Nothing is believed before the end: size, digest and DiffID must all match or it throws, and the
 * staged directory is thrown away by whoever asked.
 */
import { writeFileSync } from "node:fs";
import {
  algorithmOf,
  createHasher,
  type Hasher,
  type IngestWriter,
  openIngestWriter,
  StoreError,
} from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { LayerApplier } from "./apply.ts";
import { encodeEntryIndex } from "./entry-index.ts";
import { readChunks, readFileRange } from "./input.ts";
import { openLayerTree } from "./layer-tree.ts";
import { TarPart } from "./part.ts";
import { explainRefusals } from "./refused.ts";
import { TarReader } from "./tar-entries.ts";
import type { UnpackResult, UnpackTask } from "./tasks.ts";
import { TarContent } from "./uncompressed.ts";

/** Throws as the tar reader and the applier do, and `layer-unsupported` for what this machine cannot have. */
export function unpackLayer(task: UnpackTask, onProgress: (doneBytes: number) => void): Promise<UnpackResult> {
  return explainRefusals(`unpack layer ${task.diffId}`, () => unpack(task, onProgress));
}

async function unpack(task: UnpackTask, onProgress: (doneBytes: number) => void): Promise<UnpackResult> {
  using tree = openLayerTree(task.fsPath, task.privileged);
  const part = task.part === undefined ? undefined : new TarPart(task.part);
  using applier = new LayerApplier(tree, task.limits, part);
  const content = new TarContent(new TarReader(applier), createHasher(algorithmOf(task.diffId)), task.limits);
  const resumeAt = task.ingest?.offset ?? 0;
  if (task.ingest !== undefined && resumeAt > 0) {
    const kept = { path: task.ingest.path, offset: 0, sizeBytes: resumeAt };
    for (const chunk of readFileRange(kept)) await content.write(chunk);
  }
  using transport = new Transport(task);
  let doneBytes = resumeAt;
  let malformed: unknown;
  for await (const chunk of readChunks(task.bytes)) {
    transport.write(chunk);
    if (malformed === undefined) malformed = await integrityFailure(() => content.write(chunk));
    doneBytes += chunk.length;
    onProgress(doneBytes);
  }
  // bytes that are not those that were promised may say anything: that they are not is what matters then
  const blob = transport.finish();
  if (malformed !== undefined) throw malformed;
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

/** The failure, if it is one that wrong bytes could have caused; others are thrown. */
async function integrityFailure(action: () => Promise<void>): Promise<AppError | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.kind === "integrity") return error;
    throw error;
  }
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
    const { digest, sizeBytes } = this.#task.blob;
    if (this.#writer !== undefined) return finished(this.#writer);
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

/** The store speaks of blobs; what it found is told as all that is found while a layer is unpacked. */
function finished(writer: IngestWriter): UnpackResult["blob"] {
  try {
    return writer.finish();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "blob-digest-mismatch") throw error;
    const { expected, found } = error.details;
    throw new AppError("blob-corrupt", `Cannot unpack layer ${String(expected)}: the bytes are ${String(found)}`, {
      hint: "its origin sent other bytes than it promised; try again, or another mirror",
      details: { expected, found },
      cause: error,
    });
  }
}
