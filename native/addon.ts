/** The addon as it is: flat functions over numbers. Only tree.ts calls them. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { addonError, missingBuild } from "./errors.ts";

export type Handle = number;

/** Flat: name, value, name, value. */
export type FlatXattrs = (string | Uint8Array)[] | undefined;

type AttributeArguments = [
  mode: number,
  uid: number,
  gid: number,
  mtimeSec: number,
  mtimeNsec: number,
  xattrs: FlatXattrs,
];

export interface Addon {
  errorMaker(make: typeof addonError): void;
  open(hostPath: string): Handle;
  close(tree: Handle): void;
  openFile(tree: Handle, path: string): Handle;
  append(file: Handle, data: Uint8Array): void;
  seek(file: Handle, offset: number): void;
  finish(file: Handle, size: number, ...attributes: AttributeArguments): void;
  closeFile(file: Handle): void;
  createFile(tree: Handle, path: string, data: Uint8Array, ...attributes: AttributeArguments): void;
  mkdir(tree: Handle, path: string, ...attributes: AttributeArguments | []): void;
  symlink(tree: Handle, path: string, target: string, ...attributes: AttributeArguments): void;
  link(tree: Handle, path: string, existing: string): void;
  mknod(
    tree: Handle,
    path: string,
    kind: number,
    major: number,
    minor: number,
    ...attributes: AttributeArguments
  ): void;
  setAttributes(tree: Handle, path: string, ...attributes: AttributeArguments): void;
  setXattr(tree: Handle, path: string, name: string, value: Uint8Array): void;
  dropAcls(tree: Handle): void;
  removeTree(tree: Handle, path: string): void;
  /** `outcome`: the number of the method, the bytes copied. */
  clone(
    tree: Handle,
    path: string,
    from: Handle,
    fromPath: string,
    ...rest: [...AttributeArguments, outcome: Float64Array]
  ): void;
  sync(tree: Handle): void;
  /** Fills 16 numbers (see stat.ts); false where there is nothing. */
  lstat(tree: Handle, path: string, numbers: Float64Array): boolean;
  readlink(tree: Handle, path: string): string;
  readFile(tree: Handle, path: string, maxBytes: number, followFinal: boolean): Buffer;
  list(tree: Handle, path: string): string[];
  xattrs(tree: Handle, path: string): (string | Buffer)[];
}

let loaded: Addon | undefined;

/** Loads the addon, once a thread. Throws `helper-missing`. */
export function loadAddon(): Addon {
  if (loaded) return loaded;
  const path = join(import.meta.dirname, "build", "fsat.node");
  try {
    loaded = createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    throw missingBuild(path, cause);
  }
  loaded.errorMaker(addonError);
  return loaded;
}
