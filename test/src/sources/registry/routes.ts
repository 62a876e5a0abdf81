/** Routes by hand, so that these tests are about what is done with a route, not about how files become one. */
import { PLAIN_TRANSPORT } from "../../../../src/sources/http/host-transport.ts";
import type { HostTable, Stop } from "../../../../src/sources/registry/hosts/route.ts";

/** A stop at `host` (a server on loopback), for the repository `app`. */
export function stopAt(host: string, role: Stop["role"], more: Partial<Stop> = {}): Stop {
  return {
    role,
    endpoint: { host, api: new URL(`http://${host}/v2/`), repositoryPrefix: "" },
    repository: "app",
    resolvesTags: true,
    resolvesDigests: true,
    headers: {},
    transport: PLAIN_TRANSPORT,
    configuredBy: "from the test",
    ...more,
  };
}

export function tableOf(...stops: readonly Stop[]): HostTable {
  return {
    routeFor: async () => ({ stops, files: ["/etc/test/hosts.toml"], warnings: [] }),
    transportFor: async () => PLAIN_TRANSPORT,
  };
}
