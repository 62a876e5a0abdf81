/** The library: `import { openProvisioner } from "rootwright"` does in-process what the command line does. */
export { type OpenProvisioner, openProvisioner } from "./compose.ts";
export { type Config, type ConfigInput, loadConfig } from "./config.ts";
export { AppError, type ErrorCode, type ErrorKind } from "./errors.ts";
export type { Emit, RootwrightEvent } from "./events.ts";
export { type NamedImage, parseNamedImage } from "./image/named-image.ts";
export { formatPlatform, type Platform, parsePlatform } from "./image/platform.ts";
export { formatReference, type ImageReference, parseReference } from "./image/reference.ts";
export type { CallOptions } from "./provisioner/context.ts";
export type { ImportRequest } from "./provisioner/import-images.ts";
export type { Plan, PlannedImage, PlannedLayer } from "./provisioner/plan.ts";
export type { Provisioned, Provisioner, ProvisionRequest } from "./provisioner/provisioner.ts";
export type { ImageRequest, PullPolicy } from "./provisioner/request.ts";
export type { BoundName } from "./provisioner/resolve-names.ts";
export type { RuntimeConfig } from "./runtime/runtime-config.ts";
