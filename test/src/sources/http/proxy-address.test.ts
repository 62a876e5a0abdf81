/** A proxy is read by one rule, whether the environment or a file names it; a file must say the scheme. */
import { expect, test } from "vitest";
import { parseProxyAddress } from "../../../../src/sources/http/proxy-address.ts";
import { refuserOf } from "../../../../src/sources/registry/hosts/config-document.ts";
import { parseProxy } from "../../../../src/sources/registry/hosts/host-address.ts";

const inFile = (text: string): string => parseProxy(text, refuserOf("/etc/hosts.toml", "proxy"));
const anywhere = (text: string) => parseProxyAddress(text, (why) => new Error(`it ${why}`));

test.each([
  ["http://p.test:3128", { kind: "http", address: "http://p.test:3128", credentials: undefined }],
  [
    "https://u:p%20w@p.test",
    { kind: "http", address: "https://p.test", credentials: { username: "u", password: "p w" } },
  ],
  ["socks5://p.test", { kind: "socks5", address: "socks5://p.test:1080", credentials: undefined }],
  ["socks5h://p.test:1", { kind: "socks5", address: "socks5://p.test:1", credentials: undefined }],
])("%s is a proxy everywhere", (text, server) => {
  expect(anywhere(text)).toEqual(server);
  expect(anywhere(inFile(text))).toEqual(server);
});

test.each(["ftp://u:sword%20fish@p.test", "http://u:sword%zzfish@p.test", "http://", "socks5://"])(
  "%s is none, and its password is not shown",
  (text) => {
    expect(() => anywhere(text)).toThrow(/^it (?:is|has) (?!.*fish)/);
    expect(() => inFile(text)).toThrow(/^Cannot use .*proxy is no address of a proxy(?!.*fish)/);
  },
);

test.each(["p.test:3128", "p.test"])("%s is one in the environment only", (text) => {
  expect(anywhere(text).kind).toBe("http");
  expect(() => inFile(text)).toThrow(expect.objectContaining({ code: "config-invalid" }));
});
