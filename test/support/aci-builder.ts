/** Builds ACIs from a manifest and the entries of its root file system; everything can be wrong on purpose. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { buildLayer, type TarEntry } from "./tar-builder.ts";

export interface AciInput {
  /** Default: `example.com/app`. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Replaces or adds manifest fields. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Below `rootfs/`, without it. Default: one file. */
  readonly rootfs?: readonly TarEntry[];
  /** Instead of `manifest`, `rootfs/` and what is below. */
  readonly entries?: readonly TarEntry[];
  /** Default: "gzip". xz and bzip2 are the real programs. */
  readonly compression?: "none" | "gzip" | "xz" | "bzip2";
}

export interface BuiltAci {
  readonly bytes: Buffer;
  readonly tar: Buffer;
  /** As Appc writes it: `sha512-…`. */
  readonly imageId: string;
  readonly manifest: Buffer;
}

export function buildAci(input: AciInput = {}): BuiltAci {
  const manifest = Buffer.from(JSON.stringify(aciManifest(input)));
  const rootfs = input.rootfs ?? [{ name: "hello", content: `I am ${input.name ?? "example.com/app"}\n` }];
  const tar = buildLayer(
    input.entries ?? [
      { name: "manifest", content: manifest },
      { name: "rootfs/", type: "dir" },
      ...rootfs.map((entry) => ({ ...entry, name: `rootfs/${String(entry.name)}` })),
    ],
  );
  const imageId = `sha512-${createHash("sha512").update(tar).digest("hex")}`;
  return { bytes: compressed(tar, input.compression ?? "gzip"), tar, imageId, manifest };
}

export function aciManifest({ name = "example.com/app", labels = {}, manifest = {} }: AciInput = {}): object {
  return { acKind: "ImageManifest", acVersion: "0.8.11", name, labels: labelList(labels), ...manifest };
}

export function labelList(labels: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value }));
}

/** Writes an ACI below a directory, under the name by which simple discovery looks for it. */
export async function writeAci(path: string, aci: BuiltAci): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, aci.bytes);
}

function compressed(tar: Buffer, compression: NonNullable<AciInput["compression"]>): Buffer {
  if (compression === "none") return tar;
  if (compression === "gzip") return gzipSync(tar);
  return execFileSync(compression, ["-c"], { input: tar, maxBuffer: 1 << 30 });
}
