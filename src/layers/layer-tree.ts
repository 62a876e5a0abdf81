/**
 * A directory that becomes one layer in overlay form, or a copied root filesystem: entries in, file calls out.
 *
 * What an ordinary user may not do is settled here and nowhere else: owners are recorded in the entry index and not
 * applied, device nodes become empty files, attributes outside `user.` are left out, and everything stays readable to
 * its owner, since the store must be able to copy and to delete it. The entry index keeps the truth.
 */
import { type Attributes, NativeError, openTree, type Tree } from "../../native/index.ts";
import type { Entry } from "./entry.ts";

/** A file in pieces. What is skipped is a hole. Disposing one that was not finished closes it. */
export interface LayerFileWriter extends Disposable {
  append(chunk: Uint8Array): void;
  /** The next piece goes to `offset` bytes from the start. */
  seek(offset: number): void;
  finish(entry: Entry): void;
}

export interface LayerTree extends Disposable {
  /** Whiteouts and opaque marks that were refused; such a layer cannot be stacked by overlayfs. */
  readonly markersRefused: number;
  createFile(entry: Entry, data: Uint8Array): void;
  openFile(entry: Entry): LayerFileWriter;
  cloneFile(entry: Entry, from: Tree, fromPath: string): void;
  symlink(entry: Entry): void;
  link(path: string, existing: string): void;
  mknod(entry: Entry): void;
  /** Made with no rights for others; `setDirectory` gives it what the entry says. */
  mkdir(path: string): void;
  setDirectory(entry: Entry): void;
  whiteout(path: string): void;
  markOpaque(path: string): void;
  remove(path: string): void;
}

const ONE = Buffer.from("y");
/** What the addon calls the root; entries call it the empty string. */
const ROOT = ".";
const UNOWNED = { uid: -1, gid: -1, mtimeSec: 0, mtimeNsec: 0 };

export function openLayerTree(path: string, privileged: boolean): LayerTree {
  const tree = openTree(path);
  // what the store's directory hands down to all that is made in it is none of the image's
  tree.dropAcls();
  let markersRefused = 0;
  /** Kernels before 5.8 keep whiteouts from ordinary users; trusted attributes need CAP_SYS_ADMIN. */
  const mark = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof NativeError && (error.code === "EPERM" || error.code === "ENOTSUP"))) throw error;
      markersRefused += 1;
    }
  };
  const attributes = privileged ? exactAttributes : ownAttributes;
  return {
    get markersRefused() {
      return markersRefused;
    },
    createFile: (entry, data) => tree.createFile(entry.path, data, attributes(entry)),
    openFile(entry) {
      const writer = tree.openFile(entry.path);
      return {
        append: (chunk) => writer.append(chunk),
        seek: (offset) => writer.seek(offset),
        finish: (settled) => writer.finish(settled.size, attributes(settled)),
        [Symbol.dispose]: () => writer[Symbol.dispose](),
      };
    },
    cloneFile: (entry, from, fromPath) => void tree.clone(entry.path, from, fromPath, attributes(entry)),
    symlink: (entry) => tree.symlink(entry.path, entry.link, attributes(entry)),
    link: (name, existing) => tree.link(name, existing),
    mknod(entry) {
      const kind = entry.type as "character" | "block" | "fifo";
      if (privileged || kind === "fifo") tree.mknod(entry.path, kind, entry.major, entry.minor, attributes(entry));
      else tree.createFile(entry.path, Buffer.alloc(0), attributes(entry));
    },
    mkdir: (name) => tree.mkdir(name),
    setDirectory: (entry) => tree.setAttributes(entry.path || ROOT, attributes(entry)),
    // the index has these too, and the copy backend needs no more
    whiteout: (name) => mark(() => tree.mknod(name, "character", 0, 0, { ...UNOWNED, mode: 0 })),
    markOpaque: (name) =>
      mark(() => tree.setXattr(name || ROOT, `${privileged ? "trusted" : "user"}.overlay.opaque`, ONE)),
    remove: (name) => tree.removeTree(name),
    [Symbol.dispose]: () => tree[Symbol.dispose](),
  };
}

function exactAttributes(entry: Entry): Attributes {
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = entry;
  return xattrs.length === 0
    ? { mode, uid, gid, mtimeSec, mtimeNsec }
    : { mode, uid, gid, mtimeSec, mtimeNsec, xattrs };
}

function ownAttributes(entry: Entry): Attributes {
  const { mtimeSec, mtimeNsec } = entry;
  const xattrs = entry.xattrs.filter(([name]) => name.startsWith("user."));
  const mode = entry.mode | (entry.type === "directory" ? 0o700 : 0o600);
  return { mode, uid: -1, gid: -1, mtimeSec, mtimeNsec, ...(xattrs.length > 0 && { xattrs }) };
}

/** One file, link or device of a merged tree; a file's content comes from `sourcePath` of the layer that has it. */
export function writeInode(target: LayerTree, entry: Entry, source: Tree, sourcePath: string): void {
  if (entry.type === "file") target.cloneFile(entry, source, sourcePath);
  else if (entry.type === "symlink") target.symlink(entry);
  else target.mknod(entry);
}
