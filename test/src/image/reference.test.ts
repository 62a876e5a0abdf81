/** References: what is accepted, how it is normalised, and what a refusal says. */
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { formatReference, parseReference } from "../../../src/image/reference.ts";

const D = "sha256:bc8813ea7b3603864987522f02a76101c17ad122e1c46d790efc0fca78ca7bfb";

/** What the user writes → canonical name. The first part are the rows that Mesos tests its parser with. */
const ACCEPTED: readonly (readonly [string, string])[] = [
  ["library/busybox", "docker.io/library/busybox:latest"],
  ["busybox", "docker.io/library/busybox:latest"],
  ["library/busybox:tag", "docker.io/library/busybox:tag"],
  [`library/busybox@${D}`, `docker.io/library/busybox@${D}`],
  ["registry.io/library/busybox", "registry.io/library/busybox:latest"],
  ["registry.io/library/busybox:tag", "registry.io/library/busybox:tag"],
  ["registry.io:80/library/busybox:tag", "registry.io:80/library/busybox:tag"],
  [`registry.io:80/library/busybox@${D}`, `registry.io:80/library/busybox@${D}`],
  ["host:5000/repo", "host:5000/repo:latest"],
  ["localhost/repo", "localhost/repo:latest"],
  ["Localhost/repo", "localhost/repo:latest"],
  ["localhost:5000", "docker.io/library/localhost:5000"],
  ["docker.io/busybox", "docker.io/library/busybox:latest"],
  ["a/b.c/d", "docker.io/a/b.c/d:latest"],
  ["a/b/c:d", "docker.io/a/b/c:d"],
  ["[::1]:5000/x", "[::1]:5000/x:latest"],
  // beyond Mesos
  ["index.docker.io/library/x:1", "docker.io/library/x:1"],
  ["registry-1.docker.io/library/x", "registry-1.docker.io/library/x:latest"],
  [`busybox:1.36@${D}`, `docker.io/library/busybox@${D}`],
  ["REGISTRY.Example.COM:443/app", "registry.example.com:443/app:latest"],
  ["example.com/a__b/c--d/e.f_g", "example.com/a__b/c--d/e.f_g:latest"],
  ["docker://registry.io/app:1", "registry.io/app:1"],
  ["docker://registry/team/app:1", "docker://registry/team/app:1"],
  ["docker://localhost:5000/app", "localhost:5000/app:latest"],
  ["docker:///busybox", "docker.io/library/busybox:latest"],
  ["docker:///registry.io:5000/app", "registry.io:5000/app:latest"],
  ["docker://busybox", "docker.io/library/busybox:latest"],
  ["oci", "docker.io/library/oci:latest"],
  ["docker-archive:a.tar", "docker-archive:a.tar"],
  ["docker-archive:/x/busybox:latest.tar", "docker-archive:/x/busybox:latest.tar"],
  ["docker-archive:busybox:latest.tar:busybox", "docker-archive:busybox:latest.tar:docker.io/library/busybox:latest"],
  ["docker-archive:a.tar:h:5000/x:1", "docker-archive:a.tar:h:5000/x:1"],
  ["docker-archive:a.tar.gz:x", "docker-archive:a.tar.gz:docker.io/library/x:latest"],
  ["docker-archive:saved:x:1", "docker-archive:saved:docker.io/library/x:1"],
  ["docker-archive:dir.tar/file:x", "docker-archive:dir.tar/file:docker.io/library/x:latest"],
];

/** What the user writes → a word of the message, and of the hint. */
const REFUSED: readonly (readonly [string, RegExp, RegExp?])[] = [
  ["", /empty/],
  ["a@b@c", /more than one @/],
  ["busybox:latest@sha256:ab", /digest is malformed/, /64/],
  [`busybox@${D.toUpperCase()}`, /digest is malformed/],
  ["busybox@", /digest is malformed/],
  ["busybox:", /tag is empty/, /try busybox/],
  [":t", /repository is empty/],
  ["repo:1:2", /tag "1:2"/],
  [`repo:${"t".repeat(129)}`, /longer than 128/],
  ["repo:-x", /tag "-x"/],
  ["UPPER/Case", /lower case/, /try upper\/case/],
  ["registry.io/Case", /lower case/, /try registry\.io\/case/],
  ["docker://registry.io/Case:1", /lower case/, /try docker:\/\/registry\.io\/case:1/],
  ["a/", /empty component/],
  ["/a", /path/, /docker-archive:\/a/],
  ["./a.tar", /path/, /docker-archive:\.\/a\.tar/],
  ["../a.tar", /path/],
  ["a//b", /empty component/],
  ["http://reg.io/x", /no scheme/, /try reg\.io\/x/],
  ["registry.io:/x", /port ""/],
  ["registry.io:0/x", /port "0"/],
  ["registry.io:65536/x", /port "65536"/],
  ["registry.io:x80/a", /port "x80"/],
  ["registry.io:80:80/a", /port "80:80"/],
  ["[::g]:1/x", /IPv6/],
  ["-bad.io/x", /host "-bad.io" is malformed/],
  ["a..b/x", /malformed/],
  ["a_-b", /component/],
  ["../../etc/passwd", /path/],
  ["a/../b", /component "\.\."/],
  ["a b", /component/],
  ["a\nb", /component/],
  [`x/${"a".repeat(250)}`, /longer than 255/],
  [D.slice(7), /image ID/],
  ["oci:some/dir", /no source for oci:/],
  ["oci-archive:a.tar", /no source for oci-archive:/],
  ["appc:example.com/x", /no source for appc:/],
  ["docker://", /empty/],
  ["docker:///", /empty/],
  ["docker-archive:", /path is empty/],
  ["docker-archive:a.tar:", /after the path is empty/],
  ["docker-archive:a.tar:@0", /by name/],
  [`docker-archive:a.tar:x@${D}`, /by tag/],
  ["docker-archive:a.tar:X", /lower case/],
];

describe("parseReference", () => {
  test.each(ACCEPTED)("takes %s for %s", (text, name) => {
    expect(formatReference(parseReference(text))).toBe(name);
  });

  test.each(ACCEPTED)("finds the canonical name of %s, %s, unchanged", (_, name) => {
    expect(formatReference(parseReference(name))).toBe(name);
  });

  const refused = REFUSED.map(([text, message, hint]) => ({ text, message, hint }));
  test.each(refused)("refuses $text: $message", ({ text, message, hint }) => {
    const error = errorOf(() => parseReference(text));
    expect(error.code).toBe("reference-invalid");
    expect(error.message).toMatch(message);
    if (hint !== undefined) expect(error.hint).toMatch(hint);
  });

  test("keeps what was typed, without docker://", () => {
    expect(parseReference("docker:///busybox")).toMatchObject({ asTyped: "busybox" });
    expect(parseReference("Registry.io/app:1")).toMatchObject({ host: "registry.io", asTyped: "Registry.io/app:1" });
  });

  test("keeps the tag beside a digest, for people", () => {
    expect(parseReference(`busybox:1.36@${D}`)).toMatchObject({ tag: "1.36", digest: D });
  });

  test("makes the path of an archive absolute against the working directory that it is given", () => {
    expect(parseReference("docker-archive:../a.tar", "/x/y")).toMatchObject({ path: "/x/a.tar" });
  });

  test("does not let a reference put control characters into its message", () => {
    expect(errorOf(() => parseReference("a\u001b[31mb")).message).not.toContain("\u001b");
  });
});

function errorOf(action: () => unknown): AppError {
  try {
    action();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
