/**
 * The Mesos `Image` message as JSON (mesos.proto; field names as in the proto): what a framework sends to say which image a
 * container gets. Unknown fields are passed over, as protobuf's own JSON parser does for messages from newer senders.
 */
import { z } from "zod";
import type { Digest } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { type AppcReference, checkAppcReference, parseImageId } from "./appc-reference.ts";
import { type DockerReference, parseDockerReference, parseDockerUrl } from "./docker-reference.ts";
import { parseJsonDocument } from "./json-document.ts";

export interface MesosImage {
  readonly reference: DockerReference | AppcReference;
  /** False asks for the image to be looked up again although it may be here. */
  readonly cached: boolean;
  /** `docker.config`: the content of a Docker config.json. */
  readonly dockerConfig?: string;
}

const MAX_BYTES = 1024 * 1024;
const EXAMPLE = 'for example {"type":"DOCKER","docker":{"name":"library/busybox:1.36"}}';

const secretSchema = z.object({
  type: z.string().exactOptional(),
  value: z.object({ data: z.base64() }).exactOptional(),
  reference: z.looseObject({}).exactOptional(),
});
const imageSchema = z.object({
  type: z.enum(["DOCKER", "APPC"]),
  docker: z.object({ name: z.string(), config: secretSchema.exactOptional() }).exactOptional(),
  appc: z
    .object({
      name: z.string(),
      id: z.string().exactOptional(),
      labels: z
        .object({ labels: z.array(z.object({ key: z.string(), value: z.string().default("") })).default([]) })
        .exactOptional(),
    })
    .exactOptional(),
  cached: z.boolean().default(true),
});

/** Throws AppErrors `reference-invalid` and, for its secret, `credentials-invalid`. */
export function parseMesosImage(text: string): MesosImage {
  const image = parseJsonDocument(Buffer.from(text), {
    schema: imageSchema,
    what: "the Mesos image",
    maxBytes: MAX_BYTES,
    code: "reference-invalid",
    hint: EXAMPLE,
  });
  const { type, docker, appc, cached } = image;
  if ((type === "DOCKER" ? docker : appc) === undefined || (type === "DOCKER" ? appc : docker) !== undefined) {
    throw invalid(`its type is ${type}, so it must have "${type.toLowerCase()}" and nothing of the other type`);
  }
  if (docker !== undefined) {
    const dockerConfig = docker.config === undefined ? undefined : configOf(docker.config);
    return { reference: dockerReference(docker.name), cached, ...(dockerConfig !== undefined && { dockerConfig }) };
  }
  const { name = "", id, labels } = appc ?? {};
  return { reference: appcReference(name, id, labels?.labels ?? []), cached };
}

function dockerReference(name: string): DockerReference {
  return name.startsWith("docker://") ? parseDockerUrl(name) : parseDockerReference(name);
}

function appcReference(
  name: string,
  id: string | undefined,
  labels: readonly { readonly key: string; readonly value: string }[],
): AppcReference {
  const entries = new Map<string, string>();
  for (const { key, value } of labels) {
    if (entries.has(key)) throw invalid(`it has the label ${JSON.stringify(key)} twice`);
    entries.set(key, value);
  }
  return checkAppcReference({
    name,
    labels: Object.fromEntries(entries),
    ...(id !== undefined && id !== "" && { imageId: imageIdOf(id) }),
  });
}

function imageIdOf(text: string): Digest {
  const imageId = parseImageId(text);
  if (imageId === undefined) throw invalid("its appc.id is not sha512- and 128 lower-case hex digits");
  return imageId;
}

/** Only secrets by value can be read here: a reference means something to the agent's own secret store alone. */
function configOf(secret: z.output<typeof secretSchema>): string {
  if (secret.value !== undefined && secret.type !== "REFERENCE") {
    return Buffer.from(secret.value.data, "base64").toString("utf8");
  }
  throw new AppError("credentials-invalid", "Cannot use the Mesos image: its docker.config is not a secret by value", {
    hint: 'resolve the secret first and send {"type":"VALUE","value":{"data":"<base64 of a config.json>"}}',
  });
}

function invalid(why: string): AppError {
  return new AppError("reference-invalid", `Cannot use the Mesos image: ${why}`, { hint: EXAMPLE });
}
