/** The files of a plain tar, where each of them lies, with links followed inside of it. */
import { posix } from "node:path";
import type { FileRange } from "../source.ts";
import { archiveInvalid, type ImageFiles, missingFile, nameInside, shownName } from "./image-files.ts";
import { openRegular } from "./open-regular.ts";
import { type ArchiveEntry, readInside, type TarFile, walkTarHeaders } from "./tar-headers.ts";

const MAX_LINKS = 16;

/**
 * What a reader looks for first, to learn what the others are: an archive that has one of them twice could be read as two
 * things. Of other names that occur twice the last counts, as tar would unpack them.
 */
const SINGLE = new Set(["manifest.json", "index.json", "oci-layout", "repositories"]);

/** `names.path` is what people call it; the bytes may lie elsewhere. Throws AppError `archive-invalid`. */
export async function openTarFiles(
  range: FileRange,
  names: Pick<ImageFiles, "what" | "path">,
  signal?: AbortSignal,
): Promise<ImageFiles> {
  const { what } = names;
  await using undo = new AsyncDisposableStack();
  const file = undo.use(await openRegular(range.path));
  const tar: TarFile = { file, range, what };
  const entries = await readEntries(tar, signal);
  const find = (name: string): FileRange => {
    const { offset, sizeBytes } = follow(entries, what, name);
    return { path: range.path, offset, sizeBytes };
  };
  const kept = undo.move();
  return {
    ...names,
    whole: range,
    topLevel: [...new Set([...entries.keys()].map((name) => name.split("/", 1)[0] ?? ""))],
    has: async (name) => entries.has(nameInside(name) ?? ""),
    range: async (name) => find(name),
    async read(name, maxBytes) {
      const { offset, sizeBytes } = find(name);
      if (sizeBytes > maxBytes) throw archiveInvalid(what, `${shownName(name)} is larger than ${maxBytes} bytes`);
      return readInside(tar, offset, sizeBytes);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function readEntries(tar: TarFile, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, ArchiveEntry>> {
  const entries = new Map<string, ArchiveEntry>();
  for await (const entry of walkTarHeaders(tar, signal)) {
    const name = nameInside(entry.name);
    if (name === undefined) throw archiveInvalid(tar.what, `its entry ${shownName(entry.name)} leads out of it`);
    if (name === ".") continue;
    if (SINGLE.has(name) && entries.has(name)) throw archiveInvalid(tar.what, `it has ${shownName(name)} twice`);
    entries.set(name, entry);
  }
  return entries;
}

/** Follows links to the file they mean. Directories that are links themselves occur in no known archive. */
function follow(entries: ReadonlyMap<string, ArchiveEntry>, what: string, start: string): ArchiveEntry {
  let name = nameInside(start);
  for (let count = 0; count <= MAX_LINKS; count += 1) {
    if (name === undefined) throw archiveInvalid(what, `${shownName(start)} leads out of it`);
    const entry = entries.get(name);
    if (entry === undefined) throw missingFile(what, name);
    if (entry.type === "file") return entry;
    if (entry.type === "link") name = nameInside(entry.linkname);
    else if (entry.type === "symlink" && !entry.linkname.startsWith("/")) {
      name = nameInside(`${posix.dirname(name)}/${entry.linkname}`);
    } else throw archiveInvalid(what, `${shownName(name)} in it is no file`);
  }
  throw archiveInvalid(what, `${shownName(start)} in it is a link to itself`);
}
