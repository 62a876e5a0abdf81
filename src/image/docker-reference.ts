/**
 * DockerReference: `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`, normalised as `docker pull` does: docker.io where no host is
 * named, `library/` where Docker Hub's repository has one component, `latest` where neither tag nor digest is given.
 */
import { isIPv6 } from "node:net";
import { type Digest, parseDigest } from "../../store/index.ts";
import type { AppError } from "../errors.ts";
import { referenceInvalid } from "./reference-invalid.ts";

export const DOCKER_HUB = "docker.io";

export interface DockerReference {
  readonly kind: "docker";
  /** Lower case, with its port if one was named: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly host: string;
  /** With `library/` where Docker Hub has it. */
  readonly repository: string;
  /** Absent only where there is a digest. Ignored where there is one. */
  readonly tag?: string;
  readonly digest?: Digest;
  /** What the user wrote, without `docker://` or `docker:///`. */
  readonly asTyped: string;
}

/** `host/repository` together, as the distribution specification limits them. */
const MAX_NAME_LENGTH = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** `docker://HOST/REPOSITORY…` or `docker:///REPOSITORY…`: whatever stands before the slash is a host, dot or no dot. */
export function parseDockerUrl(text: string): DockerReference {
  const rest = text.slice("docker://".length);
  if (rest.startsWith("/")) return parse(text, rest.slice(1), undefined);
  const slash = rest.indexOf("/");
  if (slash < 0) return parse(text, rest, undefined);
  return parse(text, rest, rest.slice(0, slash));
}

export function parseDockerReference(text: string): DockerReference {
  return parse(text, text, undefined);
}

export function formatDockerReference(reference: DockerReference): string {
  const version = reference.digest === undefined ? `:${reference.tag ?? "latest"}` : `@${reference.digest}`;
  // a host without a dot would be read as part of the repository, were it not said to be one
  const scheme = looksLikeHost(reference.host) ? "" : "docker://";
  return `${scheme}${reference.host}/${reference.repository}${version}`;
}

/** `whole` is what the user wrote, for messages; `text` the reference in it; `givenHost` its host where that is certain. */
function parse(whole: string, text: string, givenHost: string | undefined): DockerReference {
  if (text === "") throw referenceInvalid(whole, "it is empty");
  const [beforeDigest = "", ...behind] = text.split("@");
  if (behind.some((part) => part.includes("/"))) throw withCredentials(whole);
  const [digestText, ...more] = behind;
  if (more.length > 0) throw referenceInvalid(whole, "it has more than one @");
  const digest = digestText === undefined ? undefined : digestOf(whole, digestText);
  const { name, tag } = splitTag(whole, beforeDigest);
  const slash = name.indexOf("/");
  const typedHost = givenHost ?? (slash > 0 && looksLikeHost(name.slice(0, slash)) ? name.slice(0, slash) : undefined);
  const host = typedHost === undefined ? DOCKER_HUB : parseHost(whole, typedHost);
  const path = typedHost === undefined ? name : name.slice(typedHost.length + 1);
  checkRepository(whole, path);
  const repository = host === DOCKER_HUB && !path.includes("/") ? `library/${path}` : path;
  if (`${host}/${repository}`.length > MAX_NAME_LENGTH) {
    throw referenceInvalid(whole, `host and repository are longer than ${MAX_NAME_LENGTH} characters`);
  }
  if (typedHost === undefined && /^[0-9a-f]{64}$/.test(path)) {
    throw referenceInvalid(
      whole,
      "it is an image ID, which no registry knows",
      "name a repository, and @sha256:… after it",
    );
  }
  const version = tag ?? (digest === undefined ? "latest" : undefined);
  return {
    kind: "docker",
    host,
    repository,
    ...(version !== undefined && { tag: version }),
    ...(digest !== undefined && { digest }),
    asTyped: text,
  };
}

function digestOf(whole: string, text: string): Digest {
  try {
    return parseDigest(text);
  } catch {
    throw referenceInvalid(
      whole,
      "its digest is malformed",
      "a digest is sha256: and 64, or sha512: and 128, lower-case hex digits",
    );
  }
}

/** As in URLs: behind the @ is a host. What is before it is not shown at all: a password may have an @ or a slash in it. */
function withCredentials(whole: string): AppError {
  const clean = whole.replace(/^.*@(?!sha)(?=[^@]*(?:@sha[^@]*)?$)/s, "…@");
  return referenceInvalid(
    clean,
    "credentials do not belong in an image name",
    "log in to its registry (docker login), or put them into a config.json and name that as docker_config",
  );
}

/** A colon belongs to the tag only after the last slash; before it, it introduces a port. */
function splitTag(whole: string, text: string): { readonly name: string; readonly tag: string | undefined } {
  const colon = text.indexOf(":", text.lastIndexOf("/") + 1);
  if (colon < 0) return { name: text, tag: undefined };
  const tag = text.slice(colon + 1);
  if (tag === "") throw referenceInvalid(whole, "its tag is empty", `try ${text.slice(0, colon)}`);
  if (tag.length > 128) throw referenceInvalid(whole, "its tag is longer than 128 characters");
  if (!TAG.test(tag)) {
    throw referenceInvalid(
      whole,
      `its tag ${JSON.stringify(tag)} has a character that tags cannot have`,
      "letters, digits, _, . and - are allowed",
    );
  }
  return { name: text.slice(0, colon), tag };
}

function looksLikeHost(component: string): boolean {
  return /[.:]/.test(component) || component.toLowerCase() === "localhost";
}

/** Lower-cased and checked. `index.docker.io`, Docker Hub's name of old, becomes docker.io. */
export function parseHost(whole: string, text: string): string {
  const host = text.toLowerCase();
  const [, address, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(host) ?? [];
  if (address === undefined && name === undefined)
    throw referenceInvalid(whole, `its host ${JSON.stringify(text)} is malformed`);
  if (port !== undefined && !(/^[0-9]{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    throw referenceInvalid(whole, `its port ${JSON.stringify(port)} is no number from 1 to 65535`);
  }
  if (address !== undefined && !isIPv6(address)) throw referenceInvalid(whole, `[${address}] is no IPv6 address`);
  if (name?.split(".").every((label) => label.length <= 63 && HOST_LABEL.test(label)) === false) {
    throw referenceInvalid(
      whole,
      `its host ${JSON.stringify(text)} is malformed`,
      "a host is letters, digits, - and .",
    );
  }
  return host === "index.docker.io" ? DOCKER_HUB : host;
}

function checkRepository(whole: string, path: string): void {
  if (path === "") throw referenceInvalid(whole, "its repository is empty");
  const components = path.split("/");
  if (components.every((component) => COMPONENT.test(component))) return;
  if (components.includes(""))
    throw referenceInvalid(whole, "its repository has an empty component", "check the slashes");
  if (
    path
      .toLowerCase()
      .split("/")
      .every((component) => COMPONENT.test(component))
  ) {
    throw referenceInvalid(
      whole,
      "its repository must be lower case",
      `try ${whole.replace(path, path.toLowerCase())}`,
    );
  }
  const wrong = components.find((component) => !COMPONENT.test(component)) ?? path;
  throw referenceInvalid(
    whole,
    `its repository has the component ${JSON.stringify(wrong)}`,
    "components are lower-case letters and digits, separated by single . or _, by __ or by -",
  );
}
