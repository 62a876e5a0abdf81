/** What people read on stdout: aligned tables, sizes, times. Data only; progress and messages go to stderr. */
import { stripVTControlCharacters, styleText } from "node:util";

export type Row = readonly string[];

/** Columns as wide as their widest cell; the last one is not padded. Control characters never reach a terminal. */
export function formatTable(header: Row, rows: readonly Row[]): string {
  const clean = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, column) => Math.max(...clean.map((row) => (row[column] ?? "").length)));
  const lines = clean.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("   "),
  );
  return `${lines.join("\n")}\n`;
}

export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, "?");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** In powers of 1024, three significant digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** "3 minutes ago", in the largest whole unit. */
export function formatAge(thenMs: number, nowMs = Date.now()): string {
  const seconds = Math.max(0, Math.round((nowMs - thenMs) / 1000));
  const steps: readonly [string, number][] = [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
  ];
  for (const [unit, length] of steps) {
    const whole = Math.floor(seconds / length);
    if (whole >= 1) return `${whole} ${unit}${whole === 1 ? "" : "s"} ago`;
  }
  return seconds < 5 ? "just now" : `${seconds} seconds ago`;
}

export function formatDuration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** `sha256:0123456789ab`: enough to tell digests apart by eye. */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(":");
  return digest.slice(0, colon + 13);
}

export type Style = Parameters<typeof styleText>[0];

/** Colour only when it is wanted; the caller knows whether the stream is a terminal. */
export function paint(enabled: boolean, style: Style, text: string): string {
  return enabled ? styleText(style, text, { validateStream: false }) : text;
}
