/** Files are read when they are needed, again when they have changed, and not otherwise. */
import { chmod, mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { createFileCache, type FileCache, type FileKind } from "../../../../src/sources/registry/hosts/file-cache.ts";
import { createHostTable } from "../../../../src/sources/registry/hosts/host-table.ts";
import { missingPrograms, run } from "../../../support/peers.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { openHostTree } from "./host-tree.ts";

const HUB = "hosts/docker.io/hosts.toml";
const server = (name: string): string => `server = "https://${name}.example.com"`;

describe("a table", () => {
  test("sees files that are changed, added and removed", async () => {
    await using tree = await openHostTree({ [HUB]: server("one") });
    const host = async () => (await tree.only("busybox")).endpoint.host;
    expect(await host()).toBe("one.example.com");
    await tree.write({ [HUB]: server("two") });
    expect(await host()).toBe("two.example.com");
    await tree.write({ "hosts/new": server("six") });
    await rename(join(tree.path, "hosts/new"), join(tree.path, HUB));
    expect(await host()).toBe("six.example.com");
    await rm(join(tree.path, "hosts/docker.io"), { recursive: true });
    expect(await host()).toBe("registry-1.docker.io");
    await tree.write({ "low.d/1.conf": `[[registry]]\nprefix = "docker.io"\nlocation = "conf.example.com"` });
    expect(await host()).toBe("conf.example.com");
  });

  test("recovers from a file that was wrong for a while", async () => {
    await using tree = await openHostTree({ [HUB]: "server = " });
    expect((await tree.refusal("busybox")).code).toBe("config-invalid");
    await tree.write({ [HUB]: server("one") });
    expect((await tree.only("busybox")).endpoint.host).toBe("one.example.com");
  });

  test("looks at few things for a host that no file names", async () => {
    await using tree = await openHostTree({ [HUB]: server("one"), "registries.conf": "" });
    const asked: string[] = [];
    const cache = createFileCache();
    const counting: FileCache = {
      lookUp() {
        const lookup = cache.lookUp();
        const list: typeof lookup.list = (path) => {
          asked.push(path);
          return lookup.list(path);
        };
        const read: typeof lookup.read = (path, kind) => {
          asked.push(path);
          return lookup.read(path, kind);
        };
        return { ...lookup, list, read };
      },
    };
    const table = createHostTable({ ...tree.paths, security: createTransportSecurity([]), cache: counting });
    await table.transportFor("elsewhere.example.com");
    expect([...new Set(asked)].map((path) => path.slice(tree.path.length + 1)).sort()).toEqual(
      ["certs", "high.d", "hosts", "low.d", "more-certs", "more-hosts", "registries.conf"].sort(),
    );
  });
});

describe("a file cache", () => {
  const counted = () => {
    const parsed: string[] = [];
    const kind: FileKind<string> = {
      name: "text",
      maxBytes: 10,
      parse(bytes) {
        parsed.push(Buffer.from(bytes).toString());
        return parsed.at(-1) ?? "";
      },
    };
    return { parsed, kind };
  };

  test("parses a file that has not changed for a while once", async () => {
    const { parsed, kind } = counted();
    const cache = createFileCache();
    // any file that is older than this test
    const path = import.meta.filename;
    const read = () => cache.lookUp().read(path, { ...kind, maxBytes: 1_000_000 });
    expect(await read()).toBe(await read());
    expect(parsed).toHaveLength(1);
  });

  test("does not trust the times of a file that has just changed", async () => {
    await using temp = await openTempDir("cache");
    const path = join(temp.path, "file");
    const { parsed, kind } = counted();
    const cache = createFileCache();
    const epoch = new Date(0);
    for (const content of ["one", "two", "six"]) {
      await writeFile(path, content);
      await utimes(path, epoch, epoch);
      expect(await cache.lookUp().read(path, kind)).toBe(content);
    }
    expect(parsed).toEqual(["one", "two", "six"]);
  });

  test("answers one question from what it saw first", async () => {
    await using temp = await openTempDir("cache");
    const path = join(temp.path, "file");
    const { kind } = counted();
    await writeFile(path, "one");
    const lookup = createFileCache().lookUp();
    expect(await lookup.read(path, kind)).toBe("one");
    await writeFile(path, "other");
    expect(await lookup.read(path, kind)).toBe("one");
    expect([...lookup.files]).toEqual([path]);
  });

  test("takes up to as many bytes as may be", async () => {
    await using temp = await openTempDir("cache");
    const { kind } = counted();
    const lookup = createFileCache().lookUp();
    await writeFile(join(temp.path, "fits"), "0123456789");
    await writeFile(join(temp.path, "not"), "0123456789a");
    expect(await lookup.read(join(temp.path, "fits"), kind)).toBe("0123456789");
    await expect(lookup.read(join(temp.path, "not"), kind)).rejects.toThrow("larger than the limit of 10 bytes");
    await expect(lookup.read("/dev/zero", kind)).rejects.toThrow("larger than the limit");
  });

  test("has nothing of what is not there, or below a file", async () => {
    await using temp = await openTempDir("cache");
    const { kind } = counted();
    await writeFile(join(temp.path, "file"), "");
    const lookup = createFileCache().lookUp();
    expect(await lookup.read(join(temp.path, "none"), kind)).toBeUndefined();
    expect(await lookup.read(join(temp.path, "file/below"), kind)).toBeUndefined();
    expect(await lookup.list(join(temp.path, "none"))).toEqual([]);
    expect(await lookup.list(join(temp.path, "file"))).toEqual([]);
    expect(lookup.warnings.size).toBe(0);
  });

  test.skipIf(missingPrograms("mkfifo").length > 0)("does not wait for a FIFO (needs mkfifo)", async () => {
    await using temp = await openTempDir("cache");
    const path = join(temp.path, "fifo");
    await run("mkfifo", [path]);
    await expect(createFileCache().lookUp().read(path, counted().kind)).rejects.toThrow("it is no file");
  });

  test("passes over directories that are closed, and not files that are", async () => {
    await using temp = await openTempDir("cache");
    const [closed, file] = [join(temp.path, "closed"), join(temp.path, "file")];
    await mkdir(closed);
    await writeFile(join(closed, "below"), "");
    await writeFile(file, "", { mode: 0o000 });
    await chmod(closed, 0o000);
    const module = new URL("../../../../src/sources/registry/hosts/file-cache.ts", import.meta.url).href;
    const script = `
      const { createFileCache } = await import(${JSON.stringify(module)});
      const kind = { name: "text", maxBytes: 10, parse: String };
      const lookup = createFileCache().lookUp();
      const below = await lookup.read(${JSON.stringify(join(closed, "below"))}, kind);
      const listed = await lookup.list(${JSON.stringify(closed)});
      const error = await lookup.read(${JSON.stringify(file)}, kind).catch((thrown) => thrown);
      console.log(JSON.stringify([below ?? null, listed, lookup.warnings.size, error.code, error.message]));
    `;
    const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    // root may do everything
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: "/", ...nobody });
    await chmod(closed, 0o700);
    const told = JSON.parse(stdout) as unknown[];
    expect(told.slice(0, 4)).toEqual([null, [], 2, "config-invalid"]);
    expect(told[4]).toContain("this user may not read it");
  });
});
