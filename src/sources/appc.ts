/**
 * The source of `appc` references: ACIs by simple discovery, from web servers, directories and HDFS, with their dependencies.
 *
 *     reference → candidates → found → kept, or read in place → scanned → verified → dependencies → layers
 *
 * Without a configured prefix, ACIs are fetched from the host that their name begins with: over https, plain http only from
 * hosts to which it may be spoken. Mesos's default, `http://` for all, trusts whoever is on the way; who wants that for an
 * image that is pinned by its ID still gets it, because then the content proves itself.
 */
import pLimit from "p-limit";
import { AppError } from "../errors.ts";
import { wantedPlatform } from "../image/appc-platform.ts";
import { type AppcReference, formatAppcReference } from "../image/appc-reference.ts";
import type { Platform } from "../image/platform.ts";
import { expandDependencies, type LoadRequest, verifyAci } from "./appc/dependencies.ts";
import { candidatesFor, discover } from "./appc/discovery.ts";
import { aciFile } from "./appc/file-place.ts";
import { type Candidate, type FoundAci, isAciChanged, type Search } from "./appc/found-aci.ts";
import { type Aci, loadAci } from "./appc/load-aci.ts";
import { createPlaces, type PlaceParts } from "./appc/places.ts";
import { resolvedAci } from "./appc/resolved-aci.ts";
import type { Estimate, ImageSource, ResolveContext, ResolvedImage } from "./source.ts";

export { isAci } from "./appc/load-aci.ts";

export type AppcSourceOptions = PlaceParts;

export interface AppcSource extends ImageSource<AppcReference> {
  /**
   * Asks for sizes and fetches nothing. Dependencies are not in it: which there are stands in a manifest that is inside of
   * the archive; a `decision` event says so.
   */
  estimate(reference: AppcReference, context: Omit<ResolveContext, "workshop">): Promise<readonly Estimate[]>;
  /** An ACI that is a file on this disk, read in place; its dependencies are found by discovery. `path` is absolute. */
  readonly importAci: (path: string, context: ResolveContext) => Promise<ResolvedImage>;
}

/** ACIs that are fetched and read at once, of one image. */
const PARALLEL_ACIS = 4;
/** How often an ACI is fetched that changes while it is fetched. */
const MAX_LOADS = 3;

/** Throws AppError `config-invalid`. */
export function createAppcSource(options: AppcSourceOptions): AppcSource {
  const places = createPlaces(options);

  const locate = async (
    reference: AppcReference,
    platform: Platform,
    context: Pick<ResolveContext, "emit" | "signal">,
    parent?: Aci,
  ): Promise<FoundAci> => {
    const { emit, signal } = context;
    const because = parent === undefined ? "" : ` (on which ${parent.manifest.name} depends)`;
    const search: Search = {
      what: `${formatAppcReference(reference)}${because}`,
      pinned: reference.imageId !== undefined,
      ...(parent?.url !== undefined && places.followsNames && { from: parent.url }),
      emit,
      ...(signal !== undefined && { signal }),
    };
    const candidates =
      parent === undefined ? candidatesFor(reference, platform) : ofManifest(reference, platform, parent);
    return await discover(candidates, search, places);
  };

  /** Finds and loads with one fetch for each archive, however often it is asked for during one resolve. */
  const openLoader = (context: ResolveContext): ((reference: AppcReference, request: LoadRequest) => Promise<Aci>) => {
    const limit = pLimit(PARALLEL_ACIS);
    const found = new Map<string, Promise<FoundAci>>();
    const loaded = new Map<string, Promise<Aci>>();
    return (reference, { platform, parent, size }) =>
      limit(async () => {
        // an address from a stranger's manifest is judged by who that is
        const query = `${formatAppcReference(reference)} ${parent?.url?.origin ?? ""}`;
        const find = (): Promise<FoundAci> => locate(reference, platform, context, parent);
        const first = await once(found, query, find);
        return await once(loaded, first.place, () => loadUnchanged(first, find, context, size));
      });
  };

  const withDependencies = async (top: Aci, platform: Platform, run: Run): Promise<ResolvedImage> => {
    const node = await expandDependencies(top, { ...run, platform });
    run.context.signal?.throwIfAborted();
    const resolved = resolvedAci(node, platform);
    const { layers, name } = resolved;
    const message = `${name} is rendered from ${layers.length} images, base first, with itself on top`;
    if (layers.length > 1) run.context.emit({ type: "decision", topic: "layer", message });
    return resolved;
  };

  const open = (given: ResolveContext): Run => {
    const failed = new AbortController();
    const signals = [failed.signal, ...(given.signal === undefined ? [] : [given.signal])];
    const context = { ...given, signal: AbortSignal.any(signals) };
    return { context, failed, load: openLoader(context) };
  };

  return {
    kind: "appc",

    async resolve(reference, given) {
      const run = open(given);
      const asked = wantedPlatform(reference.labels, given.platform);
      const top = await run.load(reference, { platform: asked });
      given.emit({ type: "resolve", reference: formatAppcReference(reference), source: top.where });
      const platform = verifyAci(top, reference, given.platform);
      return await withDependencies(top, platform, run);
    },

    async estimate(reference, context) {
      const found = await locate(reference, wantedPlatform(reference.labels, context.platform), context);
      const message = `what ${formatAppcReference(reference)} depends on is known when ${found.where} is here`;
      context.emit({ type: "decision", topic: "discovery", message });
      return [{ location: found.where, sizeBytes: found.sizeBytes, local: "file" in found.bytes }];
    },

    async importAci(path, given) {
      const found = await aciFile(path);
      if (found === undefined) throw new AppError("archive-missing", `Cannot import ${path}: there is no such file`);
      const run = open(given);
      const top = await load(found, run.context, undefined);
      given.emit({ type: "resolve", reference: formatAppcReference({ kind: "appc", ...top.manifest }), source: path });
      const anything: AppcReference = { kind: "appc", labels: {}, imageId: top.imageId, asTyped: path };
      return await withDependencies(top, verifyAci(top, anything, given.platform), run);
    },
  };
}

interface Run {
  readonly context: ResolveContext;
  readonly failed: AbortController;
  readonly load: (reference: AppcReference, request: LoadRequest) => Promise<Aci>;
}

/** Looks again, a few times, for what changed while it was fetched. */
async function loadUnchanged(
  first: FoundAci,
  find: () => Promise<FoundAci>,
  context: ResolveContext,
  size: number | undefined,
): Promise<Aci> {
  let found = first;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await load(found, context, size);
    } catch (error) {
      if (!isAciChanged(error) || attempt >= MAX_LOADS) throw error;
      context.emit({ type: "decision", topic: "resume", message: `${found.where} is fetched again from its start` });
      found = await find();
    }
  }
}

/** `size` is what a dependency promises: compression may add to it, but not much. */
function load(found: FoundAci, { workshop, emit, signal }: ResolveContext, size: number | undefined): Promise<Aci> {
  const maxBytes = size === undefined ? undefined : size + Math.ceil(size / 100) + 64 * 1024;
  return loadAci(found, {
    workshop,
    emit,
    ...(maxBytes !== undefined && { maxBytes }),
    ...(signal !== undefined && { signal }),
  });
}

/** What cannot be looked for is the fault of the manifest that names it. */
function ofManifest(reference: AppcReference, platform: Platform, { where }: Aci): readonly Candidate[] {
  try {
    return candidatesFor(reference, platform);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "reference-invalid") throw error;
    throw new AppError("aci-invalid", `Cannot use ${where}: ${error.message}`, { cause: error });
  }
}

function once<T>(table: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = table.get(key);
  if (known !== undefined) return known;
  const made = make();
  table.set(key, made);
  return made;
}
