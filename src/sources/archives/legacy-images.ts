/**
 * `docker save` of Docker before 1.10: `repositories` says which ids have names, `<id>/json` what an id is built on, and
 * `<id>/layer.tar` is what it brings. Nothing there has a digest, so all of it is read once to get them.
 */
import { z } from "zod";
import type { Digest } from "../../../store/index.ts";
import { recordOf } from "../../image/bounded.ts";
import { listed } from "../../image/remote-text.ts";
import { configOfV1 } from "../../image/v1-image.ts";
import type { ResolveContext, ResolvedImage, ResolvedLayer } from "../source.ts";
import { assembleImage } from "./assemble-image.ts";
import { layerCompression, layerOf } from "./describe-layer.ts";
import { canonicalNames, type HeldImage, type HeldImages } from "./held-image.ts";
import { archiveInvalid, type ImageFiles, MAX_LIST_BYTES, shownName } from "./image-files.ts";
import { type ChainLink, isLayerId, readChain } from "./legacy-chain.ts";
import { readLegacyLayer } from "./legacy-config.ts";
import { findByDigest } from "./prove-digest.ts";
import { readDocument } from "./read-document.ts";
import { digestOfRange } from "./read-range.ts";

/** name → tag → id */
const repositoriesSchema = recordOf(recordOf(z.string()));

/** Saved by its id, an image has no name, and if none has, there is no `repositories`. */
export async function isLegacy(files: ImageFiles): Promise<boolean> {
  if (await files.has("repositories")) return true;
  const [id] = files.topLevel.filter(isLayerId);
  return id !== undefined && (await files.has(`${id}/json`));
}

/** Throws AppError `archive-invalid`. */
export async function listLegacyImages(files: ImageFiles, context: ResolveContext): Promise<HeldImages> {
  const named = await readRepositories(files);
  const ids = named.size > 0 ? [...named.keys()] : await listHeads(files, context.signal);
  if (ids.length === 0)
    throw archiveInvalid(files.what, "its repositories lists no image, and there is none without a name");
  const bringLayer = layerReader(files, context);
  const images = ids.map((id, position): HeldImage => {
    const written = named.get(id) ?? [];
    return {
      names: canonicalNames(written),
      written,
      digests: [],
      positions: [position],
      describe: written.length === 0 ? `an untagged image (${id})` : listed(written, 5),
      resolve: (name) => resolveLegacyImage(id, files, name, bringLayer, context),
    };
  });
  return { images, byDigest: (digest, among = images) => findByDigest(among, digest) };
}

async function resolveLegacyImage(
  id: string,
  files: ImageFiles,
  name: string,
  bringLayer: (id: string) => Promise<ResolvedLayer>,
  context: ResolveContext,
): Promise<ResolvedImage> {
  const chain = await readChain(files, id, context.signal);
  const layers: ResolvedLayer[] = [];
  for (const link of chain) layers.push(await bringLayer(link.id));
  const configBytes = configOfV1(
    chain.map(({ layer }: ChainLink) => layer),
    layers.map(({ diffId }) => diffId),
  );
  return assembleImage({ name, source: files.path, configBytes, layers }, context.platform);
}

/** Each layer is read once, however many images are built on it. */
function layerReader(files: ImageFiles, context: ResolveContext): (id: string) => Promise<ResolvedLayer> {
  const known = new Map<string, Promise<ResolvedLayer>>();
  const bring = async (id: string): Promise<ResolvedLayer> => {
    context.signal?.throwIfAborted();
    const file = await files.range(`${id}/layer.tar`);
    const [compression, digest] = [await layerCompression(file), await digestOfRange(file, context.signal)];
    const diffId: Digest =
      compression === "none" ? digest : (await context.workshop.scanTar(file, { algorithm: "sha256" })).digest;
    return layerOf(file, digest, diffId, compression);
  };
  return (id) => {
    const layer = known.get(id) ?? bring(id);
    known.set(id, layer);
    return layer;
  };
}

/** id → names, in the order in which they are written. */
async function readRepositories(files: ImageFiles): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = new Map<string, string[]>();
  if (!(await files.has("repositories"))) return names;
  const repositories = await readDocument(files, "repositories", repositoriesSchema, MAX_LIST_BYTES);
  for (const [repository, tags] of Object.entries(repositories)) {
    for (const [tag, id] of Object.entries(tags)) {
      if (!isLayerId(id)) {
        throw archiveInvalid(files.what, `its repositories has ${shownName(id)} for an id, which is not 64 hex digits`);
      }
      const written = names.get(id) ?? [];
      written.push(`${repository}:${tag}`);
      names.set(id, written);
    }
  }
  return names;
}

/** Ids that are nobody's parent. */
async function listHeads(files: ImageFiles, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const ids = files.topLevel.filter(isLayerId);
  const parents = new Set<string>();
  for (const id of ids) {
    signal?.throwIfAborted();
    const layer = await readLegacyLayer(files, id);
    if (layer.parent !== undefined) parents.add(layer.parent);
  }
  const heads = ids.filter((id) => !parents.has(id));
  if (ids.length > 0 && heads.length === 0)
    throw archiveInvalid(files.what, `its layer ${ids[0]} is among its own parents`);
  return heads;
}
