/**
 * Takes the images of an archive, a layout or a stream into the store under the names that they have in it. What can be
 * found wrong without unpacking is found first, in all of them: names, types, platforms, manifests and configurations.
 */
import type { Image, Lease } from "../../store/index.ts";
import { AppError, toAppError } from "../errors.ts";
import { hostPlatform, type Platform, platformDistance } from "../image/platform.ts";
import { parseReference } from "../image/reference.ts";
import type { Import, ImportedImage, ImportInput } from "../sources/index.ts";
import type { ResolvedImage } from "../sources/source.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import { ambiguous, nameless, noneServes, tooManyNames, tooMuch } from "./import-errors.ts";
import { takeIn, tellResolved } from "./pull.ts";
import { resolveContext } from "./resolve-context.ts";
import { servingImages } from "./serving-images.ts";

export type { ImportInput } from "../sources/index.ts";

export interface ImportRequest {
  readonly input: ImportInput;
  /** For people: the path, or `standard input`. */
  readonly what: string;
  /** Canonical names to give to the only image that there is for the platform, instead of its own. */
  readonly names?: readonly string[];
  readonly platform?: Platform;
  /** Told after each image: what is in the store by then stays there, whatever becomes of the others. */
  readonly onTaken?: (images: readonly Image[]) => void;
}

/** Every name is a row of the store, and a name is a few bytes of an archive. */
const MAX_NAMES = 1000;

/** Manifests and configurations of all images are kept until the last is resolved. */
const MAX_DOCUMENT_BYTES = 128 * 1024 * 1024;

/**
 * Throws `archive-ambiguous` where names are given for several images, or none are known for one, `platform-unknown` where
 * none is for the platform, `provider-disabled`; and, when some are in the store already, `partial-failure`.
 */
export async function importImages(
  context: ProvisionerContext,
  request: ImportRequest,
  lease: Lease,
  call: Call,
): Promise<readonly Image[]> {
  const platform = request.platform ?? hostPlatform();
  const sources = await context.sources();
  await using resolving = resolveContext(context, { platform }, lease, call);
  await using archive = await sources.openImport(request.input, resolving.context);
  const named = nameImages(archive.images, platform, request, call);
  for (const { image, names } of named) await checkProvider(context, image, names, call);
  const resolved = await resolveAll(archive, named, platform, request, call);
  return await takeAll(context, resolved, { ...request, platform }, lease, call);
}

interface NamedImage {
  readonly image: Indexed;
  /** At least one. */
  readonly names: readonly string[];
}

type Indexed = ImportedImage & { readonly index: number };

function nameImages(
  images: readonly ImportedImage[],
  platform: Platform,
  { names: given = [], what }: ImportRequest,
  { emit }: Call,
): readonly NamedImage[] {
  const indexed = images.map((image, index): Indexed => ({ ...image, index }));
  const serving = servingImages(indexed, platform, emit);
  if (serving.length === 0) throw noneServes(what, images, platform);
  if (given.length > 0 && serving.length > 1) throw ambiguous(what, serving);
  const unnamed = given.length > 0 ? [] : serving.filter(({ names }) => names.length === 0);
  if (unnamed.length > 0) throw nameless(what, unnamed, serving);
  const count = serving.reduce((sum, { names }) => sum + names.length, 0);
  if (count > MAX_NAMES) throw tooManyNames(what, count, MAX_NAMES, serving);
  return serving.map((image) => ({ image, names: given.length > 0 ? given : image.names }));
}

/** By what the image is, which its own name says where it has one. Throws AppError `provider-disabled`. */
async function checkProvider(
  { qualify }: ProvisionerContext,
  { names: own }: ImportedImage,
  given: readonly string[],
  { emit }: Call,
): Promise<void> {
  for (const name of own.length > 0 ? own : given) await qualify(parseReference(name), emit);
}

interface ReadyImage extends NamedImage {
  readonly resolved: ResolvedImage;
}

/** Those that turn out to be for another platform are left out, unless all do. */
async function resolveAll(
  archive: Import,
  named: readonly NamedImage[],
  platform: Platform,
  { names: given = [], what }: ImportRequest,
  { emit, signal }: Call,
): Promise<readonly ReadyImage[]> {
  const ready: (Indexed & { readonly resolved: ResolvedImage })[] = [];
  let documentBytes = 0;
  let unserved: AppError | undefined;
  for (const { image, names } of named) {
    signal.throwIfAborted();
    try {
      const resolved = await archive.resolve(image.index, names[0] ?? image.describe);
      documentBytes += resolved.manifest.bytes.byteLength + resolved.config.bytes.byteLength;
      // one whose variant is not said serves at the caller's word
      const said = platformDistance(platform, resolved.platform) === undefined ? {} : { platform: resolved.platform };
      ready.push({ ...image, names, ...said, resolved });
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code !== "platform-unknown") throw error;
      unserved ??= error;
      emit({ type: "decision", topic: "platform", message: `${image.describe} is passed over: ${error.message}` });
    }
    if (documentBytes > MAX_DOCUMENT_BYTES) throw tooMuch(what, MAX_DOCUMENT_BYTES, image);
  }
  const [first] = ready;
  if (first === undefined) throw unserved ?? new RangeError("there is at least one image to resolve");
  const serving = given.length > 0 ? [first] : servingImages(ready, platform, emit);
  return serving.map(({ resolved, ...image }) => ({ image, names: image.names, resolved }));
}

async function takeAll(
  context: ProvisionerContext,
  ready: readonly ReadyImage[],
  { platform, onTaken = () => {} }: ImportRequest & { readonly platform: Platform },
  lease: Lease,
  call: Call,
): Promise<readonly Image[]> {
  const imported: Image[] = [];
  const failed: { readonly item: string; readonly error: AppError }[] = [];
  for (const { image, names, resolved } of ready) {
    call.signal.throwIfAborted();
    try {
      tellResolved(resolved, call.emit);
      const taken = await takeIn(context, resolved, { names, platform }, lease, call);
      const rows = names.map((name) => context.store.images.get(name, taken.image.platform) ?? taken.image);
      imported.push(...rows);
      onTaken(rows);
    } catch (error) {
      call.signal.throwIfAborted();
      failed.push({ item: names[0] ?? image.describe, error: toAppError(error) });
    }
  }
  const [first] = failed;
  if (first === undefined) return imported;
  if (ready.length === 1) throw first.error;
  const lines = failed.map(({ error }) => `\n  ${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`);
  throw new AppError("partial-failure", `Cannot import ${failed.length} of ${ready.length} images:${lines.join("")}`, {
    details: {
      imported: imported.map(({ name }) => name),
      failed: failed.map(({ item, error: { code, message, hint } }) => ({
        item,
        code,
        message,
        ...(hint && { hint }),
      })),
    },
  });
}
