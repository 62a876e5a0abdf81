/**
 * What work costs: wall time as a user waits for it; CPU and peak memory of commands from the kernel's accounting of the
 * process and of every child it has waited for, through GNU time. And who else used the machine meanwhile.
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
  readonly disturbance?: Disturbance;
}

/** CPU time that others used during a measurement. */
export interface Disturbance {
  readonly registryMs: number;
  /** Neighbours on the machine, the kernel's writing back, and this benchmark itself. */
  readonly othersMs: number;
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

/** CPU time that all of the machine has spent since it was started, idling and waiting left out. */
export async function machineBusyMs(): Promise<number> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n", 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_MS;
}

/** What a piece of work in this process costs, its threads included and its children not. Peak memory is not known: 0. */
export async function inProcess(action: () => Promise<void> | void): Promise<Cost> {
  const before = process.cpuUsage();
  const start = performance.now();
  await action();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1000, peakRssBytes: 0 };
}
