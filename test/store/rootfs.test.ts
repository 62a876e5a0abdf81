import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openStore } from "../../store/index.ts";
import { codeOf, makeLayer, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

const imageDigest = digestOf("image");
const plain = { imageDigest, backend: "copy", readOnly: false, layers: [] };

describe("a rootfs", () => {
  test("is prepared, made ready, destroyed and removed", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const layers = ["base", "top"].map((name) => makeLayer(store, lease, name).key);
    const runtimeConfig = { env: ["A=1"], user: null };
    const created = store.rootfs.create({ ...plain, id: "web.1:a_b-c", image: "app", layers, lease, runtimeConfig });
    expect(created).toMatchObject({
      state: "preparing",
      image: "app",
      imageDigest,
      runtimeConfig,
      rootfsPath: undefined,
    });
    expect(created.owner).toEqual({ pid: process.pid });
    expect(created.layers.map(({ key }) => key)).toEqual(layers);
    expect(readdirSync(created.directory)).toEqual([]);
    expect(store.rootfs.directory(created.id)).toBe(created.directory);

    const path = join(created.directory, "rootfs");
    const mounts = [{ type: "overlay" }];
    const ready = store.rootfs.ready(created.id, { path, mounts });
    expect(ready).toMatchObject({ state: "ready", rootfsPath: path, mounts, owner: undefined, fromThisBoot: true });
    expect(store.rootfs.list()).toEqual([ready]);

    writeFileSync(join(created.directory, "file"), "");
    expect(store.rootfs.destroying(created.id)).toMatchObject({ state: "destroying", rootfsPath: path });
    store.rootfs.removed(created.id);
    expect(store.rootfs.get(created.id)).toBeUndefined();
    expect(readdirSync(join(root, "rootfs"))).toEqual([]);
    expect(readdirSync(join(root, "staging"))).toEqual([]);
  });

  test("can be passed through whatever the umask", () => {
    using temporary = temporaryStore();
    const before = process.umask(0o077);
    try {
      expect(statSync(temporary.store.rootfs.create({ ...plain, id: "a" }).directory).mode & 0o777).toBe(0o755);
    } finally {
      process.umask(before);
    }
  });

  test("keeps its image's layer order, repetitions and fix-up", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { key } = makeLayer(store, lease, "base");
    makeLayer(store, lease, "base", "fixup");
    const rootfs = store.rootfs.create({ ...plain, id: "a", layers: [key, key, { key, kind: "fixup" }] });
    expect(rootfs.layers.map(({ kind }) => kind)).toEqual(["layer", "layer", "fixup"]);
  });

  test("of an image without layers is fine", () => {
    using temporary = temporaryStore();
    expect(temporary.store.rootfs.create({ ...plain, id: "empty" }).layers).toEqual([]);
  });
});

describe("rootfs.create", () => {
  test("says in which state the existing one is", () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    store.rootfs.create({ ...plain, id: "a" });
    expect(() => store.rootfs.create({ ...plain, id: "a" })).toThrow(
      expect.objectContaining({ code: "rootfs-exists", details: { id: "a", state: "preparing" } }),
    );
  });

  test("refuses layers that are not here, and leaves nothing behind", () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    expect(codeOf(() => store.rootfs.create({ ...plain, id: "a", layers: [digestOf("missing")] }))).toBe(
      "layer-missing",
    );
    expect(store.rootfs.get("a")).toBeUndefined();
    expect(readdirSync(join(root, "rootfs"))).toEqual([]);
  });

  test("needs the given lease to be held", () => {
    using temporary = temporaryStore();
    temporary.lease.release();
    expect(codeOf(() => temporary.store.rootfs.create({ ...plain, id: "a", lease: temporary.lease }))).toBe(
      "lease-lost",
    );
  });

  test.each([
    ["nothing", ""],
    ["the parent directory", ".."],
    ["a path upwards", "../../etc"],
    ["an absolute path", "/etc"],
    ["dots inside", "a..b"],
    ["a slash", "a/b"],
    ["a hidden name", ".a"],
    ["an option", "-rf"],
    ["a colon in front", ":a"],
    ["a space", "a b"],
    ["a newline at the end", "a\n"],
    ["a NUL", "a\0b"],
    ["a comma", "a,b"],
    ["a backslash", "a\\b"],
    ["letters beyond ASCII", "ä"],
    ["256 bytes", "x".repeat(256)],
  ])("refuses %s as an id", (_, id) => {
    using temporary = temporaryStore();
    expect(codeOf(() => temporary.store.rootfs.create({ ...plain, id }))).toBe("rootfs-invalid-id");
  });

  test.each(["a", "0", "A.b_c:d-e", "x".repeat(255)])("takes %s as an id", (id) => {
    using temporary = temporaryStore();
    expect(temporary.store.rootfs.create({ ...plain, id }).id).toBe(id);
  });

  test("says that ids with a slash are for later", () => {
    using temporary = temporaryStore();
    expect(() => temporary.store.rootfs.create({ ...plain, id: "parent/child" })).toThrow(/\/ is reserved/);
  });
});

describe("the states", () => {
  test("ready is refused for a rootfs that is not being prepared, or that another prepares", () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    const { id, directory } = store.rootfs.create({ ...plain, id: "a" });
    using other = openStore({ root });
    expect(codeOf(() => other.rootfs.ready(id, { path: directory }))).toBe("rootfs-not-found");
    store.rootfs.ready(id, { path: directory });
    expect(codeOf(() => store.rootfs.ready(id, { path: directory }))).toBe("rootfs-not-found");
    expect(codeOf(() => store.rootfs.ready("unknown", { path: directory }))).toBe("rootfs-not-found");
  });

  test("destroying may be said again by the one who failed at it, not by another meanwhile", () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    store.rootfs.create({ ...plain, id: "a" });
    using other = openStore({ root });
    store.rootfs.destroying("a");
    store.rootfs.destroying("a");
    expect(codeOf(() => other.rootfs.destroying("a"))).toBe("rootfs-busy");
    expect(codeOf(() => other.rootfs.removed("a"))).toBe("rootfs-busy");
    store[Symbol.dispose]();
    expect(other.rootfs.abandoned()).toMatchObject([{ id: "a", state: "destroying" }]);
    expect(other.rootfs.destroying("a")).toBeDefined();
  });

  test("destroying and removing what is not there is nothing", () => {
    using temporary = temporaryStore();
    expect(temporary.store.rootfs.destroying("a")).toBeUndefined();
    temporary.store.rootfs.removed("a");
    expect(codeOf(() => temporary.store.rootfs.directory("a"))).toBe("rootfs-not-found");
  });

  test("removing is refused before destroying", () => {
    using temporary = temporaryStore();
    const { directory } = temporary.store.rootfs.create({ ...plain, id: "a" });
    expect(codeOf(() => temporary.store.rootfs.removed("a"))).toBe("rootfs-busy");
    expect(existsSync(directory)).toBe(true);
  });

  test("a ready rootfs of an earlier boot is told as such, and has an owner no more", () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    store.rootfs.create({ ...plain, id: "a" });
    store.rootfs.ready("a", { path: "/x" });
    using index = openIndex(root);
    index.exec("UPDATE rootfs SET boot_id = 'earlier'");
    expect(store.rootfs.get("a")).toMatchObject({ fromThisBoot: false, owner: undefined });
    expect(store.rootfs.abandoned()).toEqual([]);
  });
});

describe.skipIf(process.getuid?.() !== 0)("a rootfs with a mount in it (needs root)", () => {
  test("is not removed until that is unmounted, and loses nothing", () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const { directory } = store.rootfs.create({ ...plain, id: "a" });
    const point = join(directory, "a mount\\point");
    mkdirSync(point);
    writeFileSync(join(directory, "precious"), "");
    using unmount = new DisposableStack();
    expect(spawnSync("mount", ["-t", "tmpfs", "none", point]).status).toBe(0);
    unmount.defer(() => spawnSync("umount", [point]));
    store.rootfs.destroying("a");
    expect(() => store.rootfs.removed("a")).toThrow(
      expect.objectContaining({ code: "rootfs-mounted", details: expect.objectContaining({ mounts: [point] }) }),
    );
    expect(existsSync(join(directory, "precious"))).toBe(true);
    unmount.dispose();
    store.rootfs.removed("a");
    expect(existsSync(directory)).toBe(false);
  });
});
