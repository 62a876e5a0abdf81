/**
 * Stacks of layers by chance, the same for the same seed: few names, so that collisions are the rule, and everything
 * that a layer's tar can say. In most of them, what the model refuses is left out, or hardly any stack could be shown.
 */
import { Random } from "../fuzz/random.ts";
import { item, type LayerItem, type LayerStack } from "./layer-items.ts";
import { LayerModel } from "./layer-model.ts";
import type { Quirk } from "./layer-quirks.ts";

export interface StackOptions {
  /** What most stacks are to be without. */
  readonly avoid?: readonly Quirk[];
  /** Default: 6. */
  readonly maxLayers?: number;
}

const NAMES = ["a", "b", "c", "d"];
/** A blank, a quote and a newline; bytes that are no UTF-8; a name that begins like a whiteout's, and is none. */
const ODD_NAMES = ["e f", "g'\n", "h\xff\x80", ".whx"];
const FILE_MODES = [0o644, 0o755, 0o600, 0o4755, 0o2711, 0o444, 0, 0o7777];
const DIR_MODES = [0o755, 0o700, 0o1777, 0o2775, 0o750, 0o555];
const TIMES = [0, 1, 86_400, 1_000_000_000, 1_700_000_000, -1, -86_401];
const OWNERS = [0, 0, 1, 1000, 65_534, 200_000];

/** Kind → how often, of 100. */
const KINDS = [
  ["file", 30],
  ["dir", 20],
  ["symlink", 13],
  ["hardlink", 13],
  ["whiteout", 11],
  ["opaque", 4],
  ["fifo", 2],
  ["device", 3],
  ["root", 2],
  ["aufs", 1],
  ["bad", 1],
] as const;
type Kind = (typeof KINDS)[number][0];

/** One stack in so many keeps all that chance brought. */
const UNTOUCHED = 12;

export function randomStack(seed: number, options: StackOptions = {}): LayerStack {
  const random = new Random(seed);
  const untouched = random.oneIn(UNTOUCHED);
  const stack: (readonly LayerItem[])[] = [];
  const count = 1 + random.below(options.maxLayers ?? 6);
  const below: string[] = [];
  let model = new LayerModel();
  while (stack.length < count) {
    const again = stack.length > 0 && random.oneIn(12);
    const made = again ? random.pick(stack) : new LayerMaker(random, below).make();
    const layer = untouched ? made : acceptable(model, made, options.avoid ?? []);
    stack.push(layer);
    model = (untouched ? undefined : model.with(layer)) ?? model;
  }
  return stack;
}

/** The layer, without the entries that the stack below could not take. */
function acceptable(below: LayerModel, layer: readonly LayerItem[], avoid: readonly Quirk[]): readonly LayerItem[] {
  const taken = (tried: readonly LayerItem[]): boolean => {
    const model = below.with(tried);
    return model !== undefined && !avoid.some((quirk) => model.quirks.has(quirk));
  };
  if (taken(layer)) return layer;
  const kept: LayerItem[] = [];
  for (const each of layer) {
    kept.push(each);
    if (!taken(kept)) kept.pop();
  }
  return kept;
}

class LayerMaker {
  readonly #random: Random;
  /** Files that lower layers brought, for links across layers. */
  readonly #below: string[];
  readonly #own: string[] = [];
  /** Paths that are no directories, nor lead to one: entries below them would be refused. */
  readonly #leaves = new Set<string>();

  constructor(random: Random, below: string[]) {
    this.#random = random;
    this.#below = below;
  }

  make(): LayerItem[] {
    const length = this.#random.oneIn(15) ? 0 : 1 + this.#random.below(8);
    const layer = Array.from({ length }, () => this.#item()).flat();
    this.#below.push(...this.#own);
    return layer;
  }

  #item(): LayerItem[] {
    const kind = this.#kind();
    if (kind === "root") return [this.#dressed(this.#random.pick(["./", "/", "."]), "dir")];
    if (kind === "aufs") return this.#aufs();
    if (kind === "whiteout") return [this.#whiteout()];
    if (kind === "opaque") return [item(this.#written(join(this.#directory(), ".wh..wh..opq")))];
    if (kind === "bad") return [this.#bad()];
    const path = this.#path();
    if (kind === "dir") {
      this.#leaves.delete(path);
      return [this.#dressed(this.#written(path) + (this.#random.oneIn(4) ? "" : "/"), "dir")];
    }
    if (kind === "symlink")
      return [{ ...this.#dressed(this.#written(path), "symlink"), mode: 0o777, link: this.#target() }];
    if (kind === "hardlink") {
      const link = this.#linked();
      // one to a symlink may lead to a directory
      if (!this.#random.oneIn(3)) this.#leaves.add(path);
      return [{ ...this.#dressed(this.#written(path), "hardlink"), link: this.#written(link), xattrs: {} }];
    }
    this.#leaves.add(path);
    if (kind === "file") return [{ ...this.#dressed(this.#written(path), "file"), content: this.#content() }];
    if (kind === "fifo") return [this.#dressed(this.#written(path), "fifo")];
    const [major, minor] = this.#random.pick([[1, 3] as const, [0, 5] as const, [259, 70_000] as const]);
    return [{ ...this.#dressed(this.#written(path), this.#random.oneIn(2) ? "char" : "block"), major, minor }];
  }

  #kind(): Kind {
    let left = this.#random.below(100);
    for (const [kind, share] of KINDS) {
      left -= share;
      if (left < 0) return kind;
    }
    return "file";
  }

  #name(): string {
    return this.#random.oneIn(40) ? this.#random.pick(ODD_NAMES) : this.#random.pick(NAMES);
  }

  #directory(): string {
    const depth = this.#random.pick([0, 0, 1, 1, 1, 2]);
    return Array.from({ length: depth }, () => this.#name()).join("/");
  }

  /** Mostly not below a file of the same layer, and mostly not there yet. */
  #path(): string {
    for (let attempt = 0; ; attempt += 1) {
      const path = join(this.#directory(), this.#name());
      const refused = path.split("/").some((_, at, parts) => at > 0 && this.#leaves.has(parts.slice(0, at).join("/")));
      const again = this.#own.includes(path) || this.#own.some((own) => own.startsWith(`${path}/`));
      const unlikely = refused || (again && !this.#random.oneIn(3));
      if (unlikely && attempt < 6) continue;
      this.#own.push(path);
      return path;
    }
  }

  /** A path in one of the ways in which tars write it. */
  #written(path: string): string {
    const way = this.#random.below(12);
    if (way < 3) return `./${path}`;
    if (way === 3) return `/${path}`;
    return way === 4 ? path.replace("/", "//") : path;
  }

  #target(): string {
    const path = join(this.#directory(), this.#name());
    const way = this.#random.below(10);
    if (way < 5) return path;
    if (way < 7) return `/${path}`;
    return way < 9 ? this.#random.pick([`../${path}`, `./${path}`, `a/../${path}`, "."]) : "nowhere/at all";
  }

  #linked(): string {
    const lists = [this.#own, this.#own, this.#below].filter((list) => list.length > 0);
    return lists.length === 0 || this.#random.oneIn(30)
      ? join(this.#directory(), this.#name())
      : this.#random.pick(this.#random.pick(lists));
  }

  #whiteout(): LayerItem {
    const lower = this.#below.length > 0 && !this.#random.oneIn(4) ? this.#random.pick(this.#below) : this.#path();
    const slash = lower.lastIndexOf("/");
    const name = join(lower.slice(0, Math.max(0, slash)), `.wh.${lower.slice(slash + 1)}`);
    const form = this.#random.below(12);
    if (form === 0) return item(this.#written(name), "hardlink", { link: ".wh.a" });
    if (form === 1) return item(this.#written(name), "symlink", { link: "/dev/null" });
    if (form === 2) return item(`${name}/`, "dir");
    if (form === 3) return item(name, "file", { content: "whiteouts are empty, this one is not" });
    return item(this.#written(name));
  }

  #aufs(): LayerItem[] {
    const directory = this.#directory();
    return this.#random.pick([
      [item(".wh..wh.plnk/", "dir"), item(".wh..wh.plnk/1.2", "file", { content: "x" })],
      [item(".wh..wh.aufs")],
      [item(`${join(directory, ".wh..wh.orph")}/`, "dir")],
    ]);
  }

  /** What is refused. */
  #bad(): LayerItem {
    if (this.#random.oneIn(2)) return item(this.#path());
    return this.#random.pick([
      item("a/../../b"),
      item(".wh."),
      item("a/.wh..."),
      item("b/.wh.c/d"),
      item("z", "char"),
      item("."),
      item("z", "hardlink", { link: "z" }),
      item("z", "hardlink", { link: "/" }),
    ]);
  }

  #dressed(name: string, type: LayerItem["type"]): LayerItem {
    const random = this.#random;
    return item(name, type, {
      ...(!random.oneIn(3) && { mode: random.pick(type === "dir" ? DIR_MODES : FILE_MODES) }),
      ...(random.oneIn(2) && { uid: random.pick(OWNERS), gid: random.pick(OWNERS) }),
      ...(!random.oneIn(3) && { mtimeSec: random.pick(TIMES) }),
      ...(random.oneIn(4) && { mtimeNsec: random.pick([1, 500_000_000, 999_999_999, 123_456_789]) }),
      ...(random.oneIn(6) && { xattrs: this.#xattrs(type) }),
    });
  }

  /** Linux keeps `user.` attributes for files and directories only. */
  #xattrs(type: LayerItem["type"]): Record<string, string> {
    const value = this.#random.pick(["", "x", "a\0b\xff", "\n="]);
    const names = [...(type === "file" || type === "dir" ? ["user.one", "user.two"] : []), "trusted.one"];
    const xattrs = Object.fromEntries(names.filter(() => this.#random.oneIn(2)).map((name) => [name, value]));
    // cap_net_raw+ep, as setcap(8) writes it
    const capability = "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    if (type !== "file" || !this.#random.oneIn(4)) return xattrs;
    return { ...xattrs, "security.capability": capability };
  }

  #content(): string {
    const random = this.#random;
    const word = random.pick(["", "x", "one", "two", "three\n", "\0\0\0"]);
    return random.oneIn(50) ? word.padEnd(5000, "long ") : `${word}${random.below(10)}`;
  }
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}
