/**
 * The door of this stratum: the syscalls that Node does not have.
 *
 * The addon (openTree) works on files inside a root; the mount program, a process of its own, mounts, probes and
 * enters root filesystems. See README.md.
 */
export { NativeError } from "./errors.ts";
export { type ExecOptions, type ExecResult, execInRoot } from "./exec.ts";
export type { HelperOptions } from "./mount-program.ts";
export { type MountEntry, mountsBelow, parseMountInfo } from "./mountinfo.ts";
export type {
  BindOperation,
  MountFlags,
  Operation,
  OperationResult,
  OverlayOperation,
  PropagationOperation,
  RemountOperation,
  TmpfsOperation,
  UnmountOperation,
} from "./operations.ts";
export { type Finding, type Probe, probe } from "./probe.ts";
export { runOperations } from "./run-operations.ts";
export type { FileType, Stat } from "./stat.ts";
export {
  type Attributes,
  type CloneMethod,
  type FileWriter,
  type NodeKind,
  openTree,
  type Tree,
  type Xattr,
} from "./tree.ts";
