/** Processes that are interrupted, killed, or in each other's way: nothing half-made is left, and nobody is blocked. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cliArguments, rootwright, rootwrightJson } from "../support/cli.ts";
import { type FaultServer, stall, startFaultServer } from "../support/fault-server.ts";
import { run } from "../support/peers.ts";
import { type BuiltImage, buildImage } from "../support/tar-builder.ts";
import { mountsBelow, openTempDir, type TempDir } from "../support/temp-dir.ts";

const LAYERS = [0, 1, 2].map((layer) =>
  Array.from({ length: 50 }, (_, at) => ({ name: `${layer}/${at}`, content: `${layer} ${at} `.repeat(500) })),
);
const IMAGE: BuiltImage = buildImage(LAYERS, { config: {} });

let temp: TempDir;
let store: string;
let servers: AsyncDisposableStack;
beforeEach(async () => {
  temp = await openTempDir("interruption");
  store = join(temp.path, "store");
  servers = new AsyncDisposableStack();
});
afterEach(async () => {
  await servers.disposeAsync();
  expect(await mountsBelow(temp.path)).toEqual([]);
  await temp[Symbol.asyncDispose]();
});

async function serve(options: Parameters<typeof startFaultServer>[1] = {}): Promise<FaultServer> {
  return servers.use(await startFaultServer(IMAGE, options));
}

/** Starts a command and waits until it has said something that matches. */
async function started(args: readonly string[], until: RegExp): Promise<ChildProcess> {
  const child = spawn(process.execPath, cliArguments(store, [...args, "--explain"]), {
    stdio: ["ignore", "pipe", "pipe"],
  });
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream }))
    if (until.test(line)) break;
  child.stderr?.resume();
  return child;
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}

/** A fault that is to strike three times has struck: none is left for those who come later. */
async function allLayersAsked(server: FaultServer): Promise<void> {
  const asked = (): number =>
    server.requests.filter(({ target, method }) => target === "layer" && method === "GET").length;
  await vi.waitUntil(() => asked() >= IMAGE.layers.length, { timeout: 20_000 });
}

function leftOver(): string[] {
  return ["staging", "rootfs", "layers"].flatMap((name) =>
    readdirSync(join(store, name)).map((entry) => `${name}/${entry}`),
  );
}

describe("a pull that waits for its registry", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends at %s with exit code %i and leaves nothing half-made", async (signal, code) => {
    const server = await serve({ faults: [stall("layer", 10)] });
    const child = await started(["pull", `${server.host}/app:1`], /layer 3\/3 started/);
    child.kill(signal);
    expect(await ended(child)).toBe(code);
    expect(leftOver()).toEqual([]);
    expect(await rootwrightJson(["images"], { root: store })).toEqual([]);
  });

  test("can be killed: the next command clears up, and the next pull succeeds", async () => {
    const server = await serve({ faults: [stall("layer", 10, { times: 3 })] });
    const child = await started(["pull", `${server.host}/app:1`], /layer 3\/3 started/);
    await allLayersAsked(server);
    child.kill("SIGKILL");
    await ended(child);
    expect(readdirSync(join(store, "staging")).length).toBeGreaterThan(0);
    await rootwright(["images"], { root: store });
    expect(leftOver()).toEqual([]);
    const { stdout } = await rootwright(["provision", `${server.host}/app:1`, "--id", "a", "--backend", "copy"], {
      root: store,
    });
    expect(readFileSync(join(stdout.trim(), "2/49"), "utf8")).toBe("2 49 ".repeat(500));
    await rootwright(["destroy", "a"], { root: store });
  });

  test("does not hold up other images, or the destruction of a root filesystem", async () => {
    const good = await serve();
    await rootwright(["provision", `${good.host}/other:1`, "--id", "before", "--backend", "copy"], { root: store });
    const tar = [{ name: "unlike the others", content: "x".repeat(1000) }];
    const unlike = servers.use(
      await startFaultServer(buildImage([tar], { config: {} }), { faults: [stall("layer", 10)] }),
    );
    const child = await started(["pull", `${unlike.host}/app:1`], /layer 1\/1 started/);
    await rootwright(["destroy", "before"], { root: store });
    await rootwright(["pull", `${good.host}/again:1`], { root: store });
    child.kill("SIGKILL");
    await ended(child);
  });
});

describe("several processes", () => {
  test("fetch each layer of an image that all of them want once", async () => {
    const server = await serve();
    await Promise.all(Array.from({ length: 4 }, () => rootwright(["pull", `${server.host}/app:1`], { root: store })));
    const layers = server.requests.filter(({ target, method }) => target === "layer" && method === "GET");
    expect(layers).toHaveLength(IMAGE.layers.length);
  });

  test("take over from one that was killed while they waited", async () => {
    const server = await serve({ faults: [stall("layer", 10, { times: 3 })] });
    const first = await started(["pull", `${server.host}/app:1`], /layer 3\/3 started/);
    const second = await started(["pull", `${server.host}/app:1`], /waiting/);
    await allLayersAsked(server);
    first.kill("SIGKILL");
    await ended(first);
    expect(await ended(second)).toBe(0);
    // what the dead process had begun goes with the next one that opens the store
    await rootwright(["images"], { root: store });
    expect(leftOver().filter((path) => path.startsWith("staging"))).toEqual([]);
  });

  test("that want one id get it once", async () => {
    const server = await serve();
    await rootwright(["pull", `${server.host}/app:1`], { root: store });
    const attempts = Array.from({ length: 4 }, () =>
      rootwright(["provision", `${server.host}/app:1`, "--id", "one"], { root: store, exits: [0, 5] }),
    );
    const codes = (await Promise.all(attempts)).map(({ code }) => code).sort((a, b) => a - b);
    expect(codes).toEqual([0, 5, 5, 5]);
    await rootwright(["destroy", "one"], { root: store });
  });

  test("may remove an image while others provision from it", async () => {
    const server = await serve();
    const name = `${server.host}/app:1`;
    const provisions = Array.from({ length: 4 }, (_, at) =>
      rootwright(["provision", name, "--id", `r${at}`], { root: store }),
    );
    const removals = Array.from({ length: 4 }, () => rootwright(["rm", name], { root: store, exits: [0, 3] }));
    const made = await Promise.all(provisions);
    await Promise.all(removals);
    for (const { stdout } of made) expect(existsSync(join(stdout.trim(), "2/49"))).toBe(true);
    await rootwright(["destroy", "r0", "r1", "r2", "r3"], { root: store });
  });
});

test("destroy stops at an interruption, and says what is gone", async () => {
  const server = await serve();
  const ids = Array.from({ length: 6 }, (_, at) => `r${at}`);
  await rootwright(["pull", `${server.host}/app:1`], { root: store });
  for (const id of ids)
    await rootwright(["provision", `${server.host}/app:1`, "--id", id, "--backend", "copy"], { root: store });
  const child = spawn(process.execPath, cliArguments(store, ["destroy", ...ids]), {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let printed = "";
  child.stdout.on("data", (text) => (printed += text));
  child.kill("SIGINT");
  await ended(child);
  const left = await rootwrightJson<{ id: string }[]>(["ps"], { root: store });
  expect(left.length + printed.split("\n").filter((line) => line !== "").length).toBe(6);
  await rootwright(["destroy", "--if-exists", ...ids], { root: store });
});

test("the program on the PATH passes signals on, whatever Node starts it", async () => {
  const server = await serve({ faults: [stall("layer", 10)] });
  const launcher = join(import.meta.dirname, "../../src/rootwright.mjs");
  const { stdout } = await run("sh", ["-c", "PATH=/usr/local/bin:/usr/bin:/bin command -v node || true"]);
  const node = stdout.trim() === "" ? process.execPath : stdout.trim();
  const child = spawn(node, [launcher, "--root", store, "pull", `${server.host}/app:1`, "--explain"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  for await (const line of createInterface({ input: child.stderr })) if (/layer 3\/3 started/.test(line)) break;
  child.stderr.resume();
  child.kill("SIGTERM");
  expect(await ended(child)).toBe(143);
  expect(leftOver()).toEqual([]);
});
