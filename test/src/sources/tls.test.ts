/** https that is not trusted, and servers that speak the other of http and https. */
import { describe, expect, test } from "vitest";
import { selfSigned } from "../../support/certificates.ts";
import { redirect, startFaultServer } from "../../support/fault-server.ts";
import { missingPrograms } from "../../support/peers.ts";
import { buildImage } from "../../support/tar-builder.ts";
import { errorOf, openResolving } from "./resolve-with.ts";

const image = buildImage([], { architecture: "amd64" });

describe("https", () => {
  test("asked of a server that speaks http is registry-unreachable, with a hint", async () => {
    await using server = await startFaultServer(image);
    await using resolving = openResolving({ dockerRegistry: `https://${server.host}` });
    const error = await errorOf(resolving.resolve("app:1"));
    expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining("TLS") });
    expect(error.hint).toContain("insecure registries");
    expect(resolving.delays).toEqual([]);
  });

  describe.skipIf(missingPrograms("openssl").length > 0)("with a self-signed certificate (needs openssl)", () => {
    test("is not trusted", async () => {
      await using server = await startFaultServer(image, { tls: await selfSigned() });
      await using resolving = openResolving({ dockerRegistry: server.url });
      const error = await errorOf(resolving.resolve("app:1"));
      expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining("self-signed") });
      expect(resolving.delays).toEqual([]);
      expect(server.requests).toEqual([]);
    });

    test("is not trusted behind a redirect either", async () => {
      await using network = await startFaultServer(image, { tls: await selfSigned() });
      await using server = await startFaultServer(image, {
        faults: [redirect("config", (path) => `${network.url}${path}`)],
      });
      await using resolving = openResolving();
      const error = await errorOf(resolving.resolve(`${server.host}/app:1`));
      expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining(network.host) });
    });
  });
});
