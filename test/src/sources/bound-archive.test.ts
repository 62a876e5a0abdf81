/** What `resolve` and `pull` print of an image in an archive is a reference to that very image. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatReference, parseReference } from "../../../src/image/reference.ts";
import { buildImage, buildLayer, type TarEntry, writeDockerArchive } from "../../support/tar-builder.ts";
import { layoutEntries, openArchives, tarInto } from "./open-archives.ts";

const image = buildImage([[{ name: "a" }]], { architecture: "amd64" });
const other = buildImage([[{ name: "b" }]], { architecture: "amd64" });
const PARENT = "a".repeat(64);

const LAYOUT = layoutEntries(
  [image, other],
  [image, other].map(({ manifest }, at) => ({
    ...manifest,
    annotations: { "org.opencontainers.image.ref.name": `v${at}` },
  })),
);
const LEGACY: readonly TarEntry[] = [
  { name: `${PARENT}/json`, content: JSON.stringify({ id: PARENT, architecture: "amd64", os: "linux" }) },
  { name: `${PARENT}/layer.tar`, content: image.tars[0] ?? "" },
  { name: "repositories", content: JSON.stringify({ app: { "1": PARENT } }) },
];

test.each([
  ["docker-archive:saved.tar", ""],
  ["docker-archive:saved.tar", ":app:1"],
  ["docker-archive:saved.tar", ":@0"],
  ["docker-archive:saved", ":example.com:5000/team/app:1"],
  ["docker-archive:legacy.tar", ""],
  ["docker-archive:legacy.tar", ":app:1"],
  ["docker-archive:a:b/saved/", ":app:1"],
  ["oci:layout", ":v0"],
  ["oci:layout", ":@1"],
  ["oci:a:b/layout/", ":v1"],
  ["oci-archive:layout.tar", ":v1"],
  ["oci-archive:layout.tar", `@${image.manifest.digest}`],
])("%s%s, bound to its digest, is read back as the same, and leads to the same image", async (archive, asked) => {
  await using archives = await openArchives();
  for (const directory of [archives.path, join(archives.path, "a:b")]) {
    await mkdir(join(directory, "layout"), { recursive: true });
    await mkdir(join(directory, "saved"));
    const saved = join(directory, "saved.tar");
    await writeDockerArchive(saved, image, ["app:1", "example.com:5000/team/app:1"]);
    tarInto(join(directory, "saved"), await readFile(saved));
    await writeFile(join(directory, "legacy.tar"), buildLayer(LEGACY));
    await writeFile(join(directory, "layout.tar"), buildLayer(LAYOUT));
    tarInto(join(directory, "layout"), buildLayer(LAYOUT));
  }
  const reference = parseReference(`${archive}${asked}`, archives.path);
  if (reference.kind === "docker" || reference.kind === "appc") throw new Error("no archive");
  const found = await archives.resolve(formatReference(reference));
  const { digest } = found.manifest.descriptor;
  const bound = formatReference({ ...reference, digest });
  expect(bound).toMatch(new RegExp(`@${digest}$`));
  expect(formatReference(parseReference(bound))).toBe(bound);
  const again = await archives.resolve(bound);
  expect(again).toMatchObject({ name: bound, manifest: found.manifest, config: found.config });
});
