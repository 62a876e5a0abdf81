/**
 * Tells one process from every other, now and later: a pid is reused, a pid with its start time is not, until the next
 * boot, which has another boot id. No clock takes part, so none can be wrong.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "./errors.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and start, field 22 of /proc/PID/stat. */
  readonly startTime: string;
  readonly bootId: string;
  /** The link text of /proc/self/ns/pid. */
  readonly pidNamespace: string;
}

export function currentProcess(): ProcessIdentity {
  const stat = readStat("self");
  if (stat === undefined) throw new Error("cannot read /proc/self/stat: /proc must be mounted");
  return {
    pid: process.pid,
    startTime: stat.startTime,
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim(),
    pidNamespace: readlinkSync("/proc/self/ns/pid"),
  };
}

/** Whether that process still runs, as seen from `self`. In doubt it does: what it holds is then kept. */
export function isAlive(identity: ProcessIdentity, self: ProcessIdentity): boolean {
  if (identity.bootId !== self.bootId) return false;
  // its pid says nothing here; it is believed until the next boot
  if (identity.pidNamespace !== self.pidNamespace) return true;
  const stat = readStat(String(identity.pid));
  if (stat !== undefined) return stat.startTime === identity.startTime && !stat.dead;
  return isHidden(identity.pid);
}

/** The program name in the second field may hold spaces and parentheses: fields are counted from the last `)`. */
function readStat(pid: string): { readonly startTime: string; readonly dead: boolean } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const state = fields[0] ?? "";
    return { startTime: fields[19] ?? "", dead: state === "Z" || state === "X" };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** /proc may be mounted with hidepid: another user's process has no directory there, but the kernel knows it. */
function isHidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === "EPERM";
  }
}
