/** Unpacks a layer in this thread, into a directory of its own, the way a worker does. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Entry } from "../../src/layers/entry.ts";
import { decodeEntryIndex } from "../../src/layers/entry-index.ts";
import { DEFAULT_LIMITS, type LayerLimits } from "../../src/layers/limits.ts";
import type { PartOptions } from "../../src/layers/part.ts";
import type { UnpackResult } from "../../src/layers/tasks.ts";
import { unpackLayer } from "../../src/layers/unpack.ts";
import { digestOf } from "../../store/index.ts";
import { buildLayer, type TarEntry } from "./tar-builder.ts";
import { openTempDir, type TempDir } from "./temp-dir.ts";

export interface Unpacked {
  readonly fsPath: string;
  readonly indexPath: string;
  readonly result: UnpackResult;
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface UnpackOptions {
  /** Default: whether this is root. */
  readonly privileged?: boolean;
  readonly limits?: Partial<LayerLimits>;
  readonly part?: PartOptions;
  /** What is transported for the layer's tar. Default: the tar itself. */
  readonly blob?: Buffer;
}

export interface Unpacker extends AsyncDisposable {
  /** The directory around all layers; a canary `outside/secret` lies beside them. */
  readonly path: string;
  unpack(layer: readonly TarEntry[] | Buffer, options?: UnpackOptions): Promise<Unpacked>;
}

export async function openUnpacker(): Promise<Unpacker> {
  const temp: TempDir = await openTempDir("unpack");
  await mkdir(join(temp.path, "outside"));
  writeFileSync(join(temp.path, "outside/secret"), "untouched");
  let count = 0;
  return {
    path: temp.path,
    async unpack(layer, { privileged = process.getuid?.() === 0, limits = {}, part, blob } = {}) {
      const tar = Buffer.isBuffer(layer) ? layer : buildLayer(layer as readonly TarEntry[]);
      const transported = blob ?? tar;
      count += 1;
      const base = join(temp.path, `layer-${count}`);
      const fsPath = join(base, "fs");
      const indexPath = join(base, "index");
      await mkdir(fsPath, { recursive: true });
      const path = join(temp.path, `layer-${count}.tar`);
      writeFileSync(path, transported);
      const diffId = digestOf(tar);
      const result = await unpackLayer(
        {
          kind: "unpack",
          diffId,
          bytes: { file: { path, offset: 0, sizeBytes: transported.length } },
          blob: { digest: digestOf(transported), sizeBytes: transported.length },
          fsPath,
          indexPath,
          privileged,
          ...(part !== undefined && { part }),
          limits: { ...DEFAULT_LIMITS, ...limits },
        },
        () => {},
      );
      const entries = decodeEntryIndex(readFileSync(indexPath), indexPath);
      return { fsPath, indexPath, result, entries: new Map(entries.map((entry) => [entry.path, entry])) };
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}
