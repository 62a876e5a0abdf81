/**
 * ImageConfig: what an image says about its layers and about running it (image-spec, config.md), parsed from untrusted
 * bytes. Names are OCI's, which are Docker's; `null` and missing fields are tolerated as Docker writes them.
 */
import { z } from "zod";
import type { Digest } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { listOf, recordOf } from "./bounded.ts";
import { digestSchema } from "./descriptor.ts";
import { parseJsonDocument } from "./json-document.ts";
import { normalizePlatform, type Platform, platformDistance, platformUnknown } from "./platform.ts";

/** Bytes; no configuration beyond this is read. */
export const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

const set = recordOf(recordOf(z.unknown()));
const strings = listOf(z.string());

const executionSchema = z.object({
  User: z.string().exactOptional(),
  /** `80/tcp` → {} */
  ExposedPorts: set.exactOptional(),
  /** `NAME=value` each. */
  Env: strings.exactOptional(),
  Entrypoint: strings.exactOptional(),
  Cmd: strings.exactOptional(),
  /** Absolute path → {} */
  Volumes: set.exactOptional(),
  WorkingDir: z.string().exactOptional(),
  Labels: recordOf(z.string()).exactOptional(),
  StopSignal: z.string().exactOptional(),
  /** Docker's extension: what a shell-form command is run with. */
  Shell: strings.exactOptional(),
  /** Docker's extension, passed through as it is. */
  Healthcheck: recordOf(z.unknown()).exactOptional(),
});

const historySchema = z.object({
  created: z.string().exactOptional(),
  created_by: z.string().exactOptional(),
  author: z.string().exactOptional(),
  comment: z.string().exactOptional(),
  empty_layer: z.boolean().exactOptional(),
});

const imageConfigSchema = z.object({
  /** Empty when the image does not say. */
  architecture: z.string().default(""),
  os: z.string().default(""),
  variant: z.string().exactOptional(),
  created: z.string().exactOptional(),
  author: z.string().exactOptional(),
  config: executionSchema.default({}),
  rootfs: z.object({
    type: z.literal("layers").default("layers"),
    /** Base first. */
    diff_ids: listOf(digestSchema).default([]),
  }),
  history: listOf(historySchema).default([]),
});

/** The `config` object: how a container of the image is started. */
export type ExecutionConfig = Readonly<z.output<typeof executionSchema>>;
export type HistoryEntry = Readonly<z.output<typeof historySchema>>;

export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config: ExecutionConfig;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly Digest[] };
  readonly history: readonly HistoryEntry[];
}

/** Parses; `what` names the image for messages. Throws AppError `manifest-invalid`. */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const options = { schema: imageConfigSchema, what: `the configuration of ${what}`, maxBytes: MAX_CONFIG_BYTES };
  return parseJsonDocument(bytes, options);
}

/** The DiffID of every layer, base first. Throws `manifest-invalid` unless there is exactly one for each. */
export function diffIdsFor(config: ImageConfig, layerCount: number, what: string): readonly Digest[] {
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length === layerCount) return diffIds;
  throw new AppError(
    "manifest-invalid",
    `Cannot use ${what}: its manifest has ${layerCount} layers, its configuration ${diffIds.length} diff_ids`,
  );
}

/**
 * The platform of an image, which must serve the wanted one; an image that does not say is taken at the caller's word.
 * Throws AppError `platform-unknown`.
 */
export function requirePlatform(config: ImageConfig, wanted: Platform, what: string): Platform {
  if (config.os === "" && config.architecture === "") return wanted;
  const offered = normalizePlatform(
    config.os === "" ? wanted.os : config.os,
    config.architecture === "" ? wanted.architecture : config.architecture,
    config.variant,
  );
  if (platformDistance(wanted, offered) !== undefined) return offered;
  // many configurations leave the variant out, so its absence is no contradiction
  const saysNoVariant = config.variant === undefined || config.variant === "";
  if (saysNoVariant && offered.os === wanted.os && offered.architecture === wanted.architecture) return offered;
  throw platformUnknown(what, wanted, [offered]);
}
