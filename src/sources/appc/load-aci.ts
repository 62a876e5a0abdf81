/**
 * From an ACI that was found to one that is here, whole, and known: image ID, manifest, and what else the archive has.
 * It is unpacked later; nothing of what it says about itself has been compared with what was asked for yet.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createHasher, type Digest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { type AciManifest, MAX_ACI_MANIFEST_BYTES, parseAciManifest } from "../../image/aci-manifest.ts";
import { listed } from "../../image/remote-text.ts";
import type { FileRange, Workshop } from "../source.ts";
import type { FoundAci } from "./found-aci.ts";

export interface Aci {
  readonly where: string;
  readonly url?: URL;
  /** sha512 of the uncompressed tar (aci.md, "Image ID"). */
  readonly imageId: Digest;
  readonly manifest: AciManifest;
  readonly manifestBytes: Uint8Array;
  /** The archive as it is transported. */
  readonly file: FileRange;
  readonly blobDigest: Digest;
  readonly keepBlob: boolean;
  readonly tarBytes: number;
}

export interface Loading {
  readonly workshop: Workshop;
  readonly emit: Emit;
  /** Bytes that an archive may have at most, where that is known before. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** Throws AppErrors `aci-invalid`, `layer-too-large`, `layer-unsupported`, and those of whoever brings the bytes. */
export async function loadAci(found: FoundAci, loading: Loading): Promise<Aci> {
  const { where, bytes } = found;
  if ("file" in bytes) return await readAci(found, { file: bytes.file }, loading);
  for (let attempt = 1; ; attempt += 1) {
    const kept = await loading.workshop.keep(wanted(found, bytes, loading));
    try {
      return await readAci(found, { file: kept.file, digest: kept.digest }, loading);
    } catch (error) {
      if (!(error instanceof AppError) || error.kind !== "integrity") throw error;
      // nobody promised a digest, so that any bytes were taken: they must not stand for the image for ever
      loading.workshop.forget(bytes.key);
      if (attempt > 1 || !mayBeBroken(found, error)) throw error;
      loading.emit({ type: "warning", message: `${error.message}; fetching ${where} again from its start` });
    }
  }
}

/** Whether the fault may be the transfer's: what is no archive any more, or may have ended early without anybody's notice. */
function mayBeBroken({ sizeBytes }: FoundAci, { cause }: AppError): boolean {
  return sizeBytes === undefined || (cause instanceof AppError && cause.code === "layer-invalid");
}

interface HereAci {
  readonly file: FileRange;
  /** Of the archive as it is transported; when it was kept. */
  readonly digest?: Digest;
}

async function readAci(found: FoundAci, { file, digest }: HereAci, { workshop, signal }: Loading): Promise<Aci> {
  const { where } = found;
  signal?.throwIfAborted();
  const options = { algorithm: "sha512", documents: { manifest: MAX_ACI_MANIFEST_BYTES } } as const;
  const scan = await workshop.scanTar(file, options).catch((error: unknown) => {
    throw error instanceof AppError ? unreadable(where, file, error) : error;
  });
  const manifestBytes = scan.documents.get("manifest");
  if (!isAci(scan.topLevel)) {
    throw invalid(
      where,
      `manifest and rootfs, and nothing else, should be at its top; there is ${listed(scan.topLevel) || "nothing"}`,
    );
  }
  if (manifestBytes === undefined) throw invalid(where, "its manifest is no regular file");
  return {
    where,
    ...(found.url !== undefined && { url: found.url }),
    imageId: scan.digest,
    manifest: parseAciManifest(manifestBytes, where),
    manifestBytes,
    file,
    blobDigest: digest ?? ((await isCompressed(file)) ? await digestOfFile(file, signal) : scan.digest),
    keepBlob: digest !== undefined,
    tarBytes: scan.sizeBytes,
  };
}

/** Whether a tar with these names at its top has the layout of an ACI (aci.md, "Image Archives"). */
export function isAci(topLevel: readonly string[]): boolean {
  return topLevel.length === 2 && ["manifest", "rootfs"].every((name) => topLevel.includes(name));
}

function wanted(
  { where, sizeBytes }: FoundAci,
  { key, open: openAci }: Extract<FoundAci["bytes"], { readonly key: string }>,
  { maxBytes, signal: stop }: Loading,
): Parameters<Workshop["keep"]>[0] {
  if (maxBytes !== undefined && sizeBytes !== undefined && sizeBytes > maxBytes) throw tooLong(where, maxBytes);
  return {
    key,
    what: where,
    ...(sizeBytes !== undefined && { sizeBytes }),
    open: async (from, signal) => {
      const { offset, body } = await openAci(from, stop === undefined ? signal : AbortSignal.any([signal, stop]));
      return {
        offset,
        body: maxBytes === undefined ? body : atMost(body, maxBytes - offset, () => tooLong(where, maxBytes)),
      };
    },
  };
}

async function* atMost(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  error: () => AppError,
): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > limit) throw error();
    yield chunk;
  }
}

/** gzip, bzip2, xz, zstd with or without a skippable frame before it. */
const COMPRESSED = /^(?:1f8b|425a68|fd377a585a00|28b52ffd|5[0-9a-f]2a4d18)/;

async function isCompressed({ path, offset }: FileRange): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(6), 0, 6, offset);
    return COMPRESSED.test(buffer.subarray(0, bytesRead).toString("hex"));
  } finally {
    await handle.close();
  }
}

/** Only compressed files in place come here: of all others a digest is known already. */
async function digestOfFile({ path, offset, sizeBytes }: FileRange, signal?: AbortSignal): Promise<Digest> {
  const hasher = createHasher("sha256");
  const range = { start: offset, end: offset + sizeBytes - 1, highWaterMark: 1024 * 1024, signal };
  for await (const chunk of createReadStream(path, range)) hasher.update(chunk as Buffer);
  return hasher.digest();
}

/** Where the workshop has put the archive is nobody's business, and says nothing. */
function unreadable(where: string, { path }: FileRange, cause: AppError): AppError {
  const { code, message, details, hint } = cause;
  const prefix = `Cannot read ${path}: `;
  if (!message.startsWith(prefix)) return cause;
  const why = message.slice(prefix.length);
  if (code !== "layer-invalid")
    return new AppError(code, `Cannot use ${where}: ${why}`, { ...(hint !== undefined && { hint }), details, cause });
  return new AppError("aci-invalid", `Cannot use ${where}: it is no ACI, or a damaged one (${why})`, {
    hint: "an ACI is a tar archive, plain or compressed by gzip, bzip2 or xz; encrypted ones cannot be read",
    details,
    cause,
  });
}

function tooLong(where: string, maxBytes: number): AppError {
  return invalid(where, `it has more than the ${maxBytes} bytes that an image of the promised size can have`);
}

function invalid(where: string, why: string): AppError {
  return new AppError("aci-invalid", `Cannot use ${where}: ${why}`, { details: { temporary: false } });
}
