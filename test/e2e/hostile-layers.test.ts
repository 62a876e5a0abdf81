/**
 * Hostile layers through the real command line: each is refused with the right code and in words that tell no secret, and
 * afterwards the store is what it was, whole, and nothing outside has changed. What is allowed is inside the root file
 * system. Every single variant is tested in test/src/layers/attacks; here is one or two of each class.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { chmod, chown, symlink as makeSymlink, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliOptions, type ProvisionedRootfs, rootwright, rootwrightJson } from "../support/cli.ts";
import { startFaultServer } from "../support/fault-server.ts";
import { run } from "../support/peers.ts";
import {
  base256,
  buildImage,
  buildLayer,
  encodePax,
  type LayerInput,
  type TarEntry,
  writeDockerArchive,
} from "../support/tar-builder.ts";
import { openTempDir } from "../support/temp-dir.ts";

const IS_ROOT = process.getuid?.() === 0;
const NOBODY = 65_534;
const SECRET = "hunter2-secret";
const CREDENTIALS = Buffer.from(`somebody:${SECRET}`).toString("base64");

/** In a process of whoever owns the store: what is wrong with it, every blob hashed. */
const VERIFY = `
  import { openStore } from ${JSON.stringify(join(import.meta.dirname, "../../store/index.ts"))};
  using store = openStore({ root: process.argv[1] });
  console.log(JSON.stringify(store.verify({ deep: true }).problems));
`;

/** Root too, where tests are root's; the other is an ordinary user to the kernel as well. */
const WHO = IS_ROOT ? (["root", "an ordinary user"] as const) : (["an ordinary user"] as const);

const file = (name: string, content = "inside", more: Partial<TarEntry> = {}): TarEntry => ({ name, content, ...more });
const symlink = (name: string, linkname: string): TarEntry => ({ name, type: "symlink", linkname });
const hardlink = (name: string, linkname: string): TarEntry => ({ name, type: "hardlink", linkname });

/** A place with a store that holds a good image, beside what nobody may touch; it belongs to who attacks it. */
interface Ground extends AsyncDisposable {
  readonly path: string;
  readonly outside: string;
  readonly options: CliOptions;
  /** A docker archive of these layers, as a reference. */
  image(layers: readonly LayerInput[]): Promise<string>;
  /** All that the store and its index hold, less when it was used. */
  snapshot(): unknown;
  canary(): unknown;
}

async function openGround(who: (typeof WHO)[number]): Promise<Ground> {
  await using undo = new AsyncDisposableStack();
  const temp = undo.use(await openTempDir("hostile"));
  const outside = join(temp.path, "outside");
  const home = join(temp.path, "home");
  const user = IS_ROOT && who !== "root" ? { uid: NOBODY, gid: NOBODY } : {};
  await mkdir(home);
  await mkdir(outside);
  await writeFile(join(outside, "secret"), "untouched", { mode: 0o640 });
  await makeSymlink("secret", join(outside, "link"));
  if ("uid" in user) {
    // the canary too: that the kernel would not let it be touched is no merit of ours
    for (const path of [home, outside, join(outside, "secret")]) await chown(path, NOBODY, NOBODY);
  }
  const root = join(home, "store");
  const config = JSON.stringify({ auths: { "127.0.0.1": { auth: CREDENTIALS } } });
  const options: CliOptions = { root, ...user, env: { HOME: home, ROOTWRIGHT_DOCKER_CONFIG: config } };
  let count = 0;
  const ground: Ground = {
    path: temp.path,
    outside,
    options,
    async image(layers) {
      count += 1;
      const path = join(temp.path, `image-${count}.tar`);
      await writeDockerArchive(path, buildImage(layers, { config: {} }), [`example.com/hostile-${count}:1`]);
      await chmod(path, 0o644);
      return `docker-archive:${path}`;
    },
    snapshot: () => ({ files: filesOf(root), rows: rowsOf(root) }),
    canary: () => tree(outside),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
  await rootwright(["pull", await ground.image([[file("a", "base")], [file("b", "top")]])], options);
  const opened = undo.move();
  return ground;
}

function filesOf(root: string): readonly string[] {
  return tree(root).filter((line) => !/^(?:index\.db|\. )/.test(line));
}

/** Paths with all that a change would change, times of directories apart: what came and went again is no change. */
function tree(root: string): readonly string[] {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
  return ["", ...paths].map((path) => {
    const stat = lstatSync(join(root, path), { bigint: true });
    const { mode, uid, gid, ino } = stat;
    const times = stat.isDirectory() ? [] : [stat.nlink, stat.size, stat.mtimeNs, stat.ctimeNs];
    const content = stat.isFile() && stat.size < 4096n ? readFileSync(join(root, path), "latin1") : "";
    return [path || ".", mode.toString(8), uid, gid, ino, ...times, content].join(" ");
  });
}

function rowsOf(root: string): unknown {
  using database = new DatabaseSync(join(root, "index.db"), { readOnly: true });
  const rows = (table: string) =>
    database
      .prepare(`SELECT * FROM ${table}`)
      .all()
      .map((row) => ({ ...row, last_used_at: 0, synced: 0 }));
  return ["blob", "edge", "layer", "image", "image_layer", "rootfs", "staging", "lease_item", "ingest"].map((table) => [
    table,
    rows(table),
  ]);
}

interface Refusal {
  readonly exit: number;
  readonly code: string;
}
const ESCAPE: Refusal = { exit: 6, code: "layer-escape" };
const INVALID: Refusal = { exit: 6, code: "layer-invalid" };
const TOO_LARGE: Refusal = { exit: 9, code: "layer-too-large" };
const UNSUPPORTED: Refusal = { exit: 8, code: "layer-unsupported" };

const tar = buildLayer([file("a", "x".repeat(5000))]);
const bomb = zstdCompressSync(Buffer.alloc(64 * 2 ** 20), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

/** `OUTSIDE` stands for the place that must not be reached. */
type Hostile = readonly [what: string, layers: (outside: string) => readonly LayerInput[], refusal: Refusal];

const REFUSED: readonly Hostile[] = [
  ["traversal by ..", () => [[file("../../../../outside/secret", "owned")]], ESCAPE],
  [
    "traversal by .. in a PAX path",
    () => [[file("a", "owned", { pax: { path: "../../../../outside/secret" } })]],
    ESCAPE,
  ],
  ["traversal by .. behind a symlink", (outside) => [[symlink("l", outside), file("l/../outside/secret")]], ESCAPE],
  ["a hard link outside", () => [[hardlink("h", "../../../../outside/secret")]], ESCAPE],
  [
    "a hard link to a place outside that no layer has",
    (outside) => [[hardlink("h", `${outside}/secret`), file("h2")]],
    INVALID,
  ],
  ["a hard link to a directory", () => [[{ name: "d/", type: "dir" }, hardlink("h", "d")]], INVALID],
  ["symlinks in a loop", () => [[symlink("a", "b"), symlink("b", "a"), file("a/x")]], INVALID],
  ["a whiteout outside", () => [[file("../../../../outside/.wh.secret", "")]], ESCAPE],
  ["a whiteout of the parent", () => [[file("d/.wh...", "")]], INVALID],
  ["the root replaced by a symlink", (outside) => [[symlink("./", outside)]], INVALID],
  ["a device that is a whiteout", () => [[{ name: "w", type: "char", devmajor: 0, devminor: 0 }]], INVALID],
  [
    "a device that the kernel would make a whiteout",
    () => [[{ name: "w", type: "char", devmajor: 4096, devminor: 0 }]],
    INVALID,
  ],
  ["an unknown type", () => [[{ name: "s", type: "s" }]], UNSUPPORTED],
  ["a NUL in a PAX path", () => [[file("a", "x", { pax: { path: "a\0b" } })]], INVALID],
  ["control characters in a name", () => [[file("\x1b[2J\n\x9b31m/../x")]], ESCAPE],
  ["a PAX length that lies", () => [[{ name: "p", type: "x", content: "99 path=b\n" }, file("a")]], INVALID],
  ["a PAX size that is not there", () => [[file("a", "x", { pax: { size: "100000" } })]], INVALID],
  ["a negative size", () => [[file("a", "x", { raw: { size: base256(-1, 12) } })]], INVALID],
  ["a size of 8 EiB", () => [[file("a", "x", { raw: { size: base256(2 ** 63, 12) } })]], INVALID],
  ["a size beyond the limit", () => [[file("a", "x", { raw: { size: base256(2 ** 41, 12) } })]], TOO_LARGE],
  [
    "a sparse map that lies",
    () => [
      [
        {
          name: "p",
          type: "x",
          content: encodePax({
            "GNU.sparse.size": "4096",
            "GNU.sparse.numblocks": "2",
            "GNU.sparse.map": "0,512,256,512",
          }),
        },
        file("a", "x".repeat(1024)),
      ],
    ],
    INVALID,
  ],
  ["a path that is too deep", () => [[file(Array.from({ length: 513 }, () => "d").join("/"))]], TOO_LARGE],
  ["a name of 256 bytes", () => [[file("n".repeat(256))]], INVALID],
  ["a link target of 4096 bytes", () => [[symlink("l", "t".repeat(4096))]], INVALID],
  [
    "a zstd bomb behind the end",
    () => [{ tar, blob: Buffer.concat([zstdCompressSync(tar), ...Array.from({ length: 20 }, () => bomb)]) }],
    TOO_LARGE,
  ],
  ["truncated gzip", () => [{ tar, blob: gzipSync(tar).subarray(0, 60) }], INVALID],
  [
    "garbage after gzip",
    () => [{ tar, blob: Buffer.concat([gzipSync(tar), Buffer.from("garbage!garbage!")]) }],
    INVALID,
  ],
  ["a tar that is cut off", () => [tar.subarray(0, 3000)], INVALID],
  ["an owner beyond 32 bits", () => [[file("a", "x", { pax: { uid: "4294967296" } })]], INVALID],
  ["a time that is none", () => [[file("a", "x", { pax: { mtime: "NaN" } })]], INVALID],
  ["a layer that is good, under one that is not", () => [[file("good")], [file("../x")]], ESCAPE],
];

describe.each(WHO)("pulled by %s", (who) => {
  let ground: Ground;
  beforeAll(async () => {
    ground = await openGround(who);
  });
  afterAll(() => ground?.[Symbol.asyncDispose]());

  test.each(REFUSED)("%s is refused, and nothing has changed", async (what, layers, { exit, code }) => {
    const name = await ground.image(layers(ground.outside));
    const before = ground.snapshot();
    const canary = ground.canary();
    const args = ["--json", "--quiet", "pull", name];
    const { stdout, stderr, code: exitCode } = await rootwright(args, { ...ground.options, exits: "any" });
    expect(exitCode, stderr).toBe(exit);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    expect(error.code, error.message).toBe(code);
    expect(error.message).toMatch(/^Cannot /);
    expect(stderr.trimEnd()).not.toMatch(/\p{Cc}/u);
    expect(stdout + stderr).not.toMatch(new RegExp(`${SECRET}|${CREDENTIALS}`));
    expect(ground.canary()).toEqual(canary);
    // a layer that is good in itself may stay for other images
    if (!/good|no layer has/.test(what)) expect(ground.snapshot()).toEqual(before);
    expect(readdirSync(join(ground.options.root, "staging"))).toEqual([]);
  });

  test.each<readonly [string, (outside: string) => readonly LayerInput[], Readonly<Record<string, string>>]>([
    ["a symlink of its own", (outside) => [[symlink("l", outside), file("l/secret")]], { "OUTSIDE/secret": "inside" }],
    [
      "a symlink of a lower layer",
      (outside) => [[symlink("l", outside)], [file("l/secret")]],
      { "l/secret": "inside" },
    ],
    [
      "a directory that became a symlink in a lower layer",
      (outside) => [[file("d/a")], [symlink("d", outside)], [file("d/secret")]],
      { "d/secret": "inside" },
    ],
    [
      "a hard link to a symlink of a lower layer",
      (outside) => [[symlink("l", `${outside}/secret`)], [hardlink("h", "l")], [file("h")]],
      { h: "inside" },
    ],
    [
      "a whiteout behind a symlink of a lower layer",
      (outside) => [[symlink("l", outside)], [file("l/.wh.secret", ""), file("ok")]],
      { ok: "inside" },
    ],
    ["an absolute name", (outside) => [[file(`${outside}/secret`)]], { "OUTSIDE/secret": "inside" }],
  ])("what is written through %s is inside the root filesystem", async (_what, layers, expected) => {
    const canary = ground.canary();
    const name = await ground.image(layers(ground.outside));
    for (const backend of who === "root" ? ["overlay", "copy"] : ["copy"]) {
      const { rootfs } = await rootwrightJson<ProvisionedRootfs>(
        ["provision", name, "--id", "x", "--backend", backend],
        ground.options,
      );
      for (const [path, content] of Object.entries(expected)) {
        expect(readFileSync(join(rootfs, path.replace("OUTSIDE", ground.outside)), "utf8")).toBe(content);
      }
      await rootwright(["destroy", "x"], ground.options);
    }
    expect(ground.canary()).toEqual(canary);
  });

  test("the store is whole after all of that", async () => {
    const { root, ...owner } = ground.options;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", VERIFY, root], owner);
    expect(JSON.parse(stdout)).toEqual([]);
  });
});

test("a registry's hostile layer is refused without a word of the credentials that it was given", async () => {
  await using ground = await openGround(WHO[0]);
  await using server = await startFaultServer(buildImage([[file("../x")]], { config: {} }));
  const config = JSON.stringify({ auths: { [server.host]: { auth: CREDENTIALS } } });
  const before = ground.snapshot();
  for (const more of [["--explain"], ["--log-level", "debug"], ["--json"]]) {
    const { stdout, stderr } = await rootwright(["pull", `${server.host}/app:1`, ...more], {
      ...ground.options,
      env: { ...ground.options.env, ROOTWRIGHT_DOCKER_CONFIG: config },
      exits: [6],
    });
    expect(stderr).toContain("leaves the tree");
    expect(stdout + stderr).not.toMatch(new RegExp(`${SECRET}|${CREDENTIALS}`));
  }
  expect(ground.snapshot()).toEqual(before);
});

/** An entry is half a kilobyte, twice while layers are merged: above what a pull takes in any case. */
const MOST_KILOBYTES = 512 * 1024;

test("three hundred thousand entries take no more memory than they are worth", async () => {
  await using ground = await openGround(WHO[0]);
  const many = Array.from({ length: 300_000 }, (_, at) => file(`d/.wh.${String(at).padStart(90, "0")}`, ""));
  const name = await ground.image([[file("a")], [file("d/.wh..wh..opq", ""), ...many]]);
  // told by the kernel, at the end: what the process had at most, in kilobytes
  const tell =
    "import{isMainThread as m}from'worker_threads';m&&process.on('exit',()=>process.stderr.write('RSS='+process.resourceUsage().maxRSS+'\\n'))";
  const { stderr } = await rootwright(["--quiet", "pull", name], {
    ...ground.options,
    env: { ...ground.options.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tell)}` },
  });
  expect(Number(/RSS=(\d+)/.exec(stderr)?.[1])).toBeLessThan(MOST_KILOBYTES);
});

/** Each limit is known by its flag, its variable and its key, and each of them has its effect. */
describe("the limit", () => {
  let ground: Ground;
  beforeAll(async () => {
    ground = await openGround(WHO[0]);
  });
  afterAll(() => ground?.[Symbol.asyncDispose]());

  const entries = [file("a"), file("b"), file("c/d/e", "x".repeat(2000))];
  describe.each<readonly [key: string, low: number, high: number, layer: LayerInput]>([
    ["max_entries", 4, 5, entries],
    ["max_bytes", 2000, 100_000, entries],
    ["max_depth", 2, 3, entries],
    // what is refused by default: the high value is the one that shows
    [
      "max_ratio",
      1000,
      1_000_000,
      { tar, blob: Buffer.concat([zstdCompressSync(tar), ...Array.from({ length: 17 }, () => bomb)]) },
    ],
  ])("%s", (key, low, high, layer) => {
    const ways: readonly (readonly [
      way: string,
      set: (value: number) => Promise<readonly [args: string[], env: Record<string, string>]>,
    ])[] = [
      ["flag", async (value) => [[`--${key.replaceAll("_", "-")}`, String(value)], {}]],
      ["variable", async (value) => [[], { [`ROOTWRIGHT_${key.toUpperCase()}`]: String(value) }]],
      [
        "file",
        async (value) => {
          const path = join(ground.path, `${key}-${value}.toml`);
          await writeFile(path, `${key} = ${value}\n`);
          return [["--config", path], {}];
        },
      ],
    ];
    test.each(ways)("is set by a %s", async (_way, set) => {
      const name = await ground.image([layer]);
      const pull = async (value: number, exits: readonly number[]) => {
        const [args, env] = await set(value);
        return rootwright([...args, "pull", name], {
          ...ground.options,
          env: { ...ground.options.env, ...env },
          exits,
        });
      };
      const { stderr } = await pull(low, [9]);
      expect(stderr).toMatch(new RegExp(`hint: raise ${key} `));
      // the tar of the ratio does not have the DiffID of what is behind it: that it came so far shows that it was let through
      const { stderr: later } = await pull(high, key === "max_ratio" ? [6] : [0]);
      if (key === "max_ratio") expect(later).toMatch(/its content is sha256:/);
      else
        await rootwright(
          ["rm", (await rootwrightJson<{ name: string }[]>(["images"], ground.options)).at(-1)?.name ?? ""],
          ground.options,
        );
    });
  });
});
