/**
 * A layer whose bytes are at registries: at any of the image's places that has it, and at the addresses in its manifest.
 * Its digest is what it is, so a download that one of them broke off is gone on with at another.
 *
 * Addresses (`urls`, image-spec, descriptor.md) are for layers that registries need not have ("foreign",
 * "non-distributable"). Many have them all the same, above all mirrors for places without a way out; so the registries are
 * asked first, and the addresses, in order, when none of them gave it.
 */
import { AppError } from "../../errors.ts";
import type { ByteStream, RemoteBytes } from "../source.ts";
import type { WantedBlob } from "./blob-stream.ts";
import { type Askable, askInOrder } from "./fall-back.ts";
import type { OpenAddress } from "./layer-address.ts";
import type { Place, Places } from "./places.ts";
import type { Inquiry, RegistryClient } from "./registry-client.ts";

export interface RemoteLayerParts {
  readonly client: RegistryClient;
  readonly places: Places;
  readonly inquiry: Inquiry;
  readonly openAddress: OpenAddress;
  /** The registry that gave the manifest. */
  readonly manifestFrom: URL;
}

interface Address extends Askable {
  readonly role: "url";
  readonly url: URL;
}

export function remoteLayer(blob: WantedBlob, urls: readonly URL[], parts: RemoteLayerParts): RemoteBytes {
  const { client, places, inquiry } = parts;
  let addresses = urls.map((url): Address => ({ role: "url", host: url.host, secondName: false, url }));
  /** Failed for this blob: they are asked again only after all others. */
  const failed = new Set<Place | Address>();
  /** Whose bytes were read since the layer was last begun. */
  const contributed = new Set<Place | Address>();
  const all = (): readonly (Place | Address)[] => [...places.list("digest"), ...addresses];

  return {
    async open(offset, signal) {
      const now = all();
      if (now.length === 0 && places.struck.length > 0) throw nobodyLeft(blob, inquiry.what, places.struck);
      const order = [...now.filter((place) => !failed.has(place)), ...now.filter((place) => failed.has(place))];
      const { what, emit } = inquiry;
      const context = { item: `blob ${blob.digest}`, what, emit, signal };
      const { place, answer } = await askInOrder(order, context, async (asked) => {
        try {
          return "url" in asked
            ? await parts.openAddress(asked.url, blob, offset, { from: parts.manifestFrom, what, emit, signal })
            : await client.openBlob(asked, inquiry, blob, offset, signal);
        } catch (error) {
          failed.add(asked);
          throw error;
        }
      });
      if (!("url" in place)) places.answered(place);
      if (answer.offset === 0) contributed.clear();
      contributed.add(place);
      const body = watched(answer, blob.size, () => {
        if (!signal.aborted) failed.add(place);
      });
      return { offset: answer.offset, body };
    },

    distrust() {
      // where a mirror and the origin both had a part in it, the mirror is the likelier liar
      const helpers = [...contributed].filter(({ role }) => role !== "origin");
      const liars = helpers.length > 0 ? helpers : [...contributed];
      for (const liar of liars) {
        if ("url" in liar) addresses = addresses.filter((address) => address !== liar);
        else places.strike(liar);
      }
      if (liars.length === 0 || all().length === 0) return false;
      const hosts = [...new Set(liars.map(({ host }) => host))].join(", ");
      const message = `not asking ${hosts} for this image any more: what came from there was not blob ${blob.digest}`;
      inquiry.emit({ type: "decision", topic: "mirror", message });
      contributed.clear();
      return true;
    },
  };
}

/** Another layer of the image was damaged wherever it was asked for; this one is not asked for there. */
function nobodyLeft({ digest }: WantedBlob, image: string, struck: readonly string[]): AppError {
  const hosts = struck.join(", ");
  return new AppError("blob-corrupt", `Cannot use blob ${digest} of ${image}: nobody is left who gave good bytes`, {
    hint: `what ${hosts} sent for another layer was not what the manifest says: a registry, or a proxy before it, is damaged`,
    details: { struck },
  });
}

/** Calls `broken` when the body fails, or ends before the blob does. */
async function* watched(stream: ByteStream, size: number | undefined, broken: () => void): AsyncGenerator<Uint8Array> {
  let at = stream.offset;
  try {
    for await (const chunk of stream.body) {
      at += chunk.byteLength;
      yield chunk;
    }
  } catch (error) {
    broken();
    throw error;
  }
  if (size !== undefined && at < size) broken();
}
