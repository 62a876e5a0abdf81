/**
 * Makes a directory a store, or checks that it is one. Several processes may do this to one directory at once: every
 * step makes something so, and fails only when it cannot be.
 */
import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { errnoOf, StoreError, withFileErrors } from "./errors.ts";
import { type StorePaths, storeDirectories, storePaths } from "./paths.ts";
import { randomShortId } from "./short-id.ts";

/** SQLite takes paths of up to 512 bytes, and names of its own come after ours. */
const MAX_ROOT_BYTES = 400;

/** Format of the directory; the schema of the index has a number of its own. */
export const STORE_VERSION = 1;

/** https://bford.info/cachedir/: backup programs skip directories that hold this file. */
const CACHE_TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This directory is a cache of container images, made by rootwright. Everything in it can be fetched again.
`;

/** Returns the paths of the store at `root`, made now if it was not there and `create` allows. */
export function openLayout(root: string, create: boolean): StorePaths {
  const wanted = resolve(root);
  if (Buffer.byteLength(wanted) > MAX_ROOT_BYTES) {
    throw notAStore(
      wanted,
      `its path is longer than ${MAX_ROOT_BYTES} bytes`,
      "choose a shorter directory with --root",
    );
  }
  const context = { doing: `open the store ${wanted}`, path: wanted, root: nearestExisting(wanted) };
  return withFileErrors(context, () => {
    if (create) makeRoot(wanted);
    const paths = storePaths(realRoot(wanted));
    refuseForeignOwner(paths);
    const version = readVersion(paths);
    if (version === undefined) {
      refuseForeign(paths, create);
      chmodSync(paths.root, 0o700); // layers hold set-id programs of strangers: nobody else may reach them
    } else if (version > STORE_VERSION) throw newer(paths, version);
    accessSync(paths.root, constants.W_OK | constants.X_OK);
    for (const directory of storeDirectories(paths)) mkdirSync(directory, { recursive: true, mode: 0o755 });
    ensureFile(paths.cacheTag, CACHE_TAG);
    ensureFile(paths.version, `${STORE_VERSION}\n`);
    return paths;
  });
}

/** Parents as everybody's, the root as ours alone; mkdir's own `recursive` would give all of them one mode. */
function makeRoot(root: string): void {
  mkdirSync(dirname(root), { recursive: true, mode: 0o755 });
  try {
    mkdirSync(root, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

/** Root could write another user's store, and would leave files in it that its owner cannot. */
function refuseForeignOwner(paths: StorePaths): void {
  const me = process.geteuid?.();
  const directoryOwner = statSync(paths.root).uid;
  const indexOwner = lstatSync(paths.database, { throwIfNoEntry: false })?.uid;
  // the owner of a directory can put links in the place of what root is about to write
  const owner = me === 0 && directoryOwner !== 0 ? directoryOwner : indexOwner;
  if (owner === undefined || owner === me) return;
  throw new StoreError(
    "store-not-writable",
    `Cannot open the store ${paths.root}: it belongs to uid ${owner}, and this is uid ${me}`,
    {
      details: { path: paths.root, owner, uid: me },
      hint: `run as uid ${owner}, or choose another directory with --root`,
    },
  );
}

function realRoot(root: string): string {
  try {
    const real = realpathSync(root);
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw notAStore(root, "there is nothing", "pull an image to make a store there, or choose another --root");
  }
  throw notAStore(root, "it is not a directory");
}

function readVersion(paths: StorePaths): number | undefined {
  let text: string;
  try {
    text = readFileSync(paths.version, "latin1");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  if (!/^[1-9][0-9]{0,8}\n?$/.test(text)) throw notAStore(paths.root, "its VERSION file is not one of rootwright's");
  return Number(text);
}

/** A directory without VERSION is taken over only when all that it holds could be a store half made by another process. */
function refuseForeign(paths: StorePaths, create: boolean): void {
  const own = new Set(
    [paths.cacheTag, paths.blobs, paths.ingest, paths.layers, paths.images, paths.mounts].map((path) => basename(path)),
  );
  for (const path of [paths.staging, paths.rootfs, paths.database]) own.add(basename(path));
  const isOwn = (name: string) =>
    own.has(name) ||
    name === "lost+found" ||
    /^(index\.db-(wal|shm|journal)|\.(VERSION|CACHEDIR\.TAG)\.[a-z2-7]+|VERSION|reserve(\.[a-z2-7]+)?|\.rootwright-probe-.+)$/.test(
      name,
    );
  const names = readdirSync(paths.root);
  const stranger = names.find((name) => !isOwn(name));
  if (stranger !== undefined) throw notAStore(paths.root, `it holds other things (${JSON.stringify(stranger)})`);
  if (!create && !names.includes(basename(paths.database))) throw notAStore(paths.root, "it is empty");
}

/** The file appears whole or not at all, whoever else makes it. */
function ensureFile(path: string, text: string): void {
  try {
    statSync(path);
    return;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
  const temporary = `${dirname(path)}/.${basename(path)}.${randomShortId(8)}`;
  try {
    writeFileSync(temporary, text, { flag: "wx", mode: 0o644 });
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function nearestExisting(path: string): string {
  try {
    statSync(path);
    return path;
  } catch {
    return path === "/" ? path : nearestExisting(dirname(path));
  }
}

function notAStore(root: string, why: string, hint = "choose an empty or missing directory with --root"): StoreError {
  return new StoreError("store-not-a-store", `Cannot use ${root} as a store: ${why}`, { details: { root }, hint });
}

function newer({ root }: StorePaths, found: number): StoreError {
  return new StoreError(
    "store-newer",
    `Cannot use the store ${root}: its format is ${found}, this program knows ${STORE_VERSION}`,
    {
      details: { root, found, supported: STORE_VERSION },
      hint: "update rootwright, or choose another --root",
    },
  );
}
