/** The service: images in, root filesystems out. The CLI, the library and later the daemon are callers of this. */
import { assertRootfsId, type CollectReport, type Image } from "../../store/index.ts";
import { type BackendName, chooseBackend } from "../backends/index.ts";
import { AppError, toAppError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import { formatPlatform, type Platform } from "../image/platform.ts";
import { formatReference, type ImageReference } from "../image/reference.ts";
import type { RuntimeConfig } from "../runtime/runtime-config.ts";
import { assemble } from "./assemble.ts";
import type { Call, CallOptions, ProvisionerContext } from "./context.ts";
import { describeImage, type ImageDetails, readRuntimeConfig } from "./describe.ts";
import { destroyRootfs, healAbandoned } from "./destroy.ts";
import { type Diagnosis, diagnose } from "./diagnose.ts";
import { dropDamaged } from "./drop-damaged.ts";
import { findImage, findImages } from "./find-image.ts";
import { type ImportRequest, importImages } from "./import-images.ts";
import { type ListedRootfs, listRootfs } from "./list-rootfs.ts";
import { obtain } from "./obtain.ts";
import { type Plan, planImages } from "./plan.ts";
import type { ImageRequest } from "./request.ts";
import { type BoundName, bindName } from "./resolve-names.ts";

export type { ImageRequest, PullPolicy } from "./request.ts";

export interface ProvisionRequest extends ImageRequest {
  readonly id: string;
  readonly backend?: "auto" | BackendName;
  readonly readOnly?: boolean;
}

export interface Provisioned {
  readonly id: string;
  /** Absolute path of the root filesystem. */
  readonly rootfs: string;
  readonly backend: BackendName;
  readonly readOnly: boolean;
  readonly image: Image;
  readonly runtimeConfig: RuntimeConfig;
}

export interface Removed {
  readonly image: Image;
  readonly collected: CollectReport;
}

export interface Provisioner {
  /** Fetches what is not here yet. Unless the request says otherwise, the tag is looked up again (policy `always`). */
  pull(request: ImageRequest, options?: CallOptions): Promise<Image>;
  /** What pulling these would cost; nothing is fetched but manifests and configurations. */
  plan(requests: readonly ImageRequest[], options?: CallOptions): Promise<Plan>;
  /** The digest that a name stands for now. */
  resolve(request: ImageRequest, options?: CallOptions): Promise<BoundName>;
  /** Takes in what an archive, a layout or a stream of one holds. */
  import(request: ImportRequest, options?: CallOptions): Promise<readonly Image[]>;
  /** Waits until everything is on the disk. Until then a power loss costs unpacking again, nothing more. */
  flush(): void;
  /** A root filesystem for a new id. Unless the request says otherwise, an image that is here is used (policy `cached`). */
  provision(request: ProvisionRequest, options?: CallOptions): Promise<Provisioned>;
  /** Idempotent; false when there was none. */
  destroy(id: string): Promise<boolean>;
  rootfs(): ListedRootfs[];
  images(): Image[];
  /** Throws `image-not-found`. */
  inspect(reference: ImageReference, platform?: Platform): Promise<ImageDetails>;
  /** Removes the name, and everything that nothing else needs. Throws `image-not-found`. */
  remove(reference: ImageReference, platform?: Platform): Promise<Removed>;
  diagnose(): Promise<Diagnosis>;
  /** Finishes what dead processes left; runs before the first provision and destroy. */
  heal(emit?: Emit): Promise<readonly string[]>;
}

export function createProvisioner(context: ProvisionerContext): Provisioner {
  const { store } = context;
  /** Everything that a reference may mean, best first; at least one. */
  const find = async (reference: ImageReference, platform?: Platform): Promise<readonly [Image, ...Image[]]> => {
    for (const candidate of await context.qualify(reference)) {
      const [image, ...others] = findImages(store, candidate, platform);
      if (image !== undefined) return [image, ...others];
    }
    const wanted = `${formatReference(reference)}${platform ? ` for ${formatPlatform(platform)}` : ""}`;
    throw new AppError("image-not-found", `Cannot find ${wanted}: it is not in the store`, {
      hint: "`rootwright images` lists what is, `rootwright pull` fetches",
    });
  };
  return {
    async pull(request, options) {
      using lease = store.leases.acquire({ purpose: `pull ${formatReference(request.reference)}` });
      return (await obtain(context, { policy: "always", ...request }, lease, toCall(options))).image;
    },
    async plan(requests, options) {
      using lease = store.leases.acquire({ purpose: "plan" });
      return await planImages(context, requests, lease, toCall(options));
    },
    async resolve(request, options) {
      using lease = store.leases.acquire({ purpose: `resolve ${formatReference(request.reference)}` });
      return await bindName(context, request, lease, toCall(options));
    },
    async import(request, options) {
      using lease = store.leases.acquire({ purpose: `import ${request.what}` });
      return await importImages(context, request, lease, toCall(options));
    },
    provision: (request, options) => provisionOrRepair(context, request, toCall(options)),
    flush: () => store.flush(),
    destroy: (id) => destroyRootfs(context, id),
    rootfs: () => listRootfs(store),
    images: () => store.images.list(),
    inspect: async (reference, platform) => describeImage(store, (await find(reference, platform))[0]),
    async remove(reference, platform) {
      const found = await find(reference, platform);
      if (found.length > 1 && reference.kind === "appc") throw ambiguous(formatReference(reference), found);
      const [image] = found;
      store.images.remove(image.name, image.platform);
      return { image, collected: store.collect() };
    },
    diagnose: async () => diagnose(await context.probe(), store.usage()),
    heal: (emit = silent) => healAbandoned(context, emit),
  };
}

/** What is removed must be meant: part of an image's labels is enough to use it, and not to lose it. */
function ambiguous(name: string, images: readonly Image[]): AppError {
  const names = images.map((image) => image.name);
  return new AppError("image-ambiguous", `Cannot remove ${name}: it may be ${names.join(" or ")}`.slice(0, 2000), {
    hint: "name one of them in full",
    details: { names },
  });
}

/** Damage to what the store remembers of layers shows only when it is read: then once more, without what is damaged. */
async function provisionOrRepair(
  context: ProvisionerContext,
  request: ProvisionRequest,
  call: Call,
): Promise<Provisioned> {
  try {
    return await provision(context, request, call);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code !== "layer-corrupt" || (await dropDamagedOf(context, request)) === 0) throw error;
    call.emit({ type: "warning", message: `${error.message}; making it anew` });
    return await provision(context, request, call);
  }
}

async function dropDamagedOf({ store, qualify }: ProvisionerContext, request: ProvisionRequest): Promise<number> {
  const candidates = await qualify(request.reference);
  const images = candidates.flatMap((reference) => findImage(store, reference, request.platform) ?? []);
  return images.reduce((dropped, image) => dropped + dropDamaged(store, image), 0);
}

async function provision(context: ProvisionerContext, request: ProvisionRequest, call: Call): Promise<Provisioned> {
  const { store } = context;
  assertRootfsId(request.id);
  refuseExisting(context, request.id);
  using lease = store.leases.acquire({ purpose: `provision ${request.id}` });
  // now: it takes a while, of which most is spent elsewhere, and longest when much was written just before
  const probing = context.probe();
  probing.catch(() => {});
  const { image, stack } = await obtain(context, request, lease, call);
  const probe = await probing;
  const choice = chooseBackend(request.backend ?? "auto", probe, stack, { readOnly: request.readOnly ?? false });
  call.emit({ type: "backend", name: choice.backend.name, reason: choice.reason });
  const config = readRuntimeConfig(store, image);
  const readOnly = request.readOnly ?? false;
  const row = store.rootfs.create({
    id: request.id,
    image: image.name,
    imageDigest: image.manifestDigest,
    backend: choice.backend.name,
    readOnly: readOnly || choice.backend.name === "bind",
    layers: [...stack.layers, stack.fixUp].map(({ key, kind }) => ({ key, kind })),
    lease,
    runtimeConfig: config,
  });
  try {
    const plan = choice.backend.plan(stack, row.directory, { readOnly });
    await assemble(context, plan, stack, call);
    store.rootfs.ready(request.id, { path: plan.rootfsPath }); // commit point 3: the rootfs
    return {
      id: request.id,
      rootfs: plan.rootfsPath,
      backend: choice.backend.name,
      readOnly: plan.readOnly,
      image,
      runtimeConfig: config,
    };
  } catch (error) {
    await destroyRootfs(context, request.id).catch((undoing: unknown) => {
      const message = `cannot remove ${request.id}, which was not finished: ${toAppError(undoing).message}`;
      call.emit({ type: "warning", message });
    });
    throw error;
  }
}

/** Told before anything is fetched; `create` decides when two ask at once. */
function refuseExisting({ store }: ProvisionerContext, id: string): void {
  const existing = store.rootfs.get(id);
  if (existing === undefined) return;
  throw new AppError("rootfs-exists", `Cannot provision ${id}: a root filesystem with this id is ${existing.state}`, {
    hint: `choose another --id, or run \`rootwright destroy ${id}\` first`,
    details: { id, state: existing.state },
  });
}

function toCall(options: CallOptions = {}): Call {
  return { emit: options.emit ?? silent, signal: options.signal ?? new AbortController().signal };
}
