/**
 * Rendering (appc/spec ace.md, "Filesystem Setup"): the layers of an image with dependencies, base first. Depth first, in
 * the order of the manifests, every image on top of its dependencies: A → [B, C], C → [D] is B, D, C, A. An image that is
 * reached twice is laid down twice, since its place and what is filtered from it differ.
 *
 * A whitelist holds for what an image *and* its dependencies leave together. Here it filters each of their layers instead,
 * which gives the same tree: it keeps the listed paths and the directories that lead to them, and whether such a path is there
 * in the end is decided by entries at it and at its parents alone. A listed path that no layer has is nowhere, as in the
 * specification. There are two corners:
 *
 *  - `dir/` stands for a directory that is there even if no image has it. That cannot be left to every layer: one that was
 *    made anew in an upper layer would hide what a lower one has. So only the lowest layer below a whitelist is told to make
 *    it; all others see the path without its slash.
 *  - a file that an image puts in place of a directory in which a listed path lies is not listed itself. It is passed over
 *    and what it would have replaced stays, as in rkt, whose renderer filters image by image too.
 */
import { type Digest, digestOf } from "../../../store/index.ts";
import { PathList } from "../../image/appc-paths.ts";
import type { LayerPart, ResolvedLayer } from "../source.ts";
import type { AciNode } from "./dependencies.ts";
import type { Aci } from "./load-aci.ts";

export const ACI_MEDIA_TYPE = "application/vnd.appc.aci";

/** Base first. What the whitelists come to is bounded before (part-budget.ts). */
export function renderLayers(node: AciNode, ancestors: readonly Whitelist[] = []): ResolvedLayer[] {
  const { aci, dependencies } = node;
  const own = aci.manifest.pathWhitelist;
  const lists = own.length === 0 ? ancestors : [whitelistOf(own, ancestors), ...ancestors];
  const upper = lists.map((list) => list.withoutMaking);
  const below = dependencies.flatMap((dependency, index) => renderLayers(dependency, index === 0 ? lists : upper));
  return [...below, layerOf(aci, below.length === 0 ? lists : upper)];
}

function layerOf(aci: Aci, whitelists: readonly Whitelist[]): ResolvedLayer {
  const part: LayerPart = {
    // the number is the version of these rules: trees that older ones made are not taken for those of newer ones
    key: digestOf(`rootwright appc part 2 ${aci.imageId} ${whitelists.map(({ digest }) => digest).join(" ")}`),
    directory: "rootfs",
    whitelists: whitelists.map(({ paths }) => paths),
  };
  return {
    blob: { mediaType: ACI_MEDIA_TYPE, digest: aci.blobDigest, size: aci.file.sizeBytes },
    diffId: aci.imageId,
    keepBlob: aci.keepBlob,
    bytes: { file: aci.file },
    part,
    what: aci.where,
  };
}

/** One list, which many layers share. */
class Whitelist {
  /** Canonical: sorted, without doubles. */
  readonly paths: readonly string[];
  readonly digest: Digest;
  #list: PathList | undefined;
  #withoutMaking: Whitelist | undefined;

  constructor(paths: readonly string[]) {
    this.paths = [...new Set(paths)].sort();
    this.digest = digestOf(JSON.stringify(this.paths));
  }

  /** Whether a directory at that path is left, or made. */
  keeps(path: string): boolean {
    this.#list ??= new PathList(this.paths.map(withoutSlash));
    return this.#list.has(path) || this.#list.leadsTo(path);
  }

  /** The same, with directories left that are there. */
  get withoutMaking(): Whitelist {
    const makes = this.paths.some((path) => path !== withoutSlash(path));
    this.#withoutMaking ??= makes ? new Whitelist(this.paths.map(withoutSlash)) : this;
    return this.#withoutMaking;
  }
}

/** What an ancestor's list would remove again is not made in the first place, so that their order makes no difference. */
function whitelistOf(paths: readonly string[], ancestors: readonly Whitelist[]): Whitelist {
  const stays = (path: string): boolean => ancestors.every((list) => list.keeps(path));
  return new Whitelist(
    paths.map((path) => {
      const [listed, plain] = [normalised(path), withoutSlash(normalised(path))];
      return listed === plain || stays(plain) ? listed : plain;
    }),
  );
}

/** `//a/./b//` is `/a/b/`. Manifests with `..` in a path were refused. */
function normalised(path: string): string {
  const plain = `/${path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
  return plain !== "/" && /\/\.?$/.test(path) ? `${plain}/` : plain;
}

function withoutSlash(path: string): string {
  return path === "/" ? path : path.replace(/\/$/, "");
}
