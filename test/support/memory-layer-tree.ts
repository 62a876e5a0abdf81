/**
 * A LayerTree in memory, as strict as the kernel: what exists is not made again, parents are there, links have a target.
 */
import type { Entry } from "../../src/layers/entry.ts";
import type { LayerTree } from "../../src/layers/layer-tree.ts";
import { contentHash } from "./layer-model.ts";

export interface MemoryTree extends LayerTree {
  /** Hash of the content of the file at a path. */
  contentOf(path: string): string | undefined;
  /** Path → what is there, the root left out. */
  readonly kinds: ReadonlyMap<string, string>;
}

interface Node {
  readonly kind: string;
  content?: string;
}

export function memoryTree(): MemoryTree {
  const nodes = new Map<string, Node>([["", { kind: "directory" }]]);
  const add = (path: string, node: Node): void => {
    const slash = path.lastIndexOf("/");
    if (nodes.get(path.slice(0, Math.max(0, slash)))?.kind !== "directory") throw new Error(`${path}: no directory`);
    if (nodes.has(path)) throw new Error(`${path}: exists`);
    nodes.set(path, node);
  };
  const directory = (path: string): void => {
    if (nodes.get(path)?.kind !== "directory") throw new Error(`${path} is no directory`);
  };
  return {
    markersRefused: 0,
    createFile: (entry, data) => add(entry.path, { kind: "file", content: contentHash(data) }),
    openFile(entry) {
      const pieces: [offset: number, bytes: Uint8Array][] = [];
      const node: Node = { kind: "file" };
      add(entry.path, node);
      let at = 0;
      return {
        append(chunk: Uint8Array) {
          pieces.push([at, Uint8Array.from(chunk)]);
          at += chunk.length;
        },
        seek(offset: number) {
          at = offset;
        },
        finish(settled: Entry) {
          const content = Buffer.alloc(settled.size);
          for (const [offset, bytes] of pieces) content.set(bytes, offset);
          node.content = contentHash(content);
        },
        [Symbol.dispose]: () => {},
      };
    },
    cloneFile: () => {
      throw new Error("a layer is not made of clones");
    },
    symlink: (entry) => add(entry.path, { kind: "symlink" }),
    link(path, existing) {
      const node = nodes.get(existing);
      if (node === undefined || node.kind === "directory") throw new Error(`${existing}: cannot be linked`);
      add(path, node);
    },
    mknod: (entry: Entry) => add(entry.path, { kind: entry.type }),
    mkdir: (path) => add(path, { kind: "directory" }),
    setDirectory: (entry) => directory(entry.path),
    whiteout: (path) => add(path, { kind: "whiteout" }),
    markOpaque: directory,
    remove(path) {
      for (const each of nodes.keys()) if (each === path || each.startsWith(`${path}/`)) nodes.delete(each);
    },
    contentOf: (path) => nodes.get(path)?.content,
    get kinds() {
      return new Map([...nodes].filter(([path]) => path !== "").map(([path, { kind }]) => [path, kind]));
    },
    [Symbol.dispose]: () => {},
  };
}
