/**
 * Rendering compared with what the specification says in so many words: lay the images down one after the other, then remove
 * what the whitelist does not list. Here whitelists filter every layer on its own; the trees must be the same.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAciManifest } from "../../../../src/image/aci-manifest.ts";
import { parseImageId } from "../../../../src/image/appc-reference.ts";
import { mergeLayers, walkTree } from "../../../../src/layers/merge.ts";
import type { AciNode } from "../../../../src/sources/appc/dependencies.ts";
import { renderLayers } from "../../../../src/sources/appc/render.ts";
import { digestOf } from "../../../../store/index.ts";
import { buildAci } from "../../../support/aci-builder.ts";
import type { TarEntry } from "../../../support/tar-builder.ts";
import { openUnpacker, type Unpacker } from "../../../support/unpack.ts";

interface Image {
  readonly name: string;
  /** Path → mode of a directory, or undefined for a file. Names that begin with d are directories. */
  readonly entries: ReadonlyMap<string, number | undefined>;
  readonly whitelist: readonly string[];
  readonly dependencies: readonly Image[];
}

/** What stands for a directory of which only something else tells that it is there; it never changes one that is. */
const IMPLIED = "dir 755 implied";

/** Path → `dir MODE` or `file OWNER`. */
type Tree = Map<string, string>;

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** ace.md, "Filesystem Setup", word for word. */
function renderNaively(image: Image): Tree {
  const own: Tree = new Map();
  for (const dependency of image.dependencies)
    for (const [path, what] of renderNaively(dependency)) layDown(own, path, what);
  for (const [path, mode] of image.entries) {
    layDown(own, path, mode === undefined ? `file ${image.name}` : `dir ${mode.toString(8)}`);
  }
  return filtered(own, image.whitelist);
}

function layDown(tree: Tree, path: string, what: string): void {
  for (let at = parentOf(path); at !== ""; at = parentOf(at)) if (!tree.has(at)) tree.set(at, IMPLIED);
  if (what !== IMPLIED || !tree.has(path)) tree.set(path, what);
}

function filtered(tree: Tree, whitelist: readonly string[]): Tree {
  if (whitelist.length === 0) return tree;
  const kept = new Set<string>();
  for (const listed of whitelist) {
    const path = listed.replace(/^\/|\/$/g, "");
    if (listed.endsWith("/") && !tree.has(path)) layDown(tree, path, IMPLIED);
    // directories that lead to what is listed stay, though it may be missing
    for (let at = path; at !== ""; at = parentOf(at)) kept.add(at);
  }
  return new Map([...tree].filter(([path]) => kept.has(path)));
}

let unpacker: Unpacker;
beforeAll(async () => {
  unpacker = await openUnpacker();
});
afterAll(() => unpacker[Symbol.asyncDispose]());

async function renderLayerByLayer(image: Image): Promise<Tree> {
  const tars = new Map<string, { readonly name: string; readonly tar: Buffer }>();
  const layers = renderLayers(nodeOf(image, tars));
  const owners: string[] = [];
  const indexes = [];
  for (const { diffId, part } of layers) {
    const { name, tar } = tars.get(diffId) ?? { name: "?", tar: Buffer.alloc(0) };
    owners.push(name);
    const unpacked = await unpacker.unpack(tar, { ...(part !== undefined && { part }) });
    indexes.push([...unpacked.entries.values()]);
  }
  return new Map(
    [...walkTree(mergeLayers(indexes).root)]
      .filter(([path]) => path !== "")
      .map(([path, { inode }]) => {
        const { type, mode } = inode.entry;
        return [path, type === "directory" ? `dir ${mode.toString(8)}` : `file ${owners[inode.layer]}`];
      }),
  );
}

function nodeOf(image: Image, tars: Map<string, { readonly name: string; readonly tar: Buffer }>): AciNode {
  const rootfs = [...image.entries].map(
    ([name, mode]): TarEntry =>
      mode === undefined ? { name, content: image.name } : { name: `${name}/`, type: "dir", mode },
  );
  const { tar, imageId, manifest } = buildAci({
    name: image.name,
    rootfs,
    compression: "none",
    manifest: { pathWhitelist: image.whitelist },
  });
  const id = parseImageId(imageId) ?? digestOf(tar);
  tars.set(id, { name: image.name, tar });
  return {
    aci: {
      where: image.name,
      imageId: id,
      manifest: parseAciManifest(manifest, image.name),
      manifestBytes: manifest,
      file: { path: "", offset: 0, sizeBytes: tar.length },
      blobDigest: id,
      keepBlob: false,
      tarBytes: tar.length,
    },
    dependencies: image.dependencies.map((dependency) => nodeOf(dependency, tars)),
  };
}

const image = (name: string, entries: Record<string, number | undefined>, more: Partial<Image> = {}): Image => ({
  name,
  entries: new Map(Object.entries(entries)),
  whitelist: [],
  dependencies: [],
  ...more,
});

describe("rendering layer by layer gives what laying everything down and filtering it gives,", () => {
  const b = image("b", { d: 0o700, "d/fb": undefined, "d/fx": undefined, fb: undefined });
  const c = image("c", { "d/fx": undefined, "d/d2": 0o711, fc: undefined });

  test.each([
    ["without whitelists", []],
    ["with one of files", ["/d/fx", "/fc"]],
    ["with one of a directory alone, whose content goes", ["/d"]],
    ["with a directory that nobody has", ["/d/d3/"]],
    ["with a directory that somebody has, whose mode stays", ["/d/", "/d/d2/"]],
    ["with a path that nobody has", ["/d/nothing", "/nothing"]],
  ])("%s", async (_, whitelist) => {
    const top = image("a", { fa: undefined }, { whitelist, dependencies: [b, c] });
    expect(settled(await renderLayerByLayer(top))).toEqual(settled(renderNaively(top)));
  });

  test("in ways that nobody thought of", async () => {
    const random = generator(20_160_314);
    for (let round = 0; round < 40; round += 1) {
      const top = randomImage(random, "a", 3);
      const [found, expected] = [await renderLayerByLayer(top), renderNaively(top)];
      expect(settled(found), JSON.stringify(top, printable)).toEqual(settled(expected));
    }
  });
});

function settled(tree: Tree): Tree {
  return new Map([...tree].map(([path, what]) => [path, what.replace(" implied", "")] as const));
}

const NAMES = ["d1", "d2", "f1", "f2"];

function randomImage(random: (below: number) => number, name: string, depth: number): Image {
  const paths = Array.from({ length: random(7) }, () => randomPath(random));
  const entries = new Map(paths.map((path) => [path, /(?:^|\/)f[^/]*$/.test(path) ? undefined : 0o700 + random(64)]));
  const listed = random(2) === 0 ? [] : Array.from({ length: 1 + random(4) }, () => `/${randomPath(random)}`);
  const dependencies = Array.from({ length: depth === 0 ? 0 : random(3) }, (_, at) =>
    randomImage(random, `${name}${at}`, depth - 1),
  );
  const whitelist = listed.map((path) => (/\/d[^/]*$/.test(path) && random(2) === 0 ? `${path}/` : path));
  return { name, entries, whitelist, dependencies };
}

/** Only the last component may be a file, so that no type changes: those are a corner of their own. */
function randomPath(random: (below: number) => number): string {
  const directories = Array.from({ length: random(3) }, () => NAMES[random(2)]);
  return [...directories, NAMES[random(4)]].join("/");
}

function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 16) % below;
  };
}

function printable(_: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}
