/**
 * The contract of a backend: how a root filesystem is assembled from an image's stack.
 *
 * A backend returns data. It says what it needs (`support`), and what should be done (`plan`): directories, mounts, a
 * copy. One place carries plans out (provisioner/assemble.ts), one place undoes them (provisioner/destroy.ts), and no
 * backend does a system call of its own.
 */
import type { Operation, Probe } from "../../native/index.ts";
import type { ErrorCode } from "../errors.ts";

export type BackendName = "overlay" | "bind" | "copy";

/** What the backends see of an image: directories of the store, base first, and what is known of their stack. */
export interface Stack {
  readonly layers: readonly { readonly fsPath: string; readonly indexPath: string }[];
  readonly fixUp: { readonly fsPath: string };
  readonly facts: {
    readonly cut: number;
    readonly notOneDirectory?: string;
    readonly oneDirectory?: "fix-up";
    readonly notStackable?: string;
  };
}

export interface PlanOptions {
  readonly readOnly: boolean;
}

export interface Plan {
  /** What a container sees as `/`. */
  readonly rootfsPath: string;
  readonly readOnly: boolean;
  /** Made in this order; `like` names a directory whose owner, mode, times and attributes it gets. */
  readonly directories: readonly { readonly path: string; readonly like?: string }[];
  /** Run in one batch, undone together when one fails. */
  readonly mounts: readonly Operation[];
  /** The stack is written out as plain files into `rootfsPath`. */
  readonly copy: boolean;
}

export type Support =
  | { readonly ok: true; readonly reason: string }
  | { readonly ok: false; readonly reason: string; readonly code: ErrorCode; readonly hint?: string };

export interface Backend {
  readonly name: BackendName;
  /** Whether this machine, store and user can have it at all. */
  support(probe: Probe): Support;
  /** Whether it can show this image, as asked; undefined when it can. */
  refuses(stack: Stack, options: PlanOptions, probe: Probe): Extract<Support, { ok: false }> | undefined;
  /** `directory` is the rootfs' own, empty directory in the store. */
  plan(stack: Stack, directory: string, options: PlanOptions): Plan;
}

/** Unmounts inside a container must not reach the host, mounts of the host must reach the container. */
export function propagation(target: string): Operation {
  return { op: "propagation", target, mode: "slave+shared" };
}
