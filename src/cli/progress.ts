/**
 * Progress on stderr, drawn from the event stream: a block of bars that is redrawn in place on a terminal, one line for
 * each change of state otherwise, nothing with --quiet.
 */
import type { Digest } from "../../store/index.ts";
import type { Emit, RootwrightEvent } from "../events.ts";
import { formatBytes, formatDuration, printable, shortDigest } from "./output.ts";

export interface ProgressOutput {
  write(text: string): void;
  readonly columns: number | undefined;
}

export interface Progress extends Disposable {
  readonly emit: Emit;
}

export const quiet: Progress = { emit: () => {}, [Symbol.dispose]: () => {} };

/** With `explain`, every decision is told: requests, credential sources, retries, phases. */
export function lineProgress(output: ProgressOutput, explain: boolean): Progress {
  return {
    emit(event) {
      const line = describe(event, explain);
      if (line !== undefined) output.write(`${line}\n`);
    },
    [Symbol.dispose]: () => {},
  };
}

interface Bar {
  readonly index: number;
  readonly sizeBytes: number;
  doneBytes: number;
  state: string;
}

const REDRAW_MS = 80;
const MOST_BARS = 12;

export function barProgress(output: ProgressOutput, explain: boolean): Progress {
  const bars = new Map<Digest, Bar>();
  let drawn = 0;
  let nextDraw = 0;
  const erase = (): void => {
    if (drawn > 0) output.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  const draw = (): void => {
    erase();
    const active = [...bars.values()]
      .filter((bar) => bar.state === "started" || bar.state === "waiting")
      .slice(0, MOST_BARS);
    for (const bar of active) output.write(`${renderBar(bar, output.columns ?? 80)}\n`);
    drawn = active.length;
  };
  return {
    emit(event) {
      if (event.type === "bytes") {
        const bar = bars.get(event.diffId);
        if (bar !== undefined) bar.doneBytes = Math.max(bar.doneBytes, event.doneBytes);
        if (performance.now() < nextDraw) return;
        nextDraw = performance.now() + REDRAW_MS;
        return draw();
      }
      const line = describe(event, explain);
      if (event.type === "layer")
        bars.set(event.diffId, { index: event.index, sizeBytes: event.sizeBytes, doneBytes: 0, state: event.state });
      erase();
      if (line !== undefined && !(event.type === "layer" && event.state === "started")) output.write(`${line}\n`);
      draw();
    },
    [Symbol.dispose]: erase,
  };
}

function renderBar(bar: Bar, columns: number): string {
  const share = bar.sizeBytes === 0 ? 1 : Math.min(1, bar.doneBytes / bar.sizeBytes);
  const text = `layer ${bar.index + 1}  `;
  const numbers = `  ${formatBytes(bar.doneBytes)} / ${formatBytes(bar.sizeBytes)}${bar.state === "waiting" ? " (another process has it)" : ""}`;
  const width = Math.max(4, Math.min(40, columns - text.length - numbers.length - 3));
  const filled = Math.round(share * width);
  return `${text}[${"#".repeat(filled)}${"-".repeat(width - filled)}]${numbers}`.slice(0, Math.max(8, columns - 1));
}

function describe(event: RootwrightEvent, explain: boolean): string | undefined {
  const line = describeState(event) ?? (explain ? describeDecision(event) : undefined);
  return line === undefined ? undefined : printable(line);
}

function describeState(event: RootwrightEvent): string | undefined {
  switch (event.type) {
    case "resolved":
      return `resolved ${event.reference} to ${shortDigest(event.digest)} (${event.platform}, ${event.layers} layers, ${formatBytes(event.sizeBytes)})`;
    case "layer": {
      const which = `layer ${event.index + 1}/${event.count} ${shortDigest(event.diffId)}`;
      if (event.state === "cached") return `${which} is here already`;
      if (event.state === "waiting") return `${which} is being made by another process; waiting`;
      return event.state === "done" ? `${which} unpacked (${formatBytes(event.sizeBytes)})` : undefined;
    }
    case "retry":
      return `retry ${event.attempt}: ${event.reason}`;
    case "warning":
      return `warning: ${event.message}`;
    default:
      return undefined;
  }
}

function describeDecision(event: RootwrightEvent): string | undefined {
  switch (event.type) {
    case "resolve":
      return `looking up ${event.reference} in ${event.source}`;
    case "request":
      return `${event.method} ${event.url}${event.status === undefined ? "" : ` → ${event.status}`}${event.durationMs === undefined ? "" : ` in ${formatDuration(event.durationMs)}`}`;
    case "credentials":
      return `credentials for ${event.host}: ${event.source}`;
    case "backend":
      return `backend ${event.name}: ${event.reason}`;
    case "phase":
      return `${event.name} took ${formatDuration(event.durationMs)}`;
    case "layer":
      return event.state === "started" ? `layer ${event.index + 1}/${event.count} started` : undefined;
    default:
      return undefined;
  }
}
