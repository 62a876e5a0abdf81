/** Host configuration as a tree of files, and a table that reads it. Paths in `files` are relative to the tree. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseReference } from "../../../../src/image/reference.ts";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { parseRegistryUrl } from "../../../../src/sources/registry/endpoint.ts";
import type { HostPaths } from "../../../../src/sources/registry/hosts/default-paths.ts";
import { createHostTable } from "../../../../src/sources/registry/hosts/host-table.ts";
import type { HostTable, Route, Stop } from "../../../../src/sources/registry/hosts/route.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { errorOf } from "../resolve-with.ts";

export interface HostTree extends AsyncDisposable {
  readonly path: string;
  readonly paths: HostPaths;
  readonly table: HostTable;
  route(reference: string): Promise<Route>;
  /** One line a stop: `mirror https://m/v2/ team/app`. */
  stops(reference: string): Promise<readonly string[]>;
  /** The one stop that there is. */
  only(reference: string): Promise<Stop>;
  refusal(reference: string): ReturnType<typeof errorOf>;
  write(files: Readonly<Record<string, string>>): Promise<void>;
}

export interface HostTreeOptions {
  readonly dockerRegistry?: string;
  readonly insecureRegistries?: readonly string[];
}

/** The tree: `hosts/` and `more-hosts/`, `certs/` and `more-certs/`, `registries.conf`, `low.d/` and `high.d/`, `last.conf` if it is there. */
export async function openHostTree(
  files: Readonly<Record<string, string>>,
  options: HostTreeOptions = {},
): Promise<HostTree> {
  const temp = await openTempDir("hosts");
  const at = (name: string): string => join(temp.path, name);
  const write = async (written: Readonly<Record<string, string>>): Promise<void> => {
    for (const [name, content] of Object.entries(written)) {
      await mkdir(dirname(at(name)), { recursive: true });
      await writeFile(at(name), content);
    }
  };
  await write(files);
  const paths: HostPaths = {
    hostsDirs: [at("hosts"), at("more-hosts")],
    certsDirs: [at("hosts"), at("certs"), at("more-certs")],
    registriesConf: [at("registries.conf"), at("other-registries.conf")],
    registriesConfDirs: [at("low.d"), at("high.d")],
    ...("last.conf" in files && { registriesConfOverride: at("last.conf") }),
  };
  const { dockerRegistry } = options;
  const table = createHostTable({
    ...paths,
    security: createTransportSecurity(options.insecureRegistries ?? []),
    ...(dockerRegistry !== undefined && { dockerRegistry: parseRegistryUrl(dockerRegistry) }),
  });
  const route = (text: string): Promise<Route> => {
    const reference = parseReference(text);
    if (reference.kind !== "docker") throw new Error(`${text} is no docker reference`);
    return table.routeFor(reference);
  };
  return {
    path: temp.path,
    paths,
    table,
    route,
    stops: async (text) => (await route(text)).stops.map(describeStop),
    async only(text) {
      const { stops } = await route(text);
      const [stop] = stops;
      if (stop === undefined || stops.length > 1) throw new Error(`${stops.length} stops`);
      return stop;
    },
    refusal: (text) => errorOf(route(text)),
    write,
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

function describeStop({ role, endpoint, repository }: Stop): string {
  return `${role} ${endpoint.api.href} ${endpoint.repositoryPrefix}${repository}`;
}
