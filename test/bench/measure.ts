/**
 * What commands cost: wall time as a user waits for it; CPU and peak memory from the kernel's accounting of the process
 * and of every child it has waited for, through GNU time.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type RunOptions, type RunResult, run } from "../support/peers.ts";

export interface Cost {
  readonly wallMs: number;
  /** User and system time. */
  readonly cpuMs: number;
  /** Resident set of the largest single process, in bytes. */
  readonly peakRssBytes: number;
}

const GNU_TIME = "/usr/bin/time";

export function meterObstacle(): string | undefined {
  return existsSync(GNU_TIME) ? undefined : "GNU time is not installed: apt-get install time";
}

/** Adds up the commands run through it. */
export class Meter {
  #cost: Cost = { wallMs: 0, cpuMs: 0, peakRssBytes: 0 };
  readonly #report: string;

  /** `directory` takes GNU time's report and must not be part of what is measured. */
  constructor(directory: string) {
    this.#report = join(directory, "time-report");
  }

  get cost(): Cost {
    return this.#cost;
  }

  async run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const start = performance.now();
    const result = await run(GNU_TIME, ["-q", "-f", "%U %S %M", "-o", this.#report, "--", command, ...args], options);
    const wallMs = performance.now() - start;
    const [user = 0, system = 0, kibibytes = 0] = (await readFile(this.#report, "utf8")).trim().split(" ").map(Number);
    this.add({ wallMs, cpuMs: (user + system) * 1000, peakRssBytes: kibibytes * 1024 });
    return result;
  }

  add(cost: Cost): void {
    this.#cost = {
      wallMs: this.#cost.wallMs + cost.wallMs,
      cpuMs: this.#cost.cpuMs + cost.cpuMs,
      peakRssBytes: Math.max(this.#cost.peakRssBytes, cost.peakRssBytes),
    };
  }
}

/** Linux counts a process's CPU in ticks of this length wherever Node runs. */
const TICK_MS = 10;

/** CPU and peak memory of a running process and of the children it has waited for; `wallMs` is 0. */
export async function processCost(pid: number): Promise<Cost> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The program's name may hold blanks and parentheses: fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const peakKibibytes = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  return { wallMs: 0, cpuMs: ticks * TICK_MS, peakRssBytes: peakKibibytes * 1024 };
}
