/** Few workers and few connections at once: whoever holds one of them needs nothing that another may keep for ever. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { DOCKER_MANIFEST_V1 } from "../../../src/image/media-types.ts";
import { ensureLayer } from "../../../src/layers/ensure-layer.ts";
import { DEFAULT_LIMITS } from "../../../src/layers/limits.ts";
import { openWorkerPool } from "../../../src/layers/worker-pool.ts";
import { openWorkshop } from "../../../src/layers/workshop.ts";
import { type Fault, lie, startFaultServer, truncate } from "../../support/fault-server.ts";
import { buildSchema1 } from "../../support/schema1-builder.ts";
import { buildImage } from "../../support/tar-builder.ts";
import { openTestWorkshop } from "../../support/workshop.ts";
import { openResolving } from "../sources/resolve-with.ts";

// more than is sent ahead to a worker that is not there yet
const LAYERS = Array.from({ length: 3 }, (_, at) => [{ name: `file${at}`, content: randomBytes(6_000_000) }]);
const image = buildImage(LAYERS, { architecture: "amd64" });
const breaks = (): Fault => truncate("layer", 100_000, { times: 1 });

/** A store, one worker, and one connection to a registry whose layers break off. */
async function openNarrow(...faults: readonly Fault[]) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startFaultServer(image, { faults }));
  const { store, lease } = stack.use(await openTestWorkshop());
  const pool = stack.use(openWorkerPool(1));
  const { signal } = new AbortController();
  const context = { store, lease, pool, signal, limits: DEFAULT_LIMITS, emit: () => {} };
  const workshop = stack.use(openWorkshop(context));
  const resolving = stack.use(openResolving({ connectionsPerHost: 1 }, { workshop }));
  const resources = stack.move();
  return { server, store, context, resolving, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

describe("with one worker and one connection, and layers that break off", () => {
  test("all pulls go through", { timeout: 20_000 }, async () => {
    await using narrow = await openNarrow(breaks());
    const { layers } = await narrow.resolving.resolve(`${narrow.server.host}/app:1`);
    const context = { ...narrow.context, privileged: process.getuid?.() === 0 };
    const place = (index: number) => ({ index, count: layers.length });
    await Promise.all(layers.map((layer, index) => ensureLayer(layer, place(index), context)));
    expect(narrow.store.usage().layers).toBe(LAYERS.length);
  });

  test("an image of schema 1 is converted", { timeout: 20_000 }, async () => {
    const old = lie("manifest", () => buildSchema1(image), { headers: { "content-type": DOCKER_MANIFEST_V1 } });
    await using narrow = await openNarrow(old, breaks());
    const { layers } = await narrow.resolving.resolve(`${narrow.server.host}/app:1`);
    expect(layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
  });
});

test("nothing is opened before a worker has taken the task", async () => {
  await using narrow = await openNarrow();
  const workshop = openWorkshop(narrow.context);
  const opened: string[] = [];
  let most = 0;
  const keep = (key: string) => {
    const body = async function* () {
      most = Math.max(most, opened.length);
      yield Buffer.from(key);
      opened.pop();
    };
    const open = async () => {
      opened.push(key);
      return { offset: 0, body: body() };
    };
    return workshop.keep({ key, what: key, open });
  };
  await Promise.all(["a", "b", "c"].map(keep));
  expect(most).toBe(1);
});
