/** One stage of unpacking, alone, beside other programs or bounds that do the same work. */
import { closeSync, openSync, readSync } from "node:fs";
import { type Cost, inProcess, Meter } from "../measure.ts";

export interface Stage {
  readonly name: string;
  /** What goes through it, for the report. */
  readonly work: string;
  readonly bytes: number;
  readonly entries: number;
  readonly ways: readonly Way[];
}

/** A way to do a stage's work; the first of a stage is rootwright's. */
export interface Way {
  readonly name: string;
  run(): Promise<Cost>;
}

/** An image's layers, base first, as every stage finds them. */
export interface StageImage {
  /** Files with the transported, compressed bytes, and with the tars that they are. */
  readonly blobs: readonly string[];
  readonly tars: readonly string[];
  readonly tarBytes: number;
  readonly entries: number;
  /** An existing directory for what a stage makes. */
  readonly work: string;
}

export function here(name: string, action: () => Promise<void> | void): Way {
  return { name, run: () => inProcess(action) };
}

/** A line of bash; `args` are its "$1", "$2", … Its output is thrown away. */
export function shell(name: string, work: string, line: string, ...args: readonly string[]): Way {
  const script = `set -euo pipefail\n{ ${line}\n} > /dev/null`;
  return {
    name,
    async run() {
      const meter = new Meter(work);
      await meter.run("bash", ["-c", script, name, ...args]);
      return meter.cost;
    },
  };
}

/** In bytes: what a worker gets of a download at once, and what decompression hands on at once. */
const PIECE = 256 * 1024;

/** A file in pieces as workers have them: each is valid until the next one is asked for. */
export function* pieces(path: string): Generator<Uint8Array> {
  const memory = Buffer.allocUnsafeSlow(PIECE);
  const fd = openSync(path, "r");
  try {
    for (;;) {
      const size = readSync(fd, memory, 0, memory.length, null);
      if (size === 0) return;
      yield memory.subarray(0, size);
    }
  } finally {
    closeSync(fd);
  }
}
