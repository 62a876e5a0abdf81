/**
 * What pulling an image of schema 1 would fetch. Its manifest tells no sizes, and resolving it means to fetch its layers;
 * here the registry is asked how large each is.
 */
import pLimit from "p-limit";
import type { Digest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Schema1Manifest } from "../../image/schema1.ts";
import type { Estimate } from "../source.ts";
import { askInOrder } from "./fall-back.ts";
import type { Place, Places } from "./places.ts";
import type { Inquiry, RegistryClient } from "./registry-client.ts";

/** They are small questions; more at once would only look like an attack. */
const PARALLEL_QUESTIONS = 4;

/** Each layer once, base first. Throws AppErrors as fetching would, but where somebody answers and does not tell. */
export async function estimateSchema1(
  client: RegistryClient,
  places: Places,
  inquiry: Inquiry,
  { blobSums }: Schema1Manifest,
): Promise<readonly Estimate[]> {
  const limit = pLimit(PARALLEL_QUESTIONS);
  const tasks = [...new Set(blobSums)].map((digest) =>
    limit(() => estimateBlob(client, places, inquiry, digest)).catch((error: unknown) => {
      limit.clearQueue();
      throw error;
    }),
  );
  return await Promise.all(tasks);
}

async function estimateBlob(
  client: RegistryClient,
  places: Places,
  inquiry: Inquiry,
  digest: Digest,
): Promise<Estimate> {
  const { what, emit, signal } = inquiry;
  const context = { item: `the size of blob ${digest}`, what, emit, ...(signal !== undefined && { signal }) };
  const asked = places.list("digest");
  const { place, answer } = await askInOrder(asked, context, (each) => client.blobSize(each, inquiry, digest)).catch(
    (error: unknown) => {
      signal?.throwIfAborted();
      // some registries, and the stores to which they lead, know no HEAD; whether it can be fetched is seen when it is
      if (!(error instanceof AppError) || error.details["status"] === undefined) throw error;
      return { place: asked[0], answer: undefined };
    },
  );
  return { location: locationOf(place, what, digest), sizeBytes: answer, local: false };
}

function locationOf(place: Place | undefined, what: string, digest: Digest): string {
  if (place === undefined) return `${what}: ${digest}`;
  return `${place.host}/${place.stop.endpoint.repositoryPrefix}${place.repository}@${digest}`;
}
