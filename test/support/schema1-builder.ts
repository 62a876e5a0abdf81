/** Manifests of schema 1 as Docker 1.3 to 1.9 wrote them, signed as libtrust signs (a JWS whose payload is most of the document). */
import { generateKeyPairSync, sign } from "node:crypto";
import type { BuiltImage } from "./tar-builder.ts";

export interface Schema1Options {
  /** What the newest layer says besides its id, for example `config`, `architecture`, `os`. */
  readonly newest?: Readonly<Record<string, unknown>>;
  /** Positions, base first, at which a step without a layer is put in: `throwaway`. */
  readonly throwaways?: readonly number[];
  /** Replaces or adds fields of the manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
}

const EMPTY_LAYER = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d663cb16422d00e8a7c22955b46d4";

/** An unsigned manifest for the layers of `image`, pretty-printed as registries keep it. */
export function buildSchema1(image: BuiltImage, options: Schema1Options = {}): Buffer {
  const steps = image.layers.map(({ digest }) => ({ blobSum: digest, throwaway: false }));
  for (const at of options.throwaways ?? []) steps.splice(at, 0, { blobSum: EMPTY_LAYER, throwaway: true });
  const layers = steps.map(({ blobSum, throwaway }, at) => ({
    blobSum,
    v1: {
      // names that their author chose, and which nothing may come of
      id: `../../${at}`,
      created: `2015-01-0${at + 1}T00:00:00Z`,
      container_config: { Cmd: ["/bin/sh", "-c", `step ${at}`] },
      ...(throwaway && { throwaway: true }),
      ...(at === steps.length - 1 && { architecture: "amd64", os: "linux", ...options.newest }),
    },
  }));
  const newestFirst = layers.toReversed();
  const manifest = {
    schemaVersion: 1,
    name: "app",
    tag: "1",
    architecture: "amd64",
    fsLayers: newestFirst.map(({ blobSum }) => ({ blobSum })),
    history: newestFirst.map(({ v1 }) => ({ v1Compatibility: JSON.stringify(v1) })),
    ...options.manifest,
  };
  return Buffer.from(JSON.stringify(manifest, undefined, 3));
}

/** Signed with a key that is made up on the spot. `change` may damage the protected headers. */
export function signSchema1(payload: Buffer, change: (header: object) => object = (header) => header): Buffer {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x, y } = publicKey.export({ format: "jwk" });
  const formatLength = payload.lastIndexOf("\n");
  const formatTail = payload.subarray(formatLength).toString("base64url");
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const protectedHeader = encoded(change({ formatLength, formatTail, time: "2015-01-09T00:00:00Z" }));
  const signed = Buffer.from(`${protectedHeader}.${payload.toString("base64url")}`);
  const signature = sign("sha256", signed, { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
  const header = { jwk: { crv: "P-256", kty: "EC", x, y }, alg: "ES256" };
  const signatures = JSON.stringify([{ header, signature, protected: protectedHeader }], undefined, 3);
  return Buffer.concat([payload.subarray(0, formatLength), Buffer.from(`,\n   "signatures": ${signatures}\n}`)]);
}
