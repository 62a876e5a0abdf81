/** What the real provisioner, opened once, shows of stacks of layers: as images in OCI layouts, provisioned and destroyed. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig, openProvisioner, parseReference } from "../../src/index.ts";
import { describeTree, type EntryFacts, type TreeFacts } from "./compare-trees.ts";
import { type LayerStack, toTar } from "./layer-items.ts";
import { type Applied, contentHash } from "./layer-model.ts";
import { unlessMalformed } from "./stack-property.ts";
import { buildImage, writeOciLayout } from "./tar-builder.ts";

export interface Way {
  readonly backend: "overlay" | "copy" | "bind";
  readonly readOnly?: boolean;
}

export interface Shower extends AsyncDisposable {
  /** Undefined for a stack with a malformed layer. */
  show(stack: LayerStack, way: Way): Promise<TreeFacts | undefined>;
}

/** The name of the image in each layout. */
export const TAG = "it";

/** Keeps its store and its layouts in `directory`, which is the caller's. */
export async function openShower(directory: string): Promise<Shower> {
  const config = loadConfig({ flags: { root: join(directory, "store") }, env: {} });
  const provisioner = await openProvisioner(config);
  let count = 0;
  return {
    async show(stack, way) {
      count += 1;
      const id = `stack-${count}`;
      await using layout = await openLayout(join(directory, id), stack);
      const reference = parseReference(`oci:${layout.path}:${TAG}`);
      return await unlessMalformed(async () => {
        const { rootfs } = await provisioner.provision({ reference, id, ...way });
        try {
          return await describeTree(rootfs);
        } finally {
          await provisioner.destroy(id);
        }
      });
    },
    [Symbol.asyncDispose]: () => provisioner[Symbol.asyncDispose](),
  };
}

export interface StackLayout extends AsyncDisposable {
  readonly path: string;
}

/** An OCI layout of the stack's image, which is gone in the end. */
export async function openLayout(path: string, stack: LayerStack): Promise<StackLayout> {
  await writeOciLayout(path, buildImage(stack.map(toTar), {}, { compression: "none" }), TAG);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/**
 * The model's tree as an ordinary user may have it (src/layers/layer-tree.ts): everything is this user's and stays open to
 * it, device nodes are empty files, and only the attributes in `user.` are there.
 */
export function asOrdinaryUser({ tree }: Applied): { readonly tree: TreeFacts | undefined } {
  if (tree === undefined) return { tree };
  return { tree: new Map([...tree].map(([path, facts]) => [path, owned(facts)])) };
}

function owned(facts: EntryFacts): EntryFacts {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const device = facts.type === "char" || facts.type === "block";
  const kept = facts.xattrs.split(" ").filter((xattr) => xattr.startsWith("user."));
  return {
    ...facts,
    uid,
    gid,
    mode: facts.type === "symlink" ? facts.mode : facts.mode | (facts.type === "dir" ? 0o700 : 0o600),
    xattrs: facts.type === "symlink" ? "" : kept.join(" "),
    ...(device && { type: "file", device: "", content: contentHash(Buffer.alloc(0)) }),
  };
}
