import { describe, expect, test } from "vitest";
import type { Finding, Probe } from "../../../native/index.ts";
import type { Stack } from "../../../src/backends/index.ts";
import { BACKENDS, chooseBackend } from "../../../src/backends/index.ts";

const yes: Finding = { ok: true, reason: "" };
const no = (reason: string): Finding => ({ ok: false, reason });

function probe(more: Partial<Probe> = {}): Probe {
  const all = {
    overlay: yes,
    overlayUserns: yes,
    lowerdirPlus: yes,
    bind: yes,
    bindUserns: yes,
    dType: yes,
    reflink: yes,
    mknod: yes,
    trustedXattrs: yes,
    userXattrs: yes,
  };
  return {
    directory: "/store",
    kernel: "6.1",
    euid: 0,
    capSysAdmin: true,
    filesystem: { ok: true, reason: "", type: "ext4" },
    ...all,
    ...more,
  };
}

const stack = (facts: Partial<Stack["facts"]> = {}, layers = ["a", "b", "c"]): Stack => ({
  layers: layers.map((name) => ({ fsPath: `/store/layers/${name}/fs`, indexPath: "" })),
  fixUp: { fsPath: "/store/layers/x/fs" },
  facts: { cut: 0, notOneDirectory: "the image has 3 layers", ...facts },
});

describe("chooseBackend", () => {
  test("takes overlay where it works", () => {
    expect(chooseBackend("auto", probe(), stack()).backend.name).toBe("overlay");
  });

  test("falls back to copy and says why", () => {
    const choice = chooseBackend("auto", probe({ overlay: no("upper fs does not support d_type") }), stack());
    expect(choice.backend.name).toBe("copy");
    expect(choice.reason).toContain("not overlay: upper fs does not support d_type");
  });

  test("falls back to copy for layers that an ordinary user unpacked", () => {
    expect(chooseBackend("auto", probe(), stack({ notStackable: "recorded" })).backend.name).toBe("copy");
  });

  test("tells a process without the privilege so, and which backend works", () => {
    const denied = probe({ euid: 1000, capSysAdmin: false, overlay: no("EPERM"), bind: no("EPERM") });
    for (const name of ["overlay", "bind"] as const) {
      expect(() => chooseBackend(name, denied, stack())).toThrow(
        expect.objectContaining({ code: "backend-denied", hint: expect.stringContaining("copy") }),
      );
    }
  });

  test("tells a machine without overlayfs so, and which backend works", () => {
    expect(() => chooseBackend("overlay", probe({ overlay: no("unknown filesystem type") }), stack())).toThrow(
      expect.objectContaining({ code: "backend-unsupported", hint: expect.stringContaining("--backend copy") }),
    );
  });

  test("refuses bind for an image that is not one directory", () => {
    expect(() => chooseBackend("bind", probe(), stack())).toThrow(expect.objectContaining({ code: "backend-layers" }));
  });
});

describe("overlay's plan", () => {
  const lower = (facts: Partial<Stack["facts"]>, layers?: string[], readOnly = false): unknown => {
    const [mount] = BACKENDS.overlay.plan(stack(facts, layers), "/store/rootfs/r", { readOnly }).mounts;
    return mount?.op === "overlay" ? mount.lower.map((path) => path.split("/")[3] ?? "") : undefined;
  };

  test("stacks the fix-up on the layers, top first", () => {
    expect(lower({})).toEqual(["x", "c", "b", "a"]);
  });

  test("leaves out what an opaque root hides, and a layer's lower occurrence", () => {
    expect(lower({ cut: 1 })).toEqual(["x", "c", "b"]);
    expect(lower({}, ["a", "b", "a"])).toEqual(["x", "a", "b"]);
  });

  test("has an upper directory like the image's root when writable, and none when not", () => {
    const writable = BACKENDS.overlay.plan(stack(), "/r", { readOnly: false });
    expect(writable.directories).toContainEqual({ path: "/r/upper", like: "/store/layers/x/fs" });
    expect(writable.mounts[0]).toMatchObject({ upper: "/r/upper", work: "/r/work" });
    expect(BACKENDS.overlay.plan(stack(), "/r", { readOnly: true }).mounts[0]).toMatchObject({ readonly: true });
    expect(BACKENDS.overlay.plan(stack(), "/r", { readOnly: true }).mounts[0]).not.toHaveProperty("upper");
  });

  test("has two lower directories even for an image without layers", () => {
    expect(lower({}, [], true)).toHaveLength(2);
  });
});

test("every mounting backend makes its mount slave and shared", () => {
  for (const name of ["overlay", "bind"] as const) {
    const plan = BACKENDS[name].plan(stack({}, ["a"]), "/r", { readOnly: false });
    expect(plan.mounts.at(-1)).toEqual({ op: "propagation", target: "/r/rootfs", mode: "slave+shared" });
  }
});
