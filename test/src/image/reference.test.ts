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
  ["docker-archive:a.tar:@0", "docker-archive:a.tar:@0"],
  ["docker-archive:saved:@12", "docker-archive:saved:@12"],
  ["docker-archive:some/dir/", "docker-archive:some/dir"],
  ["docker-archive:dir/:x", "docker-archive:dir:docker.io/library/x:latest"],
  ["docker-archive:/x/a:b/", "docker-archive:/x/a:b/"],
  ["docker-archive:/x/a:b/saved/:x:1", "docker-archive:/x/a:b/saved/:docker.io/library/x:1"],
  ["docker-archive:/x/a:b/saved/:@1", "docker-archive:/x/a:b/saved/:@1"],
  ["docker-archive:/x/a.tar:b/", "docker-archive:/x/a.tar:b/"],
  ["docker-archive:/", "docker-archive:/"],
  [`docker-archive:a.tar@${D}`, `docker-archive:a.tar@${D}`],
  [`docker-archive:a.tar:x@${D}`, `docker-archive:a.tar:docker.io/library/x:latest@${D}`],
  [`docker-archive:a.tar:@1@${D}`, `docker-archive:a.tar:@1@${D}`],
  [`docker-archive:/x/a:b/@${D}`, `docker-archive:/x/a:b/@${D}`],
  [`docker-archive:/x/app@${D}.tar`, `docker-archive:/x/app@${D}.tar`],
  [`docker-archive:/x/app@${D}/`, `docker-archive:/x/app@${D}/`],
  ["oci:some/dir", "oci:some/dir"],
  ["oci:some/dir/", "oci:some/dir"],
  ["oci:/x/dir:1", "oci:/x/dir:1"],
  ["oci:/x/dir/:1", "oci:/x/dir:1"],
  ["oci:dir:example.com:5000/team/app:1", "oci:dir:example.com:5000/team/app:1"],
  ["oci:dir:app+1_x@y", "oci:dir:app+1_x@y"],
  ["oci:dir:@3", "oci:dir:@3"],
  [`oci:/x/dir@${D}`, `oci:/x/dir@${D}`],
  ["oci:/x/busybox:latest/", "oci:/x/busybox:latest/"],
  ["oci:/x/busybox:latest/:1", "oci:/x/busybox:latest/:1"],
  ["oci:/x/busybox:latest/:@1", "oci:/x/busybox:latest/:@1"],
  [`oci:/x/busybox:latest/@${D}`, `oci:/x/busybox:latest/@${D}`],
  [`oci:dir:1@${D}`, `oci:dir:1@${D}`],
  [`oci:dir:@1@${D}`, `oci:dir:@1@${D}`],
  [`oci:dir:h:5000/x:1@${D}`, `oci:dir:h:5000/x:1@${D}`],
  [`oci:/x/app@${D}/`, `oci:/x/app@${D}/`],
  ["oci:/", "oci:/"],
  ["oci-archive:a.tar", "oci-archive:a.tar"],
  ["oci-archive:busybox:latest.tar:1", "oci-archive:busybox:latest.tar:1"],
  ["oci-archive:busybox:latest.tar.gz", "oci-archive:busybox:latest.tar.gz"],
  [`oci-archive:busybox:latest.tar@${D}`, `oci-archive:busybox:latest.tar@${D}`],
  ["oci-archive:saved:1", "oci-archive:saved:1"],
  [`oci-archive:/x/app@${D}.tar`, `oci-archive:/x/app@${D}.tar`],
];

/** What the user writes → a word of the message, and of the hint. */
const REFUSED: readonly (readonly [string, RegExp, RegExp?])[] = [
  ["", /empty/],
  ["a@b@c", /more than one @/],
  ["user:pw@example.com/x", /"…@example\.com\/x": credentials do not belong/, /docker login.*docker_config/],
  ["user@example.com/x", /credentials do not belong/],
  [`user:pw@h:5000/x@${D}`, /"…@h:5000\/x@sha256:.*credentials do not belong/],
  ["docker://user:pw@example.com/x", /credentials do not belong/],
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
  ["containers-storage:x", /no source for containers-storage:/],
  ["oci:", /path is empty/],
  ["oci::1", /path is empty/],
  ["oci:dir:", /name after the path is empty/],
  ["oci:dir:a b", /neither a tag nor a reference/, /ends in a slash/],
  ["oci:dir:../x", /neither a tag nor a reference/],
  ["oci:dir:@x", /not the position/, /counted from 0/],
  ["oci:dir:@01", /not the position/],
  ["oci:dir@sha256:ab", /digest is malformed/, /64/],
  ["oci-archive:", /path is empty/],
  ["oci-archive:a\0b", /NUL/],
  ["docker://", /empty/],
  ["docker:///", /empty/],
  ["docker-archive:", /path is empty/],
  ["docker-archive:a.tar:", /after the path is empty/],
  ["docker-archive:a.tar:@-1", /not the position/, /counted from 0/],
  ["docker-archive:a.tar:@9999999", /not the position/],
  ["docker-archive:a.tar:x@sha256:ab", /digest is malformed/, /64/],
  ["docker-archive:a.tar@sha256:ab", /digest is malformed/],
  ["docker-archive:a/:", /after the path is empty/],
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
    expect(parseReference("oci:../dir:1", "/x/y")).toMatchObject({ path: "/x/dir", name: "1" });
    expect(parseReference("oci-archive:a.tar:@1", "/x")).toMatchObject({ path: "/x/a.tar", position: 1 });
  });

  test.each(["docker-archive:saved", "oci:saved", "oci-archive:saved:1"])(
    "gives %s a name that means the same image wherever the working directory has colons",
    (text) => {
      for (const cwd of ["/a:b", "/a.tar:b/c", "/a/:b", `/a@${D}`, "/a:"]) {
        const reference = parseReference(text, cwd);
        const { asTyped: _, ...meant } = reference;
        expect(parseReference(formatReference(reference))).toMatchObject(meant);
      }
    },
  );

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

test.each([
  "user:secret@h.io/x:1",
  `user:secret@h.io/x@${D}`,
  "user:s/secret@h.io/x",
  "user:s@secret@h.io/x",
  "user:s@secret@h.io",
  "user:secret@h.io",
  "docker://user:s/secret@h.io/x",
  "https://user:secret@h.io/x",
  "https://user:s/secret@h.io/x",
])("the password in %s is not told", (text) => {
  const told = (): string => {
    try {
      parseReference(text);
      return "nothing was thrown";
    } catch (error) {
      const { message, hint } = error as { readonly message: string; readonly hint?: string };
      return `${message} ${hint}`;
    }
  };
  expect(told()).toMatch(/…@h\.io/);
  expect(told()).not.toContain("secret");
});
