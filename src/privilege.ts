/**
 * Whether this process can give files their owners, modes and device numbers: as root of the machine, or of a container
 * that has the usual capabilities. Root of a user namespace cannot: foreign ids and devices are refused there.
 */
import { readFileSync } from "node:fs";

/** Bits of capabilities(7): CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD. */
const NEEDED = (1n << 0n) | (1n << 1n) | (1n << 3n) | (1n << 4n) | (1n << 27n);
const ALL_IDS = /^\s*0\s+0\s+4294967295\s*$/;

export function mayOwnEverything(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    return (BigInt(`0x${effective}`) & NEEDED) === NEEDED && ALL_IDS.test(readFileSync("/proc/self/uid_map", "utf8"));
  } catch {
    // without /proc there is nothing to go by but the user id
    return true;
  }
}
