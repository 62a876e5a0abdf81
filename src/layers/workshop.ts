/**
 * The workshop that the provisioner lends to the sources (structural, as LayerOrigin is, since layers know nothing of
 * sources): it brings bytes in that have no name yet, reads tars and expands archives, all of it in workers.
 */
import { randomBytes } from "node:crypto";
import { closeSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DigestAlgorithm, digestOf, type StagedLayer } from "../../store/index.ts";
import type { Emit } from "../events.ts";
import { compressionOf, MAGIC_BYTES } from "../image/compression.ts";
import type { Decompressor } from "./decompress.ts";
import { feedWorker } from "./feed.ts";
import { openRegularSync } from "./input.ts";
import { type KeepContext, type Kept, keepBytes, type Wanted } from "./keep-bytes.ts";
import type { ExpandResult, FileRange, LayerBytes, ScanResult } from "./tasks.ts";
import { waitTurn } from "./wait-turn.ts";

export interface Scan {
  readonly algorithm: DigestAlgorithm;
  /** Regular files whose content is wanted, by name, with the most bytes that they may have. */
  readonly documents?: Readonly<Record<string, number>>;
}

export interface OpenWorkshop extends AsyncDisposable {
  /** Throws `blob-corrupt` for other bytes than were promised, `layer-too-large`, `disk-full`, and what `open` throws. */
  keep(wanted: Wanted): Promise<Kept>;
  /** Throws `layer-invalid`, `layer-escape`, `layer-too-large`, `layer-unsupported`. */
  scanTar(file: FileRange, options: Scan): Promise<ScanResult>;
  /** The next `keep` under that key asks for everything anew. */
  forget(key: string): void;
  /** A file that is not compressed is its own expansion. Throws as `scanTar`, and `disk-full`. */
  expand(bytes: FileRange | AsyncIterable<Uint8Array>, what: string): Promise<FileRange>;
}

/** Disposing removes what was expanded. What was kept stays, held by the lease. */
export function openWorkshop(context: KeepContext): OpenWorkshop {
  const { store, pool, emit, signal, limits } = context;
  const expansions = new DisposableStack();
  const flights = new Map<string, Promise<Kept>>();
  /** Paths in the store say nothing to anybody: what was kept is told by the name that it was kept under. */
  const names = new Map<string, string>();
  const expand = async (bytes: LayerBytes | AsyncIterable<Uint8Array>, what: string): Promise<FileRange> => {
    const staged = expansions.use(await stageDirectory(context));
    const path = join(staged.path, "expanded");
    const run = (from: LayerBytes, within: AbortSignal): Promise<ExpandResult> => {
      const task = { kind: "expand", bytes: from, path, what, ...limits } as const;
      return pool.run(task, { signal: within, transfer: "port" in from ? [from.port] : [] });
    };
    try {
      const made = isStream(bytes) ? feedWorker((port) => port.writeAll(bytes), run, signal) : run(bytes, signal);
      return { path, offset: 0, sizeBytes: (await made).sizeBytes };
    } catch (error) {
      // now and not at the end, and the file before its row: it may be what fills the disk, and the index needs room too
      rmSync(path, { force: true });
      staged[Symbol.dispose]();
      throw error;
    }
  };
  const keepNamed = async (wanted: Wanted): Promise<Kept> => {
    const kept = await keepBytes(wanted, context);
    names.set(kept.file.path, wanted.what);
    return kept;
  };
  const decide = (what: string, why: string): void =>
    emit({ type: "decision", topic: "archive", message: `expanding ${what} in the store: ${why}` });
  return {
    keep(wanted) {
      // an image may need the same thing twice, and without a name the store cannot tell that it is here
      const key = flightKey(wanted);
      const flight = (key === undefined ? undefined : flights.get(key)) ?? keepNamed(wanted);
      if (key === undefined) return flight;
      flights.set(key, flight);
      flight.catch(() => flights.delete(key));
      return flight;
    },
    forget(key) {
      store.blobs.forgetUnnamed(key);
      const flight = flightKey({ key });
      if (flight !== undefined) flights.delete(flight);
    },
    async scanTar(file, { algorithm, documents = {} }) {
      const progress = scanProgress(names.get(file.path) ?? file.path, emit);
      const task = { kind: "scan", file, algorithm, documents, limits } as const;
      const result = await pool.run(task, { signal, onProgress: progress.going });
      progress.done(result.sizeBytes);
      return result;
    },
    async expand(bytes, what) {
      if (isStream(bytes)) {
        decide(what, "it comes as a stream");
        return await expand(bytes, what);
      }
      const compression = compressionIn(bytes);
      if (compression === "none") return bytes;
      decide(what, `it is compressed (${compression})`);
      return await expand({ file: bytes }, what);
    },
    async [Symbol.asyncDispose]() {
      expansions.dispose();
    },
  };
}

/** Undefined where nothing tells what is wanted from the next version of it. */
function flightKey({ digest, key }: Pick<Wanted, "digest" | "key">): string | undefined {
  return digest === undefined && key === "" ? undefined : `${digest ?? ""} ${key}`;
}

interface ScanProgress {
  readonly going: (doneBytes: number) => void;
  readonly done: (sizeBytes: number) => void;
}

/** Told as a download is: something of a size that is not known, of which there is more and more. Short ones are not told. */
function scanProgress(what: string, emit: Emit): ScanProgress {
  let told = false;
  const tell = (state: "started" | "going" | "done", doneBytes: number): void =>
    emit({ type: "download", what: `the content of ${what}`, state, doneBytes });
  return {
    going(doneBytes) {
      tell(told ? "going" : "started", doneBytes);
      told = true;
    },
    done(sizeBytes) {
      if (told) tell("done", sizeBytes);
    },
  };
}

function isStream(bytes: object): bytes is AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in bytes;
}

function compressionIn({ path, offset, sizeBytes }: FileRange): Decompressor["name"] {
  const head = Buffer.alloc(Math.min(MAGIC_BYTES, sizeBytes));
  const fd = openRegularSync(path);
  try {
    return compressionOf(head.subarray(0, readSync(fd, head, 0, head.length, offset)));
  } finally {
    closeSync(fd);
  }
}

/** A place in the store that goes with its maker, whatever happens to that: what is staged and never committed. */
async function stageDirectory({ store, lease, signal }: KeepContext): Promise<StagedLayer> {
  const key = digestOf(randomBytes(32));
  const claim = await waitTurn(() => store.layers.stage({ key, kind: "layer", lease }), signal);
  if (claim.state === "present") throw new RangeError("a random key is in use");
  return claim.staged;
}
