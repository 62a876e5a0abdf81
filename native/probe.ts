/** What `rootwright-helper probe` says about a directory; README.md tells what each answer means. */
import { NativeError } from "./errors.ts";
import { type HelperOptions, parseLines, refusal, runHelper, unexpectedEnd } from "./mount-program.ts";

export interface Finding {
  readonly ok: boolean;
  /** Why not, or how. May be empty. */
  readonly reason: string;
}

export interface Probe {
  readonly directory: string;
  /** Release of the kernel, such as `6.1.0-28-amd64`. */
  readonly kernel: string;
  readonly euid: number;
  /** CAP_SYS_ADMIN is in the effective set. */
  readonly capSysAdmin: boolean;
  /** `type` is a name as mount(8) has it, or `unknown`, with the magic number as the reason. */
  readonly filesystem: Finding & { readonly type: string };
  readonly overlay: Finding;
  readonly overlayUserns: Finding;
  readonly lowerdirPlus: Finding;
  readonly bind: Finding;
  readonly bindUserns: Finding;
  readonly dType: Finding;
  readonly reflink: Finding;
  readonly mknod: Finding;
  readonly trustedXattrs: Finding;
  readonly userXattrs: Finding;
}

/** Finds out what works for a store in `directory` by trying; nothing stays. The directory must be a real path. */
export async function probe(directory: string, options: HelperOptions = {}): Promise<Probe> {
  const output = await runHelper(["probe", "--allow", directory, directory], new Uint8Array(), options);
  options.signal?.throwIfAborted();
  if (output.code === 64) throw refusal(output);
  const [answer] = parseLines<Probe & { message?: string; errno?: string; hint?: string }>(output);
  if (answer === undefined) throw unexpectedEnd(output);
  if (output.code === 0) return answer;
  const { message = "the probe failed", errno, hint } = answer;
  throw new NativeError("operation-failed", message, { errno, operation: "probe", path: directory, hint });
}
