/**
 * An ACI with all that it depends on, each proved to be what was asked for. An image that is reached in several ways is
 * fetched and read once; siblings are fetched side by side.
 */
import type { Digest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { AciDependency } from "../../image/aci-manifest.ts";
import { type Labels, labelOf, requireLabels, wantedPlatform } from "../../image/appc-platform.ts";
import {
  type AppcReference,
  checkAppcReference,
  formatAppcReference,
  formatImageId,
} from "../../image/appc-reference.ts";
import type { Platform } from "../../image/platform.ts";
import { quoted } from "../../image/remote-text.ts";
import type { Aci } from "./load-aci.ts";
import { PartBudget } from "./part-budget.ts";

/** One place in the tree: an image may have several. */
export interface AciNode {
  readonly aci: Aci;
  /** In the order of the manifest: the first is laid down first. */
  readonly dependencies: readonly AciNode[];
}

export interface DependencyContext {
  /** Finds and loads; equal requests are answered by one fetch. `parent` is who asks. */
  readonly load: (reference: AppcReference, request: LoadRequest) => Promise<Aci>;
  /** What images are looked for where they do not say it themselves. */
  readonly platform: Platform;
  /** Aborted with the first error, so that nothing is fetched in vain. */
  readonly failed: AbortController;
}

export interface LoadRequest {
  readonly platform: Platform;
  readonly parent?: Aci;
  /** Bytes that the dependency's manifest promises. */
  readonly size?: number;
}

/** No image of the real world comes near; an endless chain would, if nobody counted. */
const MAX_DEPTH = 64;
const MAX_IMAGES = 256;

/** Throws AppErrors `dependency-cycle`, `aci-invalid`, `blob-corrupt`, `platform-unknown`, and those of `load`. */
export async function expandDependencies(aci: Aci, context: DependencyContext): Promise<AciNode> {
  let count = 0;
  const budget = new PartBudget();
  const expand = async (image: Aci, trail: readonly Aci[]): Promise<AciNode> => {
    const path = [...trail, image];
    refuseCycle(image, trail);
    count += 1;
    if (count > MAX_IMAGES)
      throw tooMany(path, `it has more than ${MAX_IMAGES} dependencies, counted as often as they occur`);
    if (path.length > MAX_DEPTH) throw tooMany(path, `its dependencies are more than ${MAX_DEPTH} deep`);
    // before what it depends on is fetched, and long before any list is copied
    budget.add(path);
    const settled = await Promise.allSettled(
      image.manifest.dependencies.map(async (dependency) => {
        try {
          return await expand(await loadDependency(dependency, image, context), path);
        } catch (error) {
          context.failed.abort(error);
          throw error;
        }
      }),
    );
    // all have stopped before the first error is told
    if (context.failed.signal.aborted) throw context.failed.signal.reason;
    const dependencies = settled.map((outcome) => (outcome as PromiseFulfilledResult<AciNode>).value);
    return { aci: image, dependencies };
  };
  return await expand(aci, []);
}

/** Throws AppErrors `aci-invalid`, `blob-corrupt`, `platform-unknown` unless the ACI is what was asked for. */
export function verifyAci(aci: Aci, asked: AppcReference, platform: Platform): Platform {
  const { manifest, imageId, where } = aci;
  if (asked.imageId !== undefined) verifyImageId(aci, asked.imageId);
  if (asked.name !== undefined && asked.name !== manifest.name) {
    throw mismatch(where, `its name is ${quoted(manifest.name)} where ${quoted(asked.name)} was asked for`);
  }
  for (const [label, value] of Object.entries(asked.labels)) {
    const found = labelOf(manifest.labels, label);
    if (found === value) continue;
    const is = found === undefined ? `it has no label ${label}` : `its label ${label} is ${quoted(found)}`;
    const hint =
      label === "version" && value === "latest"
        ? "leave the version out to take whatever is there as the latest"
        : "labels that are asked for must be in the image's manifest, and equal";
    throw mismatch(where, `${is} where ${quoted(value)} was asked for`, hint);
  }
  return requireLabels(manifest.labels, wantedPlatform(asked.labels, platform), `${where} (${formatImageId(imageId)})`);
}

function verifyImageId({ imageId, where }: Aci, expected: Digest): void {
  if (imageId === expected) return;
  const why = `its image ID is ${formatImageId(imageId)} instead of ${formatImageId(expected)}`;
  throw new AppError("blob-corrupt", `Cannot use ${where}: ${why}`, {
    hint: "another image lies there than the one that was meant; ask whoever published it, or leave the ID out",
    details: { expected, found: imageId },
  });
}

async function loadDependency(dependency: AciDependency, parent: Aci, context: DependencyContext): Promise<Aci> {
  const { imageName: name, labels, imageId, size } = dependency;
  const reference = referenceTo({ name, labels, ...(imageId !== undefined && { imageId }) });
  const request = { platform: context.platform, parent, ...(size !== undefined && { size }) };
  const aci = await context.load(reference, request);
  verifyAci(aci, reference, context.platform);
  // aci.md does not say whether the size is that of the archive as it is fetched, or of the tar in it
  if (size !== undefined && size !== aci.file.sizeBytes && size !== aci.tarBytes) {
    const why = `it has ${aci.file.sizeBytes} bytes (${aci.tarBytes} uncompressed) where ${parent.manifest.name} depends on ${size}`;
    throw new AppError("aci-invalid", `Cannot use ${aci.where}: ${why}`, {
      details: { expectedBytes: size, foundBytes: aci.file.sizeBytes, tarBytes: aci.tarBytes },
    });
  }
  return aci;
}

function referenceTo(parts: {
  readonly name: string;
  readonly labels: Labels;
  readonly imageId?: Digest;
}): AppcReference {
  return checkAppcReference(parts);
}

function refuseCycle(image: Aci, trail: readonly Aci[]): void {
  const start = trail.findIndex(({ imageId }) => imageId === image.imageId);
  if (start < 0) return;
  const names = [...trail.slice(start), image].map(({ manifest }) => manifest.name);
  throw new AppError("dependency-cycle", `Cannot use ${names[0]}: it depends on itself: ${names.join(" → ")}`, {
    hint: "one of these images must stop depending on the next",
    details: {
      images: [...trail.slice(start), image].map(({ manifest }) => formatAppcReference({ kind: "appc", ...manifest })),
    },
  });
}

function tooMany([top]: readonly Aci[], why: string): AppError {
  return new AppError("aci-invalid", `Cannot use ${top?.manifest.name}: ${why}`);
}

function mismatch(where: string, why: string, hint?: string): AppError {
  return new AppError("aci-invalid", `Cannot use ${where}: ${why}`, { ...(hint !== undefined && { hint }) });
}
