/**
 * openImport: the images of an archive, layout or directory, whatever it turns out to be, for `import`. Each is resolved
 * when it is asked for, under a name that the archive gives or the caller chooses.
 */
import { resolve } from "node:path";
import type { Platform } from "../image/platform.ts";
import { isAci } from "./appc.ts";
import { chooseImage, isStated, type Wanted } from "./archives/choose-image.ts";
import { canonicalName, type HeldImage } from "./archives/held-image.ts";
import type { ImageFiles } from "./archives/image-files.ts";
import { listImages, namedAs } from "./archives/list-images.ts";
import { openImageFiles, openStreamedFiles } from "./archives/open-image-files.ts";
import { requireDigest } from "./archives/prove-digest.ts";
import { type ArchiveReference, layoutsOf, openReferenced, wantedBy } from "./archives/resolve-referenced.ts";
import type { ResolveContext, ResolvedImage } from "./source.ts";

export interface Import extends AsyncDisposable {
  /** Those that are to be had: all, or the one that was chosen. */
  readonly images: readonly ImportedImage[];
  /**
   * `index` counts in `images`; `name` is the canonical name that the image gets. An image of several platforms is
   * resolved for that of the context. Throws the AppErrors of `ImageSource.resolve`.
   */
  resolve(index: number, name: string): Promise<ResolvedImage>;
}

export interface ImportedImage {
  /** Canonical names; none where the archive has no name for it, or only a tag. */
  readonly names: readonly string[];
  /** What it is called there, as written: a mere tag as well. */
  readonly written: readonly string[];
  /** As far as the list of images tells. */
  readonly platform?: Platform;
  /** What it is, for people. */
  readonly describe: string;
  /** By which it alone can be asked for; absent where it lies in no file. */
  readonly reference?: string;
}

/** A reference is to an archive or layout, and may choose one of its images. */
export type ImportInput =
  | { readonly path: string }
  | { readonly stream: AsyncIterable<Uint8Array> }
  | { readonly reference: ArchiveReference };

/** Resolves the ACI at an absolute path. */
export type ImportAci = (path: string, context: ResolveContext) => Promise<ResolvedImage>;

/**
 * Layers of what was resolved can be read after this is closed. Throws AppErrors `archive-missing`, `archive-invalid`, and
 * `image-unknown` for a choice that is not there.
 */
export async function openImport(input: ImportInput, context: ResolveContext, importAci: ImportAci): Promise<Import> {
  await using undo = new AsyncDisposableStack();
  const files = undo.use(await openInput(input, context));
  if (!("reference" in input) && files.whole !== undefined && isAci(files.topLevel)) {
    // compressed or not: a path is read as it is, and only a stream lies somewhere else
    return importedAci(await importAci("path" in input ? resolve(input.path) : files.whole.path, context));
  }
  const wanted = "reference" in input ? wantedBy(input.reference) : {};
  const held = await listImages(files, context, "reference" in input ? layoutsOf(input.reference) : undefined);
  const { platform, emit } = context;
  const images = isStated(wanted)
    ? [asWanted(await chooseImage(held, wanted, { what: files.what, platform, emit }), wanted)]
    : held.images;
  const kept = undo.move();
  return {
    images: images.map((image) => ({
      ...describeHeld(image),
      ...("stream" in input ? {} : { reference: namedAs(held.layout, files, image.positions[0]) }),
    })),
    async resolve(index, name) {
      const image = images[index];
      if (image === undefined) throw new RangeError(`there is no image ${index} in ${files.what}`);
      emit({ type: "resolve", reference: name, source: files.path });
      return requireDigest(await image.resolve(name), wanted.digest);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openInput(input: ImportInput, context: ResolveContext): Promise<ImageFiles> {
  if ("stream" in input) return await openStreamedFiles(input.stream, context);
  if ("reference" in input) return await openReferenced(input.reference, context);
  return await openImageFiles(resolve(input.path), context);
}

/** Asked for by one of its names, it is meant by that and not by the others. */
function asWanted(image: HeldImage, { name }: Wanted): HeldImage {
  const asked = name === undefined ? undefined : canonicalName(name);
  return asked !== undefined && image.names.includes(asked) ? { ...image, names: [asked] } : image;
}

function describeHeld({ names, written, platform, describe }: HeldImage): ImportedImage {
  return { names, written, describe, ...(platform !== undefined && { platform }) };
}

/** An ACI says its own name, which nothing outside of it can change. */
function importedAci(image: ResolvedImage): Import {
  return {
    images: [{ names: [image.name], written: [image.name], describe: `the Appc image ${image.name}` }],
    resolve: async () => image,
    [Symbol.asyncDispose]: async () => {},
  };
}
