/** What is looked for in host configuration: a name, and where it is when no file says anything else. */
import { DOCKER_HUB, type DockerReference } from "../../../image/docker-reference.ts";
import type { TransportSecurity } from "../../http/transport-security.ts";
import { DOCKER_HUB_API, type Endpoint, endpointFor } from "../endpoint.ts";
import type { ImageName } from "./registry-name.ts";

export interface Sought {
  /** As configuration may name it: below the operator's registry where that serves docker.io. */
  readonly image: ImageName;
  readonly origin: {
    readonly endpoint: Endpoint;
    readonly repository: string;
    /** The dockerRegistry setting says so. */
    readonly isSetting: boolean;
  };
}

/**
 * The dockerRegistry setting is Docker Hub's place taken: its host is what files are asked about then. Where it names
 * Docker Hub itself, nothing has changed.
 */
export function soughtFor(reference: DockerReference, security: TransportSecurity, dockerRegistry?: Endpoint): Sought {
  if (reference.host !== DOCKER_HUB || dockerRegistry === undefined) {
    const endpoint = endpointFor(reference.host, security, dockerRegistry);
    return { image: reference, origin: { endpoint, repository: reference.repository, isSetting: false } };
  }
  const { host, repositoryPrefix } = dockerRegistry;
  const repository = `${repositoryPrefix}${reference.repository}`;
  return {
    image: { ...reference, host: host === DOCKER_HUB_API ? DOCKER_HUB : host, repository },
    origin: { endpoint: dockerRegistry, repository: reference.repository, isSetting: true },
  };
}
