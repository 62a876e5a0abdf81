/** The service: images in, root filesystems out. The CLI, the library and later the daemon are callers of this. */
import { assertRootfsId, type CollectReport, type Image, type Lease } from "../../store/index.ts";
import { type BackendName, chooseBackend } from "../backends/index.ts";
import { AppError, toAppError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import { formatPlatform, hostPlatform, type Platform } from "../image/platform.ts";
import { formatReference, type ImageReference } from "../image/reference.ts";
import { type RuntimeConfig, runtimeConfigOf } from "../runtime/runtime-config.ts";
import { assemble } from "./assemble.ts";
import { cachedImage } from "./cached.ts";
import type { Call, CallOptions, ProvisionerContext } from "./context.ts";
import { describeImage, type ImageDetails, readImageConfig } from "./describe.ts";
import { destroyRootfs, healAbandoned } from "./destroy.ts";
import { type Diagnosis, diagnose } from "./diagnose.ts";
import { dropDamaged } from "./drop-damaged.ts";
import { type ListedRootfs, listRootfs } from "./list-rootfs.ts";
import { type PulledImage, pullImage } from "./pull.ts";

export interface PullRequest {
  readonly reference: ImageReference;
  readonly platform?: Platform;
}

export interface ProvisionRequest extends PullRequest {
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

export interface Provisioner {
  /** Fetches what is not here yet; the tag is looked up again each time. */
  pull(request: PullRequest, options?: CallOptions): Promise<Image>;
  /** Waits until everything is on the disk. Until then a power loss costs unpacking again, nothing more. */
  flush(): void;
  /** A root filesystem for a new id. An image that is in the store is used as it is, without the network. */
  provision(request: ProvisionRequest, options?: CallOptions): Promise<Provisioned>;
  /** Idempotent; false when there was none. */
  destroy(id: string): Promise<boolean>;
  rootfs(): ListedRootfs[];
  images(): Image[];
  /** Throws `image-not-found`. */
  inspect(reference: ImageReference, platform?: Platform): ImageDetails;
  /** Removes the name, and everything that nothing else needs. Throws `image-not-found`. */
  remove(reference: ImageReference, platform?: Platform): { readonly image: Image; readonly collected: CollectReport };
  diagnose(): Promise<Diagnosis>;
  /** Finishes what dead processes left; runs before the first provision and destroy. */
  heal(emit?: Emit): Promise<readonly string[]>;
}

export function createProvisioner(context: ProvisionerContext): Provisioner {
  const { store } = context;
  const find = (reference: ImageReference, platform?: Platform): Image => {
    const name = formatReference(reference);
    const image = store.images.get(name, platform && formatPlatform(platform));
    if (image !== undefined) return image;
    throw new AppError(
      "image-not-found",
      `Cannot find ${name}${platform ? ` for ${formatPlatform(platform)}` : ""}: it is not in the store`,
      {
        hint: "`rootwright images` lists what is, `rootwright pull` fetches",
      },
    );
  };
  return {
    async pull({ reference, platform = hostPlatform() }, options) {
      using lease = store.leases.acquire({ purpose: `pull ${formatReference(reference)}` });
      return (await pullImage(context, reference, platform, lease, toCall(options))).image;
    },
    provision: (request, options) => provisionOrRepair(context, request, toCall(options)),
    flush: () => store.flush(),
    destroy: (id) => destroyRootfs(context, id),
    rootfs: () => listRootfs(store),
    images: () => store.images.list(),
    inspect: (reference, platform) => describeImage(store, find(reference, platform)),
    remove(reference, platform) {
      const image = find(reference, platform);
      store.images.remove(image.name, image.platform);
      return { image, collected: store.collect() };
    },
    diagnose: async () => diagnose(await context.probe(), store.usage()),
    heal: (emit = silent) => healAbandoned(context, emit),
  };
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
    const platform = formatPlatform(request.platform ?? hostPlatform());
    const damaged =
      error.code === "layer-corrupt" && dropDamaged(context.store, formatReference(request.reference), platform) > 0;
    if (!damaged) throw error;
    call.emit({ type: "warning", message: `${error.message}; making it anew` });
    return await provision(context, request, call);
  }
}

async function provision(context: ProvisionerContext, request: ProvisionRequest, call: Call): Promise<Provisioned> {
  const { store } = context;
  assertRootfsId(request.id);
  refuseExisting(context, request.id);
  using lease = store.leases.acquire({ purpose: `provision ${request.id}` });
  const { image, stack } = await obtain(context, request, lease, call);
  const probe = await context.probe();
  const choice = chooseBackend(request.backend ?? "auto", probe, stack, { readOnly: request.readOnly ?? false });
  call.emit({ type: "backend", name: choice.backend.name, reason: choice.reason });
  const config = runtimeConfigOf(readImageConfig(store, image));
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

async function obtain(
  context: ProvisionerContext,
  request: ProvisionRequest,
  lease: Lease,
  call: Call,
): Promise<PulledImage> {
  const platform = request.platform ?? hostPlatform();
  try {
    const cached = await cachedImage(context, formatReference(request.reference), platform, lease, call);
    if (cached !== undefined) return cached;
  } catch (thrown) {
    const error = toAppError(thrown);
    // a damaged record is dropped by provisionOrRepair; a damaged blob is found out, and replaced, by pulling
    if (error.kind !== "integrity" || error.code === "layer-corrupt") throw error;
    call.emit({ type: "warning", message: `the cached image is damaged and fetched again: ${error.message}` });
  }
  return await pullImage(context, request.reference, platform, lease, call);
}

function toCall(options: CallOptions = {}): Call {
  return { emit: options.emit ?? silent, signal: options.signal ?? new AbortController().signal };
}
