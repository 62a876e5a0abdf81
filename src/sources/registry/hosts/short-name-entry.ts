/** What files may say of short names: aliases, and the hosts that are searched. Checked by the rules for references. */
import {
  DOCKER_HUB,
  type DockerReference,
  parseDockerReference,
  parseDockerUrl,
} from "../../../image/docker-reference.ts";
import type { Refuse } from "./config-document.ts";

/** An empty `value` takes an alias back. Neither side has a tag or digest: those are the reference's own. */
export function parseAlias(name: string, value: string, refuse: Refuse): readonly [string, string] {
  if (hasVersion(name)) throw refuse("has a tag or digest in its name");
  const short = attempt(() => parseDockerReference(name), refuse, "is no name that a repository can have");
  if (!isShort(short)) throw refuse("is an alias for a name that has a registry already");
  if (value === "") return [name, ""];
  if (hasVersion(value)) throw refuse("has a tag or digest in its value");
  const full = attempt(() => parseDockerReference(value), refuse, "has a value that is no name of a repository");
  if (isShort(full)) throw refuse("must have a value that begins with a registry");
  return [name, value];
}

export function parseSearchHost(host: string, refuse: Refuse): string {
  const trimmed = host.replace(/\/+$/, "");
  if (trimmed.includes("/")) throw refuse("has an entry that is more than a host");
  return attempt(() => parseDockerUrl(`docker://${trimmed}/x`), refuse, "has an entry that is no host").host;
}

/** No host was typed: docker.io stands in for it. */
export function isShort(reference: DockerReference): boolean {
  return reference.host === DOCKER_HUB && !/^(?:index\.)?docker\.io\//i.test(reference.asTyped);
}

/** What was typed, without tag and digest. */
export function nameOf(reference: DockerReference): string {
  const [name = ""] = reference.asTyped.split("@");
  return hasVersion(name) ? name.slice(0, name.lastIndexOf(":")) : name;
}

/** A colon belongs to a tag behind the last slash only; before it, it introduces a port. */
function hasVersion(name: string): boolean {
  return name.includes("@") || name.lastIndexOf(":") > name.lastIndexOf("/");
}

function attempt(parse: () => DockerReference, refuse: Refuse, why: string): DockerReference {
  try {
    return parse();
  } catch {
    throw refuse(why);
  }
}
