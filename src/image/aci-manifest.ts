/**
 * AciManifest: the image manifest of an ACI (appc/spec aci.md, "Image Manifest Schema"), parsed from untrusted bytes.
 * Unknown fields are passed over, since newer manifests may have them; what is known must be what the specification says,
 * but for `user` and `group`, which it requires and Mesos, whose images these often are, never read.
 */
import { z } from "zod";
import type { Digest } from "../../store/index.ts";
import { type Labels, platformProblem } from "./appc-platform.ts";
import { isAcIdentifier, isAppcName, labelProblem, MAX_LABELS, parseImageId } from "./appc-reference.ts";
import { parseJsonDocument } from "./json-document.ts";

/** Bytes; no ACI manifest beyond this is read. */
export const MAX_ACI_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface AciManifest {
  readonly acVersion: string;
  readonly name: string;
  readonly labels: Labels;
  /** Absent in images that only others depend on. */
  readonly app?: AciApp;
  /** In the order in which they are laid down, this image on top of the last. */
  readonly dependencies: readonly AciDependency[];
  /** Absolute paths. Empty means that everything stays. */
  readonly pathWhitelist: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

export interface AciDependency {
  readonly imageName: string;
  readonly imageId?: Digest;
  readonly labels: Labels;
  /** Bytes. */
  readonly size?: number;
}

export type AciApp = Readonly<z.output<typeof appSchema>>;

const SEMVER = /^(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;
const AC_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

const text = z.string().refine((value) => value.isWellFormed() && !value.includes("\0"), { error: "is not text" });
const words = z.array(text).max(10_000);
const acName = z.string().max(255).regex(AC_NAME, { error: "is no AC Name" });
const acIdentifier = z.string().refine(isAcIdentifier, { error: "is no AC Identifier" });
const appcName = z.string().refine(isAppcName, { error: "is no name that an image can have" });
/** Bytes; with the NUL at its end, what Linux takes (PATH_MAX). */
const MAX_PATH_BYTES = 4095;
/** More than any distribution installs, all its files counted. */
const MAX_WHITELIST = 100_000;

const path = text
  .refine((value) => Buffer.byteLength(value) <= MAX_PATH_BYTES, { error: `is longer than ${MAX_PATH_BYTES} bytes` })
  .refine((value) => value.startsWith("/"), { error: "is no absolute path" })
  .refine((value) => !value.split("/").includes(".."), { error: "has .. in it" });

/** A list of named things, of which no two have the same name. */
function named<T extends { readonly name: string }>(item: z.ZodType<T>, most: number): z.ZodType<T[]> {
  return z
    .array(item)
    .max(most)
    .superRefine((items, context) => {
      const seen = new Set<string>();
      for (const { name } of items) {
        if (seen.has(name))
          context.addIssue({ code: "custom", message: `has ${JSON.stringify(name.slice(0, 80))} twice` });
        seen.add(name);
      }
    });
}

const labelsSchema = named(z.object({ name: z.string(), value: z.string() }), MAX_LABELS)
  .transform((items): Labels => Object.fromEntries(items.map(({ name, value }) => [name, value])))
  .superRefine((labels, context) => {
    const problems = Object.entries(labels).map(([name, value]) => labelProblem(name, value));
    const message = problems.find((problem) => problem !== undefined) ?? platformProblem(labels);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });

// the specification's own example has `false` for a value
const annotation = z.union([text, z.boolean().transform(String), z.number().transform(String)]);
const annotationsSchema = named(z.object({ name: acIdentifier, value: annotation }), 1000).transform((items) =>
  Object.fromEntries(items.map(({ name, value }) => [name, value])),
);

const portSchema = z
  .object({
    name: acName,
    protocol: z.string().regex(/^[A-Za-z0-9_.+-]{1,32}$/, { error: "is no protocol" }),
    port: z.int().min(1).max(65_535),
    count: z.int().min(1).max(65_535).default(1),
    socketActivated: z.boolean().default(false),
  })
  .refine(({ port, count }) => port + count - 1 <= 65_535, { error: "goes beyond port 65535" });

const appSchema = z.object({
  exec: words.default([]),
  /** A name, a number, or an absolute path in the image whose owner is meant. Empty when the manifest does not say. */
  user: text.default(""),
  group: text.default(""),
  supplementaryGIDs: z.array(z.int().min(0).max(0xfffffffe)).max(65_536).default([]),
  eventHandlers: named(z.object({ name: z.enum(["pre-start", "post-stop"]), exec: words.min(1) }), 2).default([]),
  workingDirectory: z.union([z.literal(""), path]).default(""),
  environment: named(
    // the specification allows fewer characters; these are all that an environment cannot hold
    z.object({ name: text.min(1).refine((name) => !name.includes("="), { error: "has = in it" }), value: text }),
    10_000,
  ).default([]),
  /** As they are: what they mean is for whoever runs the app. */
  isolators: z
    .array(z.object({ name: acIdentifier, value: z.unknown() }))
    .max(1000)
    .default([]),
  mountPoints: z
    .array(z.object({ name: acName, path, readOnly: z.boolean().default(false) }))
    .max(1000)
    .default([]),
  ports: z.array(portSchema).max(1000).default([]),
  userAnnotations: z.record(z.string(), text).default({}),
  userLabels: z.record(z.string(), text).default({}),
});

const imageIdSchema = z.string().transform((value, context): Digest => {
  const imageId = parseImageId(value);
  if (imageId !== undefined) return imageId;
  context.addIssue({ code: "custom", message: "is not sha512- and 128 lower-case hex digits" });
  return z.NEVER;
});

const dependencySchema = z
  .object({
    imageName: appcName,
    imageID: imageIdSchema.exactOptional(),
    labels: labelsSchema.default({}),
    size: z.int().nonnegative().exactOptional(),
  })
  .transform(
    ({ imageID, ...rest }): AciDependency => ({ ...rest, ...(imageID !== undefined && { imageId: imageID }) }),
  );

const manifestSchema = z
  .object({
    acKind: z.literal("ImageManifest"),
    acVersion: z.string().max(255).regex(SEMVER, { error: "is no semantic version" }),
    name: appcName,
    labels: labelsSchema.default({}),
    app: appSchema.exactOptional(),
    dependencies: z.array(dependencySchema).max(256).default([]),
    // counted before they are looked at
    pathWhitelist: z.array(z.unknown()).max(MAX_WHITELIST).pipe(z.array(path)).default([]),
    annotations: annotationsSchema.default({}),
  })
  .transform(({ acKind: _always, ...manifest }): AciManifest => manifest);

/** `what` names the ACI for messages. Throws AppError `aci-invalid`. */
export function parseAciManifest(bytes: Uint8Array, what: string): AciManifest {
  return parseJsonDocument(bytes, {
    schema: manifestSchema,
    what: `the manifest of ${what}`,
    maxBytes: MAX_ACI_MANIFEST_BYTES,
    code: "aci-invalid",
  });
}
