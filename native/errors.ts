/**
 * The error of this stratum. `code` is stable: `helper-missing`, `helper-refused`, `operation-failed`, or for a call
 * of the addon the name of its errno (`EEXIST`). `path` is a byte string where it comes from inside a tree.
 */
export interface NativeErrorFacts {
  /** Name of the errno, where there was one. */
  readonly errno?: string | undefined;
  /** The operation (`overlay`) or the system call (`openat`) that failed. */
  readonly operation?: string | undefined;
  readonly path?: string | undefined;
  readonly hint?: string | undefined;
  /** What else a program may want to know, such as the results of the operations of a request. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class NativeError extends Error {
  readonly code: string;
  readonly errno: string | undefined;
  readonly operation: string | undefined;
  readonly path: string | undefined;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, facts: NativeErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "NativeError";
    this.code = code;
    this.errno = facts.errno;
    this.operation = facts.operation;
    this.path = facts.path;
    this.hint = facts.hint;
    this.details = facts.details ?? {};
  }
}

const BUILD_HINT =
  "run `npm run build`; it needs a C compiler and make (`apt-get install build-essential`, or cc and make from your distribution)";

export function missingBuild(path: string, cause?: unknown): NativeError {
  return new NativeError("helper-missing", `Cannot load ${path}: the native parts are not built for this machine`, {
    path,
    hint: BUILD_HINT,
    cause,
  });
}

const HINTS: Readonly<Record<string, string>> = {
  ENOSYS: "Linux 5.6 or newer is needed (openat2)",
  ENOSPC: "no space or no inodes are left on this file system",
  EDQUOT: "the quota of this user on this file system is used up",
  EROFS: "the file system is mounted read-only",
  EBUSY: "something is mounted there; unmount it first",
  EPERM: "foreign owners, devices and trusted or security xattrs need root (CAP_CHOWN, CAP_MKNOD, CAP_SYS_ADMIN)",
  ENOTSUP: "this file system does not take such an attribute",
  EMFILE: "raise the limit of open files (ulimit -n)",
};

/** Of a name in a message. Linux takes paths of 4095 bytes, of which each can be shown as eight characters. */
const MAX_SHOWN = 200;

/**
 * Byte strings are shown as UTF-8 where they are that; what a terminal would obey (controls, changes of direction) is not,
 * and long ones are cut. `path` and `detail` of the error have all of it.
 */
export function readable(bytes: string): string {
  let shown = "";
  for (const sign of Buffer.from(bytes, "latin1").toString("utf8")) {
    if (shown.length >= MAX_SHOWN) return `${shown}… (${bytes.length} bytes)`;
    shown += /[\p{Cc}\p{Cf}]/u.test(sign) ? `\\u{${(sign.codePointAt(0) as number).toString(16)}}` : sign;
  }
  return shown;
}

/** What the addon calls to make an error; the order of the arguments is known to fsat-call.c. */
export function addonError(
  name: string,
  text: string,
  what: string,
  call: string,
  _errno: number,
  path: string,
  detail: string,
): NativeError {
  const subject = path === "" ? what : `${what} ${readable(path)}`;
  const about = detail === "" ? call : `${call}: ${readable(detail)}`;
  return new NativeError(name, `Cannot ${subject}: ${about}: ${text} (${name})`, {
    errno: name,
    operation: call,
    path: path === "" ? undefined : path,
    hint: HINTS[name],
    details: detail === "" ? {} : { detail },
  });
}
