/** What goes wrong gets a clear error, the right exit code, and a store in which everything is as it was before. */
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rootwright, rootwrightJson } from "../support/cli.ts";
import { fail, lie, startFaultServer, truncate } from "../support/fault-server.ts";
import { type RunResult, run } from "../support/peers.ts";
import { pushImage, registryObstacle, startRegistry } from "../support/registry.ts";
import { type BuiltImage, buildImage, buildLayer, writeDockerArchive } from "../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const CONFIG = { config: { Cmd: ["/bin/true"] } };
const root = process.getuid?.() === 0;

let temp: TempDir;
let store: string;
let good: string;

beforeAll(async () => {
  temp = await openTempDir("bad-input");
  await chmod(temp.path, 0o711);
  store = join(temp.path, "store");
  good = `docker-archive:${await archive("good", buildImage([[{ name: "a", content: "base" }], [{ name: "b", content: "top" }]], CONFIG))}`;
  await rootwright(["pull", good], { root: store });
  await rootwright(["provision", good, "--id", "kept", "--backend", "copy"], { root: store });
});

afterAll(async () => {
  await rootwright(["destroy", "kept"], { root: store });
  await temp[Symbol.asyncDispose]();
});

async function archive(name: string, image: BuiltImage): Promise<string> {
  const path = join(temp.path, `${name}.tar`);
  await writeDockerArchive(path, image, [`example.com/${name}:1`]);
  return path;
}

/** Everything in the store that an image or a root filesystem could need, and what it says of itself. */
async function snapshot(): Promise<unknown> {
  const files = readdirSync(store, { recursive: true, encoding: "utf8" })
    .filter((path) => !/^(index\.db|ingest\/)/.test(path))
    .sort();
  const images = await rootwrightJson<{ lastUsedAt: string }[]>(["images"], { root: store });
  const rootfs = await rootwrightJson(["ps"], { root: store });
  return { files, images: images.map((image) => ({ ...image, lastUsedAt: "" })), rootfs };
}

interface Expected {
  readonly exit: number;
  readonly code: string;
  readonly message: RegExp;
  readonly hint?: RegExp;
}

async function expectFailure(
  args: readonly string[],
  { exit, code, message, hint }: Expected,
  options: Parameters<typeof rootwright>[1] = { root: store },
): Promise<void> {
  const before = await snapshot();
  const plain: RunResult = await rootwright(args, { ...options, exits: "any" });
  expect(plain.code, plain.stderr).toBe(exit);
  expect(plain.stdout).toBe("");
  expect(plain.stderr).toMatch(/rootwright: Cannot /);
  expect(plain.stderr).toMatch(message);
  if (hint !== undefined) expect(plain.stderr).toMatch(hint);
  expect(plain.stderr).not.toMatch(/\bat .*\.ts:\d+/);
  const json = await rootwright(["--json", "--quiet", ...args], { ...options, exits: [exit] });
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code } });
  expect(await snapshot()).toEqual(before);
}

describe("references", () => {
  test.each([
    ["an upper-case repository", "127.0.0.1:1/Team/App", /lower/],
    ["an empty tag", "127.0.0.1:1/app:", /tag/],
    ["a digest that is too short", "127.0.0.1:1/app@sha256:abcd", /digest/],
    ["nothing", "", /Cannot use/],
    ["a path", "./image.tar", /docker-archive:/],
  ])("of %s are refused before anything is asked", async (_what, reference, message) => {
    await expectFailure(["pull", reference], { exit: 2, code: "reference-invalid", message });
  });
});

describe.skipIf(registryObstacle("htpasswd") !== undefined)(
  `a real registry${registryObstacle("htpasswd") === undefined ? "" : ` (skipped: ${registryObstacle("htpasswd")})`}`,
  () => {
    test("without the repository or the tag says which it lacks", async () => {
      await using registry = await startRegistry();
      await pushImage(registry, "team/app", buildImage([[{ name: "x" }]], CONFIG), "1");
      await expectFailure(["pull", `${registry.host}/team/nothing:1`], {
        exit: 3,
        code: "image-unknown",
        message: /team\/nothing/,
      });
      await expectFailure(["pull", `${registry.host}/team/app:2`], {
        exit: 3,
        code: "image-unknown",
        message: /team\/app/,
      });
    });

    test("that wants credentials says whether any were sent", async () => {
      await using registry = await startRegistry({ auth: "htpasswd" });
      await pushImage(registry, "team/app", buildImage([[{ name: "x" }]], CONFIG), "1");
      const denied = { exit: 4, code: "registry-denied" };
      await expectFailure(["pull", `${registry.host}/team/app:1`], {
        ...denied,
        message: /anonymous|without credentials|no credentials/i,
      });
      const wrong = JSON.stringify({ auths: { [registry.host]: { auth: btoa("tester:hunter2-secret") } } });
      await expectFailure(["--docker-config", wrong, "pull", `${registry.host}/team/app:1`], {
        ...denied,
        message: /Cannot/,
      });
      const { stderr } = await rootwright(
        ["--docker-config", wrong, "pull", `${registry.host}/team/app:1`, "--explain"],
        { root: store, exits: [4] },
      );
      expect(stderr).not.toContain("hunter2-secret");
      expect(stderr).not.toContain(btoa("tester:hunter2-secret"));
      await rootwright(["--docker-config", registry.dockerConfig, "pull", `${registry.host}/team/app:1`], {
        root: store,
      });
      await rootwright(["rm", `${registry.host}/team/app:1`], { root: store });
    });
  },
);

describe("a registry that lies or breaks", () => {
  const image = buildImage([[{ name: "file", content: "x".repeat(100_000) }]], CONFIG);
  const corrupt = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1;
    return copy;
  };

  test("with other bytes for a layer is found out", async () => {
    await using server = await startFaultServer(image, { faults: [lie("layer", corrupt)] });
    await expectFailure(["pull", `${server.host}/app:1`], { exit: 6, code: "blob-corrupt", message: /Cannot/ });
  });

  test("with other bytes for a manifest that was asked for by digest is found out", async () => {
    await using server = await startFaultServer(image, {
      faults: [lie("manifest", (bytes) => Buffer.concat([bytes, Buffer.from(" ")]))],
    });
    await expectFailure(["pull", `${server.host}/app@${image.manifest.digest}`], {
      exit: 6,
      code: "blob-corrupt",
      message: /digest|bytes|sha256/,
    });
  });

  test("with other bytes for a configuration is found out", async () => {
    await using server = await startFaultServer(image, { faults: [lie("config", corrupt)] });
    await expectFailure(["pull", `${server.host}/app:1`], { exit: 6, code: "blob-corrupt", message: /sha256:/ });
  });

  test("that always breaks off a layer is given up on", async () => {
    await using server = await startFaultServer(image, { faults: [truncate("layer", 20)], ranges: false });
    await expectFailure(["pull", `${server.host}/app:1`], {
      exit: 7,
      code: "registry-unreachable",
      message: /layer|sha256/,
    });
  });

  test("that breaks off a layer now and then does no harm", async () => {
    await using server = await startFaultServer(image, { faults: [truncate("layer", 20, { times: 2 })] });
    await rootwright(["pull", `${server.host}/app:1`], { root: store });
    expect(server.requests.filter(({ headers }) => headers.range !== undefined).length).toBeGreaterThan(0);
    await rootwright(["rm", `${server.host}/app:1`], { root: store });
  });

  test("that answers 500 is called unavailable", async () => {
    await using server = await startFaultServer(image, { faults: [fail("manifest", 500)] });
    await expectFailure(["pull", `${server.host}/app:1`], { exit: 7, code: "registry-error", message: /500/ });
  });

  test("that is not there is called unreachable", async () => {
    await expectFailure(["pull", "127.0.0.1:1/app:1"], {
      exit: 7,
      code: "registry-unreachable",
      message: /127\.0\.0\.1:1/,
    });
  });
});

describe("a layer", () => {
  const tar = buildLayer([{ name: "a", content: "x".repeat(5000) }]);
  const wrongDiffId = `sha256:${"0".repeat(64)}`;
  test.each<[string, BuiltImage, Expected]>([
    [
      "with another DiffID",
      buildImage([{ tar, diffId: wrongDiffId }], CONFIG),
      { exit: 6, code: "layer-corrupt", message: /0000.*its content is sha256:/ },
    ],
    [
      "of truncated gzip",
      buildImage([{ tar, blob: gzipSync(tar).subarray(0, 40) }], CONFIG),
      { exit: 6, code: "layer-invalid", message: /truncated/ },
    ],
    [
      "that is no tar",
      buildImage([Buffer.from("not a tar at all ".repeat(200))], CONFIG),
      { exit: 6, code: "layer-invalid", message: /not a tar archive/ },
    ],
    [
      "of a truncated tar",
      buildImage([tar.subarray(0, 2000)], CONFIG),
      { exit: 6, code: "layer-invalid", message: /ends in the middle/ },
    ],
    [
      "with ../ in a name",
      buildImage([[{ name: "../escaped", content: "x" }]], CONFIG),
      { exit: 6, code: "layer-escape", message: /"\.\.\/escaped" leaves the tree/ },
    ],
  ])("%s is refused", async (name, image, expected) => {
    await expectFailure(["pull", `docker-archive:${await archive(name.replaceAll(/[^a-z]/g, ""), image)}`], expected);
  });

  test("with a hard link to nowhere is refused when the layers are merged", async () => {
    const image = buildImage([[{ name: "h", type: "hardlink", linkname: "nothing" }]], CONFIG);
    const name = `docker-archive:${await archive("nowhere", image)}`;
    const { stderr } = await rootwright(["pull", name], { root: store, exits: [6] });
    expect(stderr).toMatch(/no file of its layer or of one below/);
    // the layer alone is good and stays for other images, until nothing needs it
    await rootwright(["pull", good], { root: store });
    expect(await rootwrightJson<{ name: string }[]>(["images"], { root: store })).toHaveLength(1);
  });

  test("beyond a limit is refused, and the limit named", async () => {
    await expectFailure(
      ["--max-bytes", "1000", "pull", `docker-archive:${await archive("large", buildImage([tar], CONFIG))}`],
      { exit: 9, code: "layer-too-large", message: /1000 bytes/, hint: /max_bytes/ },
    );
  });
});

describe("an archive", () => {
  test("that is missing is named", async () => {
    await expectFailure(["pull", `docker-archive:${temp.path}/nothing.tar`], {
      exit: 3,
      code: "archive-missing",
      message: /nothing\.tar/,
    });
  });

  test("that is none is refused", async () => {
    writeFileSync(join(temp.path, "garbage.tar"), "garbage ".repeat(1000));
    await expectFailure(["pull", `docker-archive:${temp.path}/garbage.tar`], {
      exit: 6,
      code: "archive-invalid",
      message: /garbage\.tar/,
    });
  });
});

describe("root filesystems", () => {
  test("of an id that exists are refused", async () => {
    await expectFailure(["provision", good, "--id", "kept"], {
      exit: 5,
      code: "rootfs-exists",
      message: /kept.*ready/,
      hint: /destroy kept/,
    });
  });

  test("of an id that does not exist cannot be destroyed", async () => {
    await expectFailure(["destroy", "nothing"], { exit: 3, code: "rootfs-not-found", message: /nothing/, hint: /ps/ });
    await rootwright(["destroy", "nothing", "--if-exists"], { root: store });
  });

  test.each(["../x", "/x", "a/b", ".hidden", "a b", "x".repeat(256), "a\nb"])(
    "of id %j are refused before anything is fetched",
    async (id) => {
      await expectFailure(["provision", "127.0.0.1:1/nowhere", "--id", id], {
        exit: 2,
        code: "rootfs-invalid-id",
        message: /id/,
      });
    },
  );

  test("of several layers are refused by bind", async () => {
    await expectFailure(["provision", good, "--id", "b", "--backend", "bind"], {
      exit: root ? 8 : 4,
      code: root ? "backend-layers" : "backend-denied",
      message: /bind/,
      hint: /overlay|copy/,
    });
  });

  test.skipIf(!root)("cannot be mounted by an ordinary user, who is told what works (needs root)", async () => {
    const home = join(temp.path, "home");
    await mkdir(home, { recursive: true });
    await run("chown", ["65534:65534", home]);
    const { code, stderr } = await rootwright(["provision", good, "--id", "o", "--backend", "overlay"], {
      root: join(home, "store"),
      uid: 65534,
      gid: 65534,
      env: { HOME: home },
      exits: "any",
    });
    expect(code, stderr).toBe(4);
    expect(stderr).toMatch(/overlay mounts, and this process \(uid 65534\) may not/);
    expect(stderr).toMatch(/--backend copy/);
  });
});

describe("the store", () => {
  test.skipIf(!root)("that cannot be written says so (needs root)", async () => {
    const locked = join(temp.path, "locked");
    await mkdir(locked, { mode: 0o755 });
    await expectFailure(
      ["images"],
      { exit: 4, code: "store-not-writable", message: /locked/, hint: /--root|writ/ },
      { root: join(locked, "store"), uid: 65534, gid: 65534 },
    );
  });

  test("whose index is no database says so, and what to do", async () => {
    const broken = join(temp.path, "broken");
    await rootwright(["images"], { root: broken });
    writeFileSync(join(broken, "index.db"), "this is no database ".repeat(500));
    await expectFailure(
      ["images"],
      { exit: 6, code: "database-not-a-database", message: /index\.db/ },
      { root: broken },
    );
  });

  test("is not made of a directory that holds something else", async () => {
    const other = join(temp.path, "other");
    await mkdir(other);
    writeFileSync(join(other, "thesis.txt"), "precious");
    await expectFailure(["images"], { exit: 2, code: "store-not-a-store", message: /other/ }, { root: other });
    expect(readdirSync(other)).toEqual(["thesis.txt"]);
  });
});

describe("the command line", () => {
  test.each([
    ["no command", []],
    ["an unknown command", ["fly"]],
    ["an unknown flag", ["images", "--colour"]],
    ["a missing argument", ["pull"]],
    ["a missing --id", ["provision", "x"]],
    ["an unknown backend", ["provision", "x", "--id", "a", "--backend", "zfs"]],
    ["a flag twice", ["images", "--root", "/a", "--root", "/b"]],
    ["a bad platform", ["pull", "x", "--platform", "linux"]],
  ])("with %s exits with 2", async (_what, args) => {
    const { code, stdout, stderr } = await rootwright(args, { root: store, exits: "any" });
    expect([code, stdout], stderr).toEqual([2, ""]);
    expect(stderr).toMatch(/^rootwright: .+\n(hint: .+\n)?$/);
  });

  test.each([
    ["is missing", "missing.toml", undefined, /missing\.toml/],
    ["is no TOML", "bad.toml", "root = [", /bad\.toml/],
    ["has an unknown key", "key.toml", 'colour = "red"', /colour.*is no setting/],
    ["has a bad value", "value.toml", "jobs = 0", /jobs/],
  ])("with a configuration file that %s exits with 2", async (_what, name, content, message) => {
    const path = join(temp.path, name);
    if (content !== undefined) writeFileSync(path, content);
    await expectFailure(["--config", path, "images"], { exit: 2, code: "config-invalid", message });
  });
});

describe.skipIf(!root)("a full disk (needs root)", () => {
  test("is called that, whatever was being written, and nothing of the attempt is left", async () => {
    const small = join(temp.path, "small");
    await mkdir(small);
    await run("mount", ["-t", "tmpfs", "-o", "size=3m", "none", small]);
    try {
      const content = randomBytes(200_000);
      const layers = [0, 1, 2].map((layer) =>
        Array.from({ length: 10 }, (_, at) => ({ name: `f${layer}-${at}`, content })),
      );
      const name = `docker-archive:${await archive("big", buildImage(layers, CONFIG))}`;
      const { code, stderr } = await rootwright(["provision", name, "--id", "x"], {
        root: join(small, "store"),
        exits: "any",
      });
      expect(code, stderr).toBe(9);
      expect(stderr).toMatch(/no space|ENOSPC/i);
      expect(await rootwrightJson(["images"], { root: join(small, "store") })).toEqual([]);
      expect(await rootwrightJson(["ps"], { root: join(small, "store") })).toEqual([]);
      expect(readdirSync(join(small, "store/staging"))).toEqual([]);
    } finally {
      await run("umount", [small]);
    }
  });
});

describe("a read-only copy", () => {
  test.skipIf(!root)("cannot be written (needs root)", async () => {
    const made = await rootwrightJson<{ rootfs: string; readOnly: boolean }>(
      ["provision", good, "--id", "ro", "--backend", "copy", "--read-only"],
      { root: store },
    );
    expect(made.readOnly).toBe(true);
    expect(() => writeFileSync(join(made.rootfs, "new"), "x")).toThrow(/EROFS/);
    await rootwright(["destroy", "ro"], { root: store });
  });

  test.skipIf(!root)("is refused to an ordinary user, who could not be kept from writing it (needs root)", async () => {
    const home = join(temp.path, "home-ro");
    await mkdir(home);
    await run("chown", ["65534:65534", home]);
    const { code, stderr } = await rootwright(["provision", good, "--id", "ro", "--read-only"], {
      root: join(home, "store"),
      uid: 65534,
      gid: 65534,
      env: { HOME: home },
      exits: "any",
    });
    expect(code, stderr).toBe(4);
    expect(stderr).toMatch(/read-only/);
  });
});

describe("messages", () => {
  test("have no colour without a terminal, and one line for each of several failures", async () => {
    const { stderr } = await rootwright(["destroy", "a", "b"], { root: store, exits: [10] });
    expect(stderr.split("\n").slice(0, 3)).toEqual([
      "rootwright: Cannot destroy 2 of 2:",
      expect.stringMatching(/^ {2}Cannot destroy a: /),
      expect.stringMatching(/^ {2}Cannot destroy b: /),
    ]);
    expect(stderr).not.toContain("\x1b");
  });

  test("with --json are one JSON document, even while there is progress to tell", async () => {
    const { stderr, stdout } = await rootwright(["--json", "pull", good], { root: store });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toHaveLength(1);
  });

  test("that nobody reads do not stop the work", async () => {
    const script = `${process.execPath} ${REPOSITORY}/src/main.ts --root ${store} pull ${good} --explain 2>&1 >/dev/null | true; exit \${PIPESTATUS[0]}`;
    await run("bash", ["-c", script]);
  });
});

describe("a damaged cache", () => {
  const image = buildImage([[{ name: "a", content: "base" }], [{ name: "b", content: "top" }]], CONFIG);

  test.each(["index", "fixup"])("is mended while provisioning, when it is the %s that cannot be read", async (what) => {
    const own = join(temp.path, `damaged-${what}`);
    const name = `docker-archive:${await archive(`damaged-${what}`, image)}`;
    await rootwright(["pull", name], { root: own });
    if (what === "index") {
      for (const layer of readdirSync(join(own, "layers"))) appendFileSync(join(own, "layers", layer, "index"), "rot");
    } else {
      using database = new DatabaseSync(join(own, "index.db"));
      database.exec("UPDATE layer SET facts = '{}' WHERE kind = 'fixup'");
    }
    const { stdout, stderr } = await rootwright(["provision", name, "--id", "x", "--backend", "copy"], { root: own });
    expect(stderr).toMatch(/warning: .*making it anew/);
    expect(readdirSync(stdout.trim()).sort()).toEqual(["a", "b"]);
    await rootwright(["destroy", "x"], { root: own });
  });

  test("whose blob has a flipped bit is mended by pulling", async () => {
    await using server = await startFaultServer(image);
    const own = join(temp.path, "damaged-blob");
    const name = `${server.host}/app:1`;
    await rootwright(["pull", name], { root: own });
    const layer = image.layers[0]?.digest.slice(7) ?? "";
    const path = join(own, "blobs/sha256", layer.slice(0, 2), layer);
    const bytes = readFileSync(path);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
    for (const dir of readdirSync(join(own, "layers"))) appendFileSync(join(own, "layers", dir, "index"), "rot");
    const { stdout } = await rootwright(["provision", name, "--id", "x", "--backend", "copy"], { root: own });
    expect(readdirSync(stdout.trim()).sort()).toEqual(["a", "b"]);
    expect(readFileSync(path).equals(image.blobs.get(image.layers[0]?.digest ?? "") ?? Buffer.alloc(0))).toBe(true);
    await rootwright(["destroy", "x"], { root: own });
  });
});

test("doctor makes no store", async () => {
  const { stdout } = await rootwright(["doctor"], { root: join(temp.path, "not/yet") });
  expect(stdout).toContain("there is no store yet");
  expect(existsSync(join(temp.path, "not"))).toBe(false);
});

test("a repository whose native parts are not built says how to build them", async () => {
  const clone = join(temp.path, "clone");
  for (const part of ["src", "store", "package.json"])
    cpSync(join(REPOSITORY, part), join(clone, part), { recursive: true });
  cpSync(join(REPOSITORY, "native"), join(clone, "native"), {
    recursive: true,
    filter: (path) => !path.includes("native/build"),
  });
  symlinkSync(join(REPOSITORY, "node_modules"), join(clone, "node_modules"));
  const args = [join(clone, "src/main.ts"), "--root", join(temp.path, "unbuilt"), "provision", good, "--id", "x"];
  const { code, stderr } = await run(process.execPath, args, { exits: "any" });
  expect(code, stderr).toBe(8);
  expect(stderr).toMatch(/not built/);
  expect(stderr).toMatch(/npm run build/);
});
