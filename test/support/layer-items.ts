/**
 * A layer as a list of plain facts, from which its tar is built, which the model applies, and which people read when a
 * test fails. Names, link targets and attribute values are byte strings: one character a byte.
 */
import { buildLayer, DEFAULT_MTIME, type TarEntry } from "./tar-builder.ts";

export interface LayerItem {
  /** As the tar has it: "./a/b", "d/", "a/.wh.x". */
  readonly name: string;
  readonly type: "file" | "dir" | "symlink" | "hardlink" | "char" | "block" | "fifo";
  /** Permission and set-id bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly content: string;
  /** Target of a symlink or hard link, as the tar has it. */
  readonly link: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: Readonly<Record<string, string>>;
}

/** Base first. */
export type LayerStack = readonly (readonly LayerItem[])[];

const PLAIN: Omit<LayerItem, "name" | "type" | "mode"> = {
  uid: 0,
  gid: 0,
  mtimeSec: DEFAULT_MTIME,
  mtimeNsec: 0,
  content: "",
  link: "",
  major: 0,
  minor: 0,
  xattrs: {},
};

const MODES: Partial<Record<LayerItem["type"], number>> = { dir: 0o755, symlink: 0o777 };

export function item(name: string, type: LayerItem["type"] = "file", more: Partial<LayerItem> = {}): LayerItem {
  return { ...PLAIN, name, type, mode: MODES[type] ?? 0o644, ...more };
}

export function toTarEntry(from: LayerItem): TarEntry {
  const { type, mode, uid, gid, mtimeSec, mtimeNsec } = from;
  const xattrs = Object.entries(from.xattrs);
  return {
    name: latin1(from.name),
    type,
    mode,
    uid,
    gid,
    mtime: mtimeSec,
    devmajor: from.major,
    devminor: from.minor,
    ...(from.link !== "" && { linkname: latin1(from.link) }),
    ...(type === "file" && { content: latin1(from.content) }),
    ...(mtimeNsec !== 0 && { pax: { mtime: paxTime(mtimeSec, mtimeNsec) } }),
    ...(xattrs.length > 0 && { xattrs: Object.fromEntries(xattrs.map(([name, value]) => [name, latin1(value)])) }),
  };
}

export function toTar(layer: readonly LayerItem[]): Buffer {
  return buildLayer(layer.map(toTarEntry));
}

/** The stack as lines: what an entry has beyond the ordinary stands behind it. */
export function showStack(stack: LayerStack): string {
  const lines = stack.flatMap((layer, at) => {
    const same = stack.indexOf(layer);
    const note = same < at ? ` (the same as layer ${same})` : layer.length === 0 ? " (empty)" : "";
    return [`layer ${at}${note}`, ...layer.map((each) => `  ${showItem(each)}`)];
  });
  return lines.join("\n");
}

function showItem(each: LayerItem): string {
  const { type, mode, uid, gid, mtimeSec, mtimeNsec, content, link, major, minor, xattrs } = each;
  const usual = item(each.name, type);
  return [
    type.padEnd(8),
    JSON.stringify(each.name),
    link !== "" && `-> ${JSON.stringify(link)}`,
    content !== "" && `content ${JSON.stringify(content)}`,
    mode !== usual.mode && `mode ${mode.toString(8).padStart(4, "0")}`,
    (uid !== 0 || gid !== 0) && `owner ${uid}:${gid}`,
    (mtimeSec !== usual.mtimeSec || mtimeNsec !== 0) && `mtime ${mtimeSec}+${mtimeNsec}ns`,
    (type === "char" || type === "block") && `device ${major}:${minor}`,
    Object.keys(xattrs).length > 0 && `xattrs ${JSON.stringify(xattrs)}`,
  ]
    .filter((part) => part !== false)
    .join(" ");
}

/** PAX writes times as signed decimals, and the nanoseconds of ours count upwards, also before 1970. */
function paxTime(seconds: number, nanoseconds: number): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  const size = total < 0n ? -total : total;
  const fraction = String(size % 1_000_000_000n).padStart(9, "0");
  return `${total < 0n ? "-" : ""}${size / 1_000_000_000n}.${fraction}`;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
