/** What an entry of a layer says, in the words in which trees on a disk are described. */
import type { Entry, EntryType } from "../../../../src/layers/entry.ts";
import type { EntryFacts } from "../../../support/compare-trees.ts";
import { describeXattrs } from "../../../support/layer-model.ts";

type Types = Partial<Record<EntryType, EntryFacts["type"]>>;

/** Of what a merged tree shows. */
export const SHOWN_TYPES: Types = {
  file: "file",
  directory: "dir",
  symlink: "symlink",
  character: "char",
  block: "block",
  fifo: "fifo",
};

/** `content` is asked for files. Throws for a type that is not among `types`. */
export function entryFacts(entry: Entry, content: () => string, types: Types = SHOWN_TYPES): EntryFacts {
  const type = types[entry.type];
  if (type === undefined) throw new Error(`${entry.path} is a ${entry.type}`);
  return {
    type,
    mode: type === "symlink" ? 0o777 : entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: BigInt(entry.size),
    mtime: BigInt(entry.mtimeSec) * 1_000_000_000n + BigInt(entry.mtimeNsec),
    links: "",
    target: type === "symlink" ? entry.link : "",
    device: type === "char" || type === "block" ? `${entry.major}:${entry.minor}` : "",
    xattrs: describeXattrs(entry.xattrs),
    content: type === "file" ? content() : "",
  };
}
