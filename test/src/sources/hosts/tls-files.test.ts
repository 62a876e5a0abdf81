/** Certificates and keys of hosts: certs.d directories in Docker's layout, and the files that a hosts.toml names. */
import { readFile, symlink } from "node:fs/promises";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HostTransport } from "../../../../src/sources/http/host-transport.ts";
import { missingPrograms, run } from "../../../support/peers.ts";
import { openTempDir, type TempDir } from "../../../support/temp-dir.ts";
import { printed } from "../resolve-with.ts";
import { openHostTree } from "./host-tree.ts";

describe.skipIf(missingPrograms("openssl").length > 0)("TLS files (need openssl)", () => {
  let temp: TempDir;
  const pem: Record<string, string> = {};

  beforeAll(async () => {
    temp = await openTempDir("pki");
    const openssl = (...args: string[]) => run("openssl", args, { cwd: temp.path });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    await openssl("req", "-x509", ...key, "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.crt");
    for (const name of ["server", "client"]) {
      const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
      const signed = ["-CA", "ca.crt", "-CAkey", "ca.key"];
      await openssl("req", "-x509", ...key, ...subject, ...signed, "-keyout", `${name}.key`, "-out", `${name}.crt`);
    }
    await openssl("pkey", "-in", "client.key", "-aes256", "-passout", "pass:x", "-out", "locked.key");
    for (const name of ["ca.crt", "server.crt", "server.key", "client.crt", "client.key", "locked.key"]) {
      pem[name] = await readFile(join(temp.path, name), "utf8");
    }
  });
  afterAll(() => temp[Symbol.asyncDispose]());

  const text = (...names: string[]): string => names.map((name) => pem[name] ?? "").join("");

  /** A server of https that lets in nobody without a certificate of the authority. Tells who came. */
  async function askStrictServer(transportFor: (host: string) => Promise<HostTransport>): Promise<string> {
    const options = { key: text("server.key"), cert: text("server.crt"), ca: text("ca.crt") };
    const server = createServer({ ...options, requestCert: true, rejectUnauthorized: true }, (_, response) => {
      response.end("welcome");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const { ca, clientCertificates } = await transportFor(`127.0.0.1:${port}`);
      const [pair] = clientCertificates;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const asked = request({ host: "127.0.0.1", port, agent: false, ca: [...ca], cert: pair?.cert, key: pair?.key });
      asked.once("error", reject);
      asked.once("response", (response) => response.once("data", (chunk: Buffer) => resolve(chunk.toString())));
      asked.end();
      return await promise;
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  test("in a directory of the host open a server that asks for them", async () => {
    await using tree = await openHostTree({});
    const answer = askStrictServer(async (host) => {
      await tree.write({
        [`certs/${host}/any.crt`]: text("ca.crt"),
        [`certs/${host}/me.cert`]: text("client.crt"),
        [`certs/${host}/me.key`]: text("client.key"),
      });
      return tree.table.transportFor(host);
    });
    expect(await answer).toBe("welcome");
  });

  test("of a registry on this machine mean that it speaks TLS, unless plain http was asked for", async () => {
    const files = { "certs/127.0.0.1:5000/ca.crt": text("ca.crt") };
    const schemeOf = async (options: Parameters<typeof openHostTree>[1], reference: string) => {
      await using tree = await openHostTree(files, options);
      return (await tree.only(reference)).endpoint.api.protocol;
    };
    expect(await schemeOf({}, "127.0.0.1:5000/app")).toBe("https:");
    expect(await schemeOf({}, "127.0.0.1:5001/app")).toBe("http:");
    expect(await schemeOf({ dockerRegistry: "http://127.0.0.1:5000" }, "app")).toBe("http:");
  });

  test("that a hosts.toml names, relative to itself, open a server that asks for them", async () => {
    await using tree = await openHostTree({
      "hosts/tls/ca.pem": text("ca.crt"),
      "both.pem": text("client.crt", "client.key"),
    });
    const answer = askStrictServer(async (host) => {
      const own = `ca = ["../tls/ca.pem"]\nclient = "${join(tree.path, "both.pem")}"`;
      await tree.write({ [`hosts/${host}/hosts.toml`]: `server = "https://${host}"\n${own}` });
      const { transport } = await tree.only(`${host}/app`);
      expect(transport.configuredBy).toContain(join(tree.path, "hosts/tls/ca.pem"));
      return transport;
    });
    expect(await answer).toBe("welcome");
  });

  test("complete every stop with their host that has none of its own", async () => {
    await using tree = await openHostTree({
      "hosts/docker.io/hosts.toml": `
        [host."https://m.example.com"]
        [host."https://n.example.com:5000"]
        ca = "own.pem"
        client = [["client.pem", "client-key.pem"]]
        [host."http://m.example.com"]
      `,
      "hosts/docker.io/own.pem": text("server.crt"),
      "hosts/docker.io/client.pem": text("client.crt"),
      "hosts/docker.io/client-key.pem": text("client.key"),
      "certs/m.example.com/ca.crt": text("ca.crt"),
      "certs/n.example.com:5000/ca.crt": text("ca.crt"),
      "certs/docker.io/ca.crt": text("ca.crt"),
    });
    const { stops } = await tree.route("busybox");
    expect(stops.map(({ transport }) => transport.ca)).toEqual([
      [text("ca.crt").trimEnd()],
      [text("server.crt").trimEnd()],
      [],
      [text("ca.crt").trimEnd()],
    ]);
    expect(stops.map(({ transport }) => transport.clientCertificates.length)).toEqual([0, 1, 0, 0]);
  });

  test("are those of the first directory that has any", async () => {
    await using tree = await openHostTree({
      "hosts/a.example.com/hosts.toml": "",
      "certs/a.example.com/readme.txt": "",
      "more-certs/a.example.com/one.crt": text("ca.crt"),
      "more-certs/a.example.com/two.crt": text("server.crt", "client.crt"),
      "certs/b.example.com/one.crt": text("ca.crt"),
      "more-certs/b.example.com/two.crt": text("server.crt"),
    });
    const authorities = async (host: string) => (await tree.table.transportFor(host)).ca.join().match(/BEGIN/g)?.length;
    expect(await authorities("a.example.com")).toBe(3);
    expect(await authorities("b.example.com")).toBe(1);
  });

  test("may have words between them, and no keys are taken for authorities", async () => {
    const bundle = `Issuer: somebody\r\n${text("ca.crt").replaceAll("\n", "\r\n")}\n${text("client.key")}\n# end\n`;
    await using tree = await openHostTree({ "certs/a.example.com/x.crt": bundle });
    expect((await tree.table.transportFor("a.example.com")).ca).toEqual([text("ca.crt").trimEnd()]);
  });

  test("that are a link to nowhere are passed over, with a warning", async () => {
    await using tree = await openHostTree({ "certs/a.example.com/good.crt": text("ca.crt") });
    await symlink("/nowhere/at/all.pem", join(tree.path, "certs/a.example.com/gone.crt"));
    const route = await tree.route("a.example.com/app");
    expect(route.stops[0]?.transport.ca).toHaveLength(1);
    expect(route.warnings).toEqual([expect.stringContaining("gone.crt")]);
  });

  test.each([
    ["a certificate without a key", { "me.cert": ["client.crt"] }, "me.cert has no key me.key"],
    ["a key without a certificate", { "me.key": ["client.key"] }, "me.key has no client certificate me.cert"],
    ["another's key", { "me.cert": ["client.crt"], "me.key": ["server.key"] }, "is not that of the certificate"],
    ["an encrypted key", { "me.cert": ["client.crt"], "me.key": ["locked.key"] }, "is encrypted"],
    ["a certificate for a key", { "me.cert": ["client.crt"], "me.key": ["client.crt"] }, "no PEM private key in it"],
    ["a key for an authority", { "ca.crt": ["client.key"] }, "no PEM certificate in it"],
    ["an empty authority", { "ca.crt": [] }, "no PEM certificate in it"],
  ])("with %s are config-invalid", async (_, files, message) => {
    const named = Object.entries(files).map(([name, parts]) => [`certs/a.example.com/${name}`, text(...parts)]);
    await using tree = await openHostTree(Object.fromEntries(named));
    const error = await tree.refusal("a.example.com/app");
    expect(error).toMatchObject({ code: "config-invalid", message: expect.stringContaining(message) });
    expect(error.message).toContain(join(tree.path, "certs/a.example.com"));
    for (const line of text("client.key", "server.key", "locked.key")
      .split("\n")
      .filter((each) => !/-----|^$/.test(each))) {
      expect(printed(error)).not.toContain(line);
    }
  });

  test.each([
    ["damaged", (good: string) => good.replace(/\n[^-]{4}/, "\nAAAA"), "PEM certificate 1 is damaged"],
    ["larger than any can be", (good: string) => good + "#".repeat(1024 * 1024), "larger than the limit"],
    ["nothing but beginnings", () => "-----BEGIN CERTIFICATE-----\n".repeat(30_000), "no PEM certificate in it"],
  ])("that are %s are config-invalid", async (_, spoil, message) => {
    await using tree = await openHostTree({ "certs/a.example.com/x.crt": spoil(text("ca.crt")) });
    expect((await tree.refusal("a.example.com/app")).message).toContain(message);
  });

  test("give transports one key where they say the same, and others where they do not", async () => {
    await using tree = await openHostTree({
      "certs/a.example.com/x.crt": text("ca.crt"),
      "certs/b.example.com/y.crt": text("ca.crt"),
      "certs/c.example.com/x.crt": text("server.crt"),
    });
    const key = async (host: string) => (await tree.table.transportFor(host)).key;
    expect(await key("a.example.com")).toBe(await key("b.example.com"));
    expect(await key("a.example.com")).not.toBe(await key("c.example.com"));
    expect(await key("d.example.com")).toBe("");
  });
});
