/**
 * Progress on stderr, drawn from the event stream: a block of bars that is redrawn in place on a terminal, one line for
 * each change of state otherwise, nothing with --quiet.
 */
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

/** Every event but byte counts as a line of JSON, for `--json --explain`. */
export function jsonProgress(write: (text: string) => void): Progress {
  return {
    emit(event) {
      const counts = event.type === "bytes" || (event.type === "download" && event.state === "going");
      if (!counts) write(`${JSON.stringify({ event })}\n`);
    },
    [Symbol.dispose]: () => {},
  };
}

interface Bar {
  readonly label: string;
  readonly sizeBytes: number | undefined;
  doneBytes: number;
  state: string;
}

const REDRAW_MS = 80;
const MOST_BARS = 12;

export function barProgress(output: ProgressOutput, explain: boolean): Progress {
  /** By DiffID, or by what is downloaded. */
  const bars = new Map<string, Bar>();
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
  const advance = (key: string, doneBytes: number): void => {
    const bar = bars.get(key);
    if (bar !== undefined) bar.doneBytes = Math.max(bar.doneBytes, doneBytes);
    if (performance.now() < nextDraw) return;
    nextDraw = performance.now() + REDRAW_MS;
    draw();
  };
  return {
    emit(event) {
      if (event.type === "bytes") return advance(event.diffId, event.doneBytes);
      if (event.type === "download" && event.state === "going") return advance(event.what, event.doneBytes);
      const line = describe(event, explain);
      if (event.type === "layer") {
        const { index, sizeBytes, state } = event;
        bars.set(event.diffId, { label: `layer ${index + 1}`, sizeBytes, doneBytes: 0, state });
      } else if (event.type === "download") {
        const { what, sizeBytes, doneBytes, state } = event;
        bars.set(what, { label: printable(what), sizeBytes, doneBytes, state });
      }
      erase();
      const hasBar = (event.type === "layer" || event.type === "download") && event.state === "started";
      if (line !== undefined && !hasBar) output.write(`${line}\n`);
      draw();
    },
    [Symbol.dispose]: erase,
  };
}

function renderBar(bar: Bar, columns: number): string {
  const text = `${shorten(bar.label, Math.floor(columns / 2))}  `;
  const size = bar.sizeBytes === undefined ? "" : ` / ${formatBytes(bar.sizeBytes)}`;
  const numbers = `  ${formatBytes(bar.doneBytes)}${size}${bar.state === "waiting" ? " (another process has it)" : ""}`;
  const line =
    bar.sizeBytes === undefined
      ? `${text}${numbers}`
      : `${text}${renderShare(bar, bar.sizeBytes, columns - text.length - numbers.length - 3)}${numbers}`;
  return line.slice(0, Math.max(8, columns - 1));
}

/** URLs and paths tell most at their end. */
function shorten(label: string, length: number): string {
  return label.length <= length ? label : `…${label.slice(label.length - length + 1)}`;
}

function renderShare({ doneBytes }: Bar, sizeBytes: number, columns: number): string {
  const share = sizeBytes === 0 ? 1 : Math.min(1, doneBytes / sizeBytes);
  const width = Math.max(4, Math.min(40, columns));
  const filled = Math.round(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}]`;
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
    case "download":
      return describeDownload(event.what, event.state, event.doneBytes);
    case "retry":
      return `retry ${event.attempt} in ${formatDuration(event.delayMs)}: ${event.reason}`;
    case "warning":
      return `warning: ${event.message}`;
    default:
      return undefined;
  }
}

function describeDownload(what: string, state: string, doneBytes: number): string | undefined {
  if (state === "cached") return `${what} is here already`;
  if (state === "waiting") return `${what} is being fetched by another process; waiting`;
  if (state === "started") return `fetching ${what}`;
  return state === "done" ? `${what} fetched (${formatBytes(doneBytes)})` : undefined;
}

function describeDecision(event: RootwrightEvent): string | undefined {
  switch (event.type) {
    case "resolve":
      return `looking up ${event.reference} in ${event.source}`;
    case "request":
      return `${event.method} ${event.url}${event.status === undefined ? "" : ` → ${event.status}`}${event.durationMs === undefined ? "" : ` in ${formatDuration(event.durationMs)}`}`;
    case "decision":
      return `${event.topic}: ${event.message}`;
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
