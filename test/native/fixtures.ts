/** What the tests of native/ share: plain attributes, and a directory in which mounts may be made. */
import { accessSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Attributes,
  mountsBelow,
  NativeError,
  type Operation,
  type OperationResult,
  openTree,
  runOperations,
  type Tree,
} from "../../native/index.ts";
import { openTempDir } from "../support/temp-dir.ts";

export const IS_ROOT = process.getuid?.() === 0;

/** A mount program other than the built one, such as `make check`'s that pretend to be on older kernels. */
export const HELPER = process.env["ROOTWRIGHT_TEST_HELPER"];

export const PLAIN: Attributes = { mode: 0o644, uid: -1, gid: -1, mtimeSec: 0, mtimeNsec: 0 };
export const DIRECTORY: Attributes = { ...PLAIN, mode: 0o755 };

export const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

export interface TreeFixture extends AsyncDisposable {
  readonly tree: Tree;
  /** The root's path on the host. */
  readonly path: string;
  /** A directory beside the root, which nothing in the root may reach. */
  readonly outside: string;
}

export async function openTreeFixture(): Promise<TreeFixture> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await openTempDir("tree"));
  const [path, outside] = [join(dir.path, "root"), join(dir.path, "outside")];
  mkdirSync(path);
  mkdirSync(outside);
  const tree = stack.use(openTree(path));
  const rest = stack.move();
  return { tree, path, outside, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

export interface MountFixture extends AsyncDisposable {
  readonly path: string;
  /** Makes a directory, and says where it is. */
  dir(name: string): string;
  run(...operations: Operation[]): Promise<OperationResult[]>;
}

/** Whatever is still mounted in it at the end is unmounted. */
export async function openMountFixture(): Promise<MountFixture> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await openTempDir("mounts"));
  stack.defer(async () => {
    const left = mountsBelow(path).reverse();
    await runOperations(
      left.map(({ mountPoint }) => ({ op: "unmount", target: mountPoint, detach: true })),
      { allow: [path] },
    );
  });
  const rest = stack.move();
  return {
    path,
    dir(name) {
      mkdirSync(join(path, name), { recursive: true });
      return join(path, name);
    },
    run: (...operations) => runOperations(operations, { allow: [path], helper: HELPER }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** What `act` throws, which must be a NativeError. */
export function errorOf(act: () => unknown): NativeError {
  try {
    act();
  } catch (error) {
    if (error instanceof NativeError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

export async function rejectionOf(promise: Promise<unknown>): Promise<NativeError> {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (reason: unknown) => reason,
  );
  if (error instanceof NativeError) return error;
  throw error;
}

/** A statically linked busybox: a whole userland in one file. */
export function findBusybox(): string | undefined {
  return ["/bin/busybox", "/usr/bin/busybox"].find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  });
}
