import { describe, expect, test } from "vitest";
import { createTransportSecurity, STRANGER } from "../../../../src/sources/http/transport-security.ts";

const url = (text: string): URL => new URL(text);

describe("plain http", () => {
  const security = createTransportSecurity(["listed.example.com:5000"]);

  test.each([
    "http://127.0.0.1:5000/v2/",
    "http://localhost/v2/",
    "http://[::1]:5000/",
    "http://listed.example.com:5000/",
    "https://any.example.com/",
  ])("is spoken to %s", (address) => {
    expect(() => security.check(url(address))).not.toThrow();
  });

  test.each(["http://any.example.com/", "http://listed.example.com/", "http://10.0.0.1:5000/"])(
    "is not spoken to %s",
    (address) => {
      expect(() => security.check(url(address))).toThrow(expect.objectContaining({ code: "registry-insecure" }));
    },
  );

  test("is not spoken to this machine because a registry elsewhere says so", () => {
    const elsewhere = url("https://registry.example.com/v2/");
    expect(() => security.check(url("http://localhost:2375/containers/json"), elsewhere)).toThrow(/plain http/);
    expect(() => security.check(url("http://listed.example.com:5000/"), elsewhere)).not.toThrow();
    expect(() => security.check(url("http://127.0.0.1:5001/token"), url("http://127.0.0.1:5000/v2/"))).not.toThrow();
  });

  test("is spoken to a host whose own configuration says so, from wherever the way leads there", () => {
    const elsewhere = url("https://registry.example.com/v2/");
    expect(() => security.check(url("http://any.example.com/"), undefined, { plainHttp: true })).not.toThrow();
    expect(() => security.check(url("http://any.example.com/"), elsewhere, { plainHttp: true })).not.toThrow();
    expect(() => security.check(url("http://any.example.com/"), elsewhere, { plainHttp: false })).toThrow(/plain http/);
  });

  test("does not open other schemes", () => {
    expect(() => security.check(url("file:///etc/passwd"), undefined, { plainHttp: true })).toThrow(
      expect.objectContaining({ code: "registry-error", hint: expect.stringContaining("https and http only") }),
    );
  });
});

describe("this machine", () => {
  const security = createTransportSecurity(["localhost:5000", "127.0.0.1:443", "plain.example.com"]);
  const insecure = expect.objectContaining({ code: "registry-insecure", hint: expect.stringContaining("list ") });

  test.each([
    ["https elsewhere", "https://registry.example.com/v2/"],
    ["http elsewhere", "http://plain.example.com/v2/"],
    ["a manifest, whoever passed it on", STRANGER.href],
  ])("is not led to from %s, be it in http or https", (_, from) => {
    for (const scheme of ["http", "https"]) {
      for (const host of [
        "localhost",
        "LOCALHOST:2376",
        "localhost.",
        "a.localhost",
        "127.1.2.3",
        "[::1]:1",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "2130706434",
      ]) {
        expect(() => security.check(url(`${scheme}://${host}/`), url(from)), `${scheme}://${host}`).toThrow(insecure);
      }
    }
  });

  test.each(["http://localhost:5000/", "https://localhost:5000/", "https://127.0.0.1/"])(
    "is led to where the operator listed %s",
    (to) => {
      expect(() => security.check(url(to), STRANGER)).not.toThrow();
    },
  );

  test.each(["http://127.0.0.1:1/", "https://localhost:1/"])("may lead from %s to itself", (from) => {
    expect(() => security.check(url("https://127.0.0.1:2/"), url(from))).not.toThrow();
  });

  test("may be what the user named", () => {
    for (const to of ["https://127.0.0.1:2/", "http://[::1]:2/", "http://a.localhost/"]) security.check(url(to));
  });
});
