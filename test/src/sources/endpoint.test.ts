/** Where registries are, and which of them may be spoken to in plain http. */
import { describe, expect, test } from "vitest";
import { isLoopback } from "../../../src/sources/http/localhost.ts";
import { createTransportSecurity } from "../../../src/sources/http/transport-security.ts";
import { endpointFor, parseRegistryUrl } from "../../../src/sources/registry/endpoint.ts";

const security = createTransportSecurity(["lab.example.com:5000", "10.0.0.7"]);

describe("endpointFor", () => {
  test.each([
    ["docker.io", "https://registry-1.docker.io/v2/"],
    ["registry-1.docker.io", "https://registry-1.docker.io/v2/"],
    ["registry-1.docker.io:443", "https://registry-1.docker.io/v2/"],
    ["quay.io", "https://quay.io/v2/"],
    ["quay.io:80", "https://quay.io:80/v2/"],
    ["localhost", "http://localhost/v2/"],
    ["localhost:80", "http://localhost/v2/"],
    ["localhost:1234", "http://localhost:1234/v2/"],
    ["127.0.0.1:1234", "http://127.0.0.1:1234/v2/"],
    ["127.0.0.1:443", "https://127.0.0.1/v2/"],
    ["[::1]:5000", "http://[::1]:5000/v2/"],
    ["lab.example.com:5000", "http://lab.example.com:5000/v2/"],
    ["lab.example.com", "https://lab.example.com/v2/"],
    ["10.0.0.7", "http://10.0.0.7/v2/"],
  ])("finds %s at %s", (host, url) => {
    expect(endpointFor(host, security).api.href).toBe(url);
  });

  test.each([
    ["http://localhost:5000", "http://localhost:5000/v2/", ""],
    ["https://localhost:5000/", "https://localhost:5000/v2/", ""],
    ["localhost:5000", "http://localhost:5000/v2/", ""],
    ["mirror.example.com", "https://mirror.example.com/v2/", ""],
    ["https://mirror.example.com/v2/", "https://mirror.example.com/v2/", ""],
    ["https://mirror.example.com/v2/hub/proxy", "https://mirror.example.com/v2/", "hub/proxy/"],
    ["https://mirror.example.com/api/docker/hub", "https://mirror.example.com/api/docker/hub/v2/", ""],
    ["https://mirror.example.com/api/v2", "https://mirror.example.com/api/v2/", ""],
    ["https://docker.io", "https://registry-1.docker.io/v2/", ""],
    ["https://registry-1.docker.io", "https://registry-1.docker.io/v2/", ""],
    ["http://lab.example.com:5000", "http://lab.example.com:5000/v2/", ""],
  ])("finds docker.io, configured to be served by %s, at %s", (setting, url, repositoryPrefix) => {
    const endpoint = endpointFor("docker.io", security, parseRegistryUrl(setting));
    expect(endpoint).toMatchObject({ repositoryPrefix, api: new URL(url) });
  });

  test("leaves other hosts alone when a default is configured", () => {
    expect(endpointFor("quay.io", security, parseRegistryUrl("http://localhost:5000")).host).toBe("quay.io");
  });

  test("speaks https to a loopback host that the default asks https for", () => {
    const registry = parseRegistryUrl("https://localhost:5000");
    expect(endpointFor("localhost:5000", security, registry).api.href).toBe("https://localhost:5000/v2/");
  });

  test("refuses a default in plain http elsewhere", () => {
    const find = (): unknown => endpointFor("docker.io", security, parseRegistryUrl("http://mirror.example.com"));
    expect(find).toThrow(
      expect.objectContaining({ code: "registry-insecure", hint: expect.stringContaining("mirror.example.com") }),
    );
  });

  test.each(["", "ftp://x.example.com", "relative/path", "https://u:p@x.example.com", "https://x.example.com?q"])(
    "refuses the setting %j",
    (setting) => {
      expect(() => parseRegistryUrl(setting)).toThrow(expect.objectContaining({ code: "config-invalid" }));
    },
  );
});

test.each([
  ["localhost", true],
  ["a.localhost:1", true],
  ["127.9.9.9", true],
  ["[::1]", true],
  ["localhost.example.com", false],
  ["127.0.0.1.example.com", false],
  ["128.0.0.1", false],
  ["[::2]:80", false],
  ["0.0.0.0", false],
])("isLoopback: %s is %s", (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback);
});
