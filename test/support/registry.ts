/**
 * The real `docker-registry` on a free loopback port, with its storage in a temporary directory: open to all, behind
 * htpasswd, or behind a token server; over https, with client certificates too; or as a pull-through mirror of another
 * one. Disposing stops it and removes everything.
 *
 *     await using registry = await startRegistry({ auth: "htpasswd" });
 *     await pushImage(registry, "team/app", image, "1");      // readable as `${registry.host}/team/app:1`
 */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { missingPrograms, run, searchPath, stopChild } from "./peers.ts";
import type { BuiltDescriptor, BuiltImage } from "./tar-builder.ts";
import { openTempDir } from "./temp-dir.ts";
import { startTokenServer, type TokenServer } from "./token-server.ts";

export type RegistryAuth = "none" | "htpasswd" | "token";

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  readonly pid: number;
  readonly username: string;
  readonly password: string;
  /** What a docker config.json that knows this registry's credentials says. */
  readonly dockerConfig: string;
  /** Present with `auth: "token"`. */
  readonly tokenServer?: TokenServer;
}

export interface RegistryOptions {
  readonly auth?: RegistryAuth;
  /** The URL of another registry, of which this one is a pull-through mirror. */
  readonly proxyOf?: string;
  /** Paths of PEM files. With `clientCa`, clients need a certificate that it signed. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientCa?: string };
  /** Takes and gives manifests of schema 1. */
  readonly schema1?: boolean;
}

const USERNAME = "tester";
const PASSWORD = "open:sesame";

/** Why the tests that need this registry cannot run here; undefined when they can. */
export function registryObstacle(auth: RegistryAuth = "none"): string | undefined {
  const needed = { none: [], htpasswd: ["htpasswd"], token: ["openssl"] }[auth];
  const missing = missingPrograms("docker-registry", ...needed);
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`;
}

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const auth = options.auth ?? "none";
  await using undo = new AsyncDisposableStack();
  const directory = undo.use(await openTempDir("registry")).path;
  const tokenServer = auth === "token" ? undo.use(await startTokenServer(directory, USERNAME, PASSWORD)) : undefined;
  const config = {
    version: "0.1",
    log: { level: "info", formatter: "json", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, "data") }, delete: { enabled: true } },
    http: {
      addr: "127.0.0.1:0",
      secret: "only for tests",
      ...(options.tls !== undefined && { tls: tlsSettings(options.tls) }),
    },
    ...(options.proxyOf !== undefined && { proxy: { remoteurl: options.proxyOf } }),
    ...(options.schema1 === true && { compatibility: { schema1: { enabled: true } } }),
    ...(auth === "htpasswd" && { auth: { htpasswd: { realm: "tests", path: await writeHtpasswd(directory) } } }),
    ...(tokenServer !== undefined && { auth: { token: tokenServer.registrySettings } }),
  };
  // JSON is YAML
  await writeFile(join(directory, "config.yml"), JSON.stringify(config));
  const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PATH: searchPath().join(":") },
  });
  undo.defer(() => stopChild(child));
  const host = await listeningAddress(child);
  const stack = undo.move();
  return {
    host,
    url: `${options.tls === undefined ? "http" : "https"}://${host}`,
    pid: child.pid ?? 0,
    username: USERNAME,
    password: PASSWORD,
    dockerConfig: JSON.stringify({ auths: { [host]: { auth: btoa(`${USERNAME}:${PASSWORD}`) } } }),
    ...(tokenServer !== undefined && { tokenServer }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Uploads blobs and manifest; `tag` names the manifest, which is reachable by its digest as well. */
export async function pushImage(
  registry: TestRegistry,
  repository: string,
  image: BuiltImage,
  tag: string,
): Promise<void> {
  const headers = await pushAuthorization(registry, repository);
  for (const descriptor of [image.config, ...image.layers]) {
    await pushBlob(
      registry,
      repository,
      image.blobs.get(descriptor.digest) ?? Buffer.alloc(0),
      descriptor.digest,
      headers,
    );
  }
  await pushManifest(
    registry,
    repository,
    tag,
    image.blobs.get(image.manifest.digest) ?? Buffer.alloc(0),
    image.manifest,
    headers,
  );
}

/** Uploads an index over images that are pushed already, one descriptor each, with their platforms. */
export async function pushIndex(
  registry: TestRegistry,
  repository: string,
  tag: string,
  manifests: readonly (BuiltDescriptor & Readonly<Record<string, unknown>>)[],
  mediaType = "application/vnd.oci.image.index.v1+json",
): Promise<void> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  await pushManifest(registry, repository, tag, bytes, { mediaType }, await pushAuthorization(registry, repository));
}

async function pushBlob(
  registry: TestRegistry,
  repository: string,
  bytes: Buffer,
  digest: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const started = await fetch(`${registry.url}/v2/${repository}/blobs/uploads/`, { method: "POST", headers });
  await expectStatus(started, 202);
  const location = new URL(started.headers.get("location") ?? "", registry.url);
  location.searchParams.set("digest", digest);
  const type = { "content-type": "application/octet-stream" };
  await expectStatus(
    await fetch(location, { method: "PUT", headers: { ...headers, ...type }, body: new Uint8Array(bytes) }),
    201,
  );
}

async function pushManifest(
  registry: TestRegistry,
  repository: string,
  tag: string,
  bytes: Buffer,
  { mediaType }: { readonly mediaType: string },
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const url = `${registry.url}/v2/${repository}/manifests/${tag}`;
  const type = { "content-type": mediaType };
  await expectStatus(
    await fetch(url, { method: "PUT", headers: { ...headers, ...type }, body: new Uint8Array(bytes) }),
    201,
  );
}

async function pushAuthorization(registry: TestRegistry, repository: string): Promise<Record<string, string>> {
  if (registry.tokenServer === undefined)
    return { authorization: `Basic ${btoa(`${registry.username}:${registry.password}`)}` };
  return { authorization: `Bearer ${registry.tokenServer.issue(repository, ["pull", "push"])}` };
}

async function expectStatus(response: Response, status: number): Promise<void> {
  const body = await response.text();
  if (response.status !== status) throw new Error(`${response.url} answered ${response.status}: ${body}`);
}

function tlsSettings({ certificate, key, clientCa }: NonNullable<RegistryOptions["tls"]>): Record<string, unknown> {
  return { certificate, key, ...(clientCa !== undefined && { clientcas: [clientCa] }) };
}

async function writeHtpasswd(directory: string): Promise<string> {
  const { stdout } = await run("htpasswd", ["-nbB", "-C", "4", USERNAME, PASSWORD]);
  const path = join(directory, "htpasswd");
  await writeFile(path, stdout);
  return path;
}

/** The registry chooses its port itself and says so in its log. */
async function listeningAddress(child: ChildProcess): Promise<string> {
  if (child.stderr === null) throw new Error("docker-registry has no log");
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  const found = (async () => {
    const seen: string[] = [];
    for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream })) {
      const address = /listening on ((?:[0-9.]+|\[[0-9a-f:]+\]):[0-9]+)(?:, tls)?/.exec(line)?.[1];
      if (address !== undefined) return address;
      seen.push(line);
    }
    throw new Error(`docker-registry did not start:\n${seen.join("\n")}`);
  })();
  const address = await Promise.race([found, failed]);
  // a full pipe would stop the registry
  child.stderr.resume();
  return address;
}
