/**
 * A token server as docker-registry trusts it: it signs (RS256) what a user may do, with a key whose certificate the
 * registry was given. It remembers what it was asked, for tests to look at.
 */
import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { run } from "./peers.ts";

export interface TokenServer extends AsyncDisposable {
  /** For the registry's configuration. */
  readonly registrySettings: Readonly<Record<string, string>>;
  /** One entry a token request, in order. */
  readonly requests: readonly { readonly scope: string | null; readonly anonymous: boolean }[];
  /** Seconds that tokens last from now on. */
  lifetimeS: number;
  issue(repository: string, actions: readonly string[]): string;
}

const ISSUER = "rootwright tests";
const SERVICE = "test registry";

/** Anonymous users may pull what begins with `public/`; the user may do everything. Keys are put into `directory`. */
export async function startTokenServer(directory: string, username: string, password: string): Promise<TokenServer> {
  const [key, certificate] = [join(directory, "token.key"), join(directory, "token.crt")];
  const subject = ["-subj", "/CN=rootwright tests", "-days", "2"];
  await run("openssl", [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    key,
    "-out",
    certificate,
    ...subject,
  ]);
  const privateKey = createPrivateKey(await readFile(key));
  const chain = [new X509Certificate(await readFile(certificate)).raw.toString("base64")];
  const requests: { scope: string | null; anonymous: boolean }[] = [];

  const issue = (repository: string, actions: readonly string[]): string => {
    const now = Math.floor(Date.now() / 1000);
    const access = actions.length === 0 ? [] : [{ type: "repository", name: repository, actions }];
    const times = { iat: now, nbf: now - 10, exp: now + 300 };
    const claims = { iss: ISSUER, aud: SERVICE, sub: "tests", jti: randomUUID(), access, ...times };
    const signed = [{ typ: "JWT", alg: "RS256", x5c: chain }, claims].map(base64url).join(".");
    return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const scope = url.searchParams.get("scope");
    const user = basicUser(request);
    requests.push({ scope, anonymous: user === undefined });
    const [, repository = "", actions = ""] = /^repository:([^:]+):(.*)$/.exec(scope ?? "") ?? [];
    if (user !== undefined && user !== `${username}:${password}`) {
      response.writeHead(401).end();
      return;
    }
    const granted = user !== undefined || repository.startsWith("public/") ? actions.split(",") : [];
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ token: issue(repository, granted), expires_in: tokenServer.lifetimeS }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const tokenServer: TokenServer = {
    registrySettings: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: certificate },
    requests,
    lifetimeS: 300,
    issue,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return tokenServer;
}

function basicUser(request: IncomingMessage): string | undefined {
  const encoded = /^Basic (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString();
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
