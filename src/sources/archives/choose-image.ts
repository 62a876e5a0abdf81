/** Which image of an archive or layout is meant; and where that is not said, or is not there, what there is instead. */
import type { Digest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { formatPlatform, type Platform, platformDistance, platformUnknown } from "../../image/platform.ts";
import { listed, printable } from "../../image/remote-text.ts";
import { canonicalName, type HeldImage, type HeldImages } from "./held-image.ts";

export interface Wanted {
  /** A reference, or what index.json calls the image. */
  readonly name?: string;
  readonly digest?: Digest;
  readonly position?: number;
  /** The name of the file has said which image it is, so that the only one may be called otherwise. */
  readonly byFileName?: { readonly tag?: string };
}

export interface ChoiceContext {
  /** Names the archive for messages. */
  readonly what: string;
  readonly platform: Platform;
  readonly emit: Emit;
}

/** Throws AppErrors `image-unknown`, `archive-ambiguous` and `platform-unknown`, which list what is inside. */
export async function chooseImage(held: HeldImages, wanted: Wanted, context: ChoiceContext): Promise<HeldImage> {
  const { images } = held;
  const stated = isStated(wanted) ? await byStatement(held, wanted, context.platform) : undefined;
  const found = stated ?? byImplication(images, wanted, context);
  if (found === undefined) throw unknown(images, wanted, context);
  if (images.length > 1) {
    const message = `of ${images.length} images in ${context.what}, ${found.describe} is taken`;
    context.emit({ type: "decision", topic: "archive", message });
  }
  return found;
}

/** Whether it says anything of the image itself. */
export function isStated({ name, digest, position }: Wanted): boolean {
  return name !== undefined || digest !== undefined || position !== undefined;
}

/** All that is said must hold. */
async function byStatement(held: HeldImages, wanted: Wanted, platform: Platform): Promise<HeldImage | undefined> {
  const { name, digest, position } = wanted;
  const canonical = name === undefined ? undefined : canonicalName(name);
  const fitting = held.images.filter(
    ({ names, written, positions }) =>
      (position === undefined || positions.includes(position)) &&
      (name === undefined || written.includes(name) || (canonical !== undefined && names.includes(canonical))),
  );
  return digest === undefined ? nearest(fitting, platform) : await held.byDigest(digest, fitting);
}

function byImplication(
  images: readonly HeldImage[],
  wanted: Wanted,
  { what, platform }: ChoiceContext,
): HeldImage | undefined {
  const { byFileName } = wanted;
  const said = isStated(wanted);
  if (said && byFileName === undefined) return undefined;
  if (images.length === 1) return images[0];
  if (said) {
    const { tag } = byFileName ?? {};
    return nearest(
      images.filter(({ written }) => tag !== undefined && written.includes(tag)),
      platform,
    );
  }
  const fitting = images.filter((image) => distance(image, platform) !== undefined);
  if (fitting.length === 1) return fitting[0];
  if (images.length > 0 && fitting.length === 0) {
    throw platformUnknown(
      what,
      platform,
      images.flatMap((image) => image.platform ?? []),
    );
  }
  return undefined;
}

/** Of several with one name the one that serves the platform best; of equals the last, as loading all would leave it. */
function nearest(images: readonly HeldImage[], platform: Platform): HeldImage | undefined {
  const rank = (image: HeldImage): number => distance(image, platform) ?? Number.POSITIVE_INFINITY;
  return images.reduce<HeldImage | undefined>(
    (best, image) => (best === undefined || rank(image) <= rank(best) ? image : best),
    undefined,
  );
}

/** Undefined when it does not serve the platform; of one that does not say, that is not known before it is read. */
function distance(image: HeldImage, platform: Platform): number | undefined {
  return image.platform === undefined ? Number.MAX_SAFE_INTEGER : platformDistance(platform, image.platform);
}

function unknown(images: readonly HeldImage[], wanted: Wanted, { what, platform }: ChoiceContext): AppError {
  const inside = images.map(({ describe }) => describe);
  const listing = `${images.length === 1 ? "only " : ""}${listed(inside, 20)}`;
  const facts = { details: { inside: inside.slice(0, 100), platform: formatPlatform(platform) } };
  if (isStated(wanted)) {
    return new AppError("image-unknown", `Cannot use ${what}: it holds no ${inWords(wanted)}, but ${listing}`, {
      hint: "name one of those that it holds",
      ...facts,
    });
  }
  return new AppError("archive-ambiguous", `Cannot use ${what}: it holds ${images.length} images: ${listing}`, {
    hint: "name one of them behind the path, PATH:NAME, or number it, PATH:@0",
    ...facts,
  });
}

function inWords({ name, digest, position }: Wanted): string {
  const image = position === undefined ? name && printable(name, 300) : `image ${position}, counted from 0`;
  if (digest === undefined) return image ?? "";
  return image === undefined ? digest : `${image} that is ${digest}`;
}
