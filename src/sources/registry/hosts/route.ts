/**
 * Route: the places at which an image is looked for, in the order in which they are asked. What hosts.toml,
 * registries.conf and certs.d directories say, each in its own way, ends up in this one model.
 */
import type { DockerReference } from "../../../image/docker-reference.ts";
import type { HostTransport } from "../../http/host-transport.ts";
import type { Endpoint } from "../endpoint.ts";

/**
 * What `resolvesTags` and `resolvesDigests` mean for each request:
 *
 * | asked for | needs |
 * | --- | --- |
 * | a manifest by tag | `resolvesTags`: what it answers decides which image this is |
 * | a manifest by digest, whether the reference or an index gave it | `resolvesDigests` |
 * | a blob | `resolvesDigests` |
 *
 * Mirrors of a registries.conf that are `digest-only` have no `resolvesTags`: for a reference by tag, the origin says what
 * the tag means, and the mirror may give the content, which is verified. `tag-only` mirrors are no part of the route of a
 * reference by digest, and do everything on that of a reference by tag: in registries.conf it is the form of the
 * reference that decides, and not that of the request. With `capabilities` of a hosts.toml, `resolve` and `pull` are
 * these two. A stop that resolves tags alone can say which digest is meant, and the content is for others to give.
 */
export interface Stop {
  readonly role: "mirror" | "origin";
  readonly endpoint: Endpoint;
  /** The repository's name there, without the endpoint's prefix: mirrors may keep it under another one. */
  readonly repository: string;
  /** May be asked what a tag means. */
  readonly resolvesTags: boolean;
  /** May be asked for content by digest. */
  readonly resolvesDigests: boolean;
  /** The operator's own registry for docker.io: `busybox` may be kept there under that name, besides library/busybox. */
  readonly ownNames?: boolean;
  /** Sent as `?ns=`: the registry that this stands for. A habit of containerd's, on which pull-through mirrors of many registries rely. */
  readonly namespace?: string;
  /** Sent with every request to this host, and to no other. Lower-case names. They may be secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly transport: HostTransport;
  /** For people: a file, or why it is here when nothing is configured. */
  readonly configuredBy: string;
}

export interface Route {
  /**
   * Never empty; the origin, where there is one, is last. Where a file calls the origin insecure, it has two stops: https
   * without verification, then plain http. At least one stop resolves digests and, for a reference without a digest, tags.
   */
  readonly stops: readonly Stop[];
  /** Files that were read to find it. */
  readonly files: readonly string[];
  /** For people: keys and files that were passed over. */
  readonly warnings: readonly string[];
}

export interface HostTable {
  /** Throws AppErrors `registry-blocked`, `registry-insecure`, and `config-invalid` for files that cannot be understood. */
  routeFor(reference: DockerReference): Promise<Route>;
  /**
   * For hosts that no route leads to: token servers, redirects, ACIs. `host[:port]`. A host that is a stop of the route
   * under way is reached as that stop is: what a hosts.toml says of a mirror is said for the registry that it mirrors.
   */
  readonly transportFor: (host: string) => Promise<HostTransport>;
}
