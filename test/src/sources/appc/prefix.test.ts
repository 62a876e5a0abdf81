import { describe, expect, test } from "vitest";
import { parseAppcPrefix } from "../../../../src/sources/appc/prefix.ts";

describe("parseAppcPrefix", () => {
  test.each([
    [undefined, { kind: "name" }],
    ["http://", { kind: "name", scheme: "http" }],
    ["https://", { kind: "name", scheme: "https" }],
    ["https://host", { kind: "http", base: "https://host/" }],
    ["https://host:8443/", { kind: "http", base: "https://host:8443/" }],
    ["https://host/images", { kind: "http", base: "https://host/images/" }],
    ["https://host/images/", { kind: "http", base: "https://host/images/" }],
    ["https://host/mirror-", { kind: "http", base: "https://host/mirror-" }],
    ["https://host/get?file=", { kind: "http", base: "https://host/get?file=" }],
    ["/srv/appc", { kind: "file", path: "/srv/appc" }],
    ["file:///tmp/appc/", { kind: "file", path: "/tmp/appc/" }],
    ["file:///tmp/with%20space/", { kind: "file", path: "/tmp/with space/" }],
    ["hdfs://host:9000/user/abc/cde", { kind: "hdfs", authority: "host:9000", path: "/user/abc/cde/" }],
    ["hdfs://nameservice1", { kind: "hdfs", authority: "nameservice1", path: "/" }],
  ])("reads %s", (text, prefix) => {
    expect(parseAppcPrefix(text)).toEqual(prefix);
  });

  test.each([
    "ftp://host/",
    "images/",
    "file://otherhost/x",
    "hdfs:///user",
    "https://user:secret@host/",
    "https://host/#x",
  ])("refuses %s, without repeating it", (text) => {
    expect(() => parseAppcPrefix(text)).toThrowError(expect.objectContaining({ code: "config-invalid" }));
    expect(() => parseAppcPrefix(text)).not.toThrowError("secret");
  });
});
