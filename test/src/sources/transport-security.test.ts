import { describe, expect, test } from "vitest";
import { createTransportSecurity } from "../../../src/sources/registry/transport-security.ts";

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
});
