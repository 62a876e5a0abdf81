/** Short names, as containers-registries.conf(5) resolves them. */
import { describe, expect, test } from "vitest";
import { type DockerReference, parseDockerReference, parseDockerUrl } from "../../../../src/image/docker-reference.ts";
import { formatReference } from "../../../../src/image/reference.ts";
import {
  readShortNames,
  resolveShortName,
  type ShortNames,
} from "../../../../src/sources/registry/hosts/short-names.ts";
import { openHostTree } from "./host-tree.ts";

const NONE: ShortNames = {
  aliases: new Map(),
  search: [],
  mode: "permissive",
  credentialHelpers: undefined,
  files: [],
};
const DIGEST = `sha256:${"0".repeat(64)}`;

function resolved(reference: string | DockerReference, names: Partial<ShortNames>): readonly string[] {
  const parsed = typeof reference === "string" ? parseDockerReference(reference) : reference;
  return resolveShortName(parsed, { ...NONE, ...names }).map(formatReference);
}

describe("resolveShortName", () => {
  const aliases = new Map([
    ["fedora", "registry.example.com/base/fedora"],
    ["team/app", "quay.io/team/application"],
    ["busybox", "docker.io/library/busybox"],
  ]);

  test.each([
    ["fedora", "registry.example.com/base/fedora:latest"],
    ["fedora:41", "registry.example.com/base/fedora:41"],
    [`fedora@${DIGEST}`, `registry.example.com/base/fedora@${DIGEST}`],
    ["team/app:1", "quay.io/team/application:1"],
    ["busybox", "docker.io/library/busybox:latest"],
  ])("takes the alias of %s, with its tag and digest", (reference, full) => {
    expect(resolved(reference, { aliases, search: ["other.example.com"], mode: "enforcing" })).toEqual([full]);
  });

  test.each(["docker.io/fedora", "index.docker.io/library/fedora", "quay.io/fedora", "localhost/fedora"])(
    "leaves %s alone, whose host was typed",
    (reference) => {
      const parsed = parseDockerReference(reference);
      expect(resolveShortName(parsed, { ...NONE, aliases, search: ["other.example.com"] })).toEqual([parsed]);
    },
  );

  test("leaves a host alone that only docker:// can say", () => {
    expect(resolved(parseDockerUrl("docker://registry/fedora"), { aliases })).toEqual([
      "docker://registry/fedora:latest",
    ]);
  });

  test("goes through the registries that are searched, in order", () => {
    const search = ["a.example.com:5000", "docker.io", "plainhost"];
    expect(resolved("app:1", { aliases, search })).toEqual([
      "a.example.com:5000/app:1",
      "docker.io/library/app:1",
      "docker://plainhost/app:1",
    ]);
  });

  test("comes to the same when it is done twice", () => {
    const names = { ...NONE, aliases, search: ["docker.io", "quay.io"] };
    for (const typed of ["busybox", "app"]) {
      const once = resolveShortName(parseDockerReference(typed), names);
      expect(once.flatMap((reference) => resolveShortName(reference, names))).toEqual(once);
    }
  });

  test("is Docker Hub's name where nothing is configured", () => {
    const reference = parseDockerReference("busybox");
    expect(resolveShortName(reference, NONE)).toEqual([reference]);
  });

  test("does not guess in mode enforcing, and lists what may be meant", () => {
    const search = ["a.example.com", "quay.io"];
    expect(() => resolved("app:1", { search, mode: "enforcing" })).toThrow(
      expect.objectContaining({
        code: "reference-invalid",
        hint: expect.stringContaining("a.example.com/app:1, quay.io/app:1"),
      }),
    );
    expect(resolved("app:1", { search: ["quay.io"], mode: "enforcing" })).toEqual(["quay.io/app:1"]);
    expect(resolved("app:1", { search, mode: "disabled" })).toHaveLength(2);
  });
});

describe("readShortNames", () => {
  test("merges aliases, which later files may take back, and replaces the rest", async () => {
    await using tree = await openHostTree({
      "registries.conf": `
        unqualified-search-registries = ["a.example.com", "b.example.com"]
        short-name-mode = "enforcing"
        credential-helpers = ["one"]
        [aliases]
        a = "r.example.com/a"
        b = "r.example.com/b"
        c = "r.example.com/c"
      `,
      "low.d/10.conf": `
        unqualified-search-registries = []
        credential-helpers = ["containers-auth.json", "two"]
        short-name-mode = ""
        [aliases]
        b = ""
        c = "r.example.com/other"
        d = "docker.io/d"
      `,
    });
    const names = await readShortNames(tree.paths);
    expect(names).toMatchObject({
      search: [],
      mode: "enforcing",
      credentialHelpers: ["containers-auth.json", "two"],
    });
    expect([...names.aliases]).toEqual([
      ["a", "r.example.com/a"],
      ["c", "r.example.com/other"],
      ["d", "docker.io/d"],
    ]);
    expect(names.files).toEqual([`${tree.path}/registries.conf`, `${tree.path}/low.d/10.conf`]);
  });

  test("has nothing to say where there are no files", async () => {
    await using tree = await openHostTree({});
    expect(await readShortNames(tree.paths)).toEqual(NONE);
  });
});
