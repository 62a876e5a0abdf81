/** The records with which GNU tar describes a sparse file in PAX headers (GNU tar manual, "Storing Sparse Files"). */
import { AppError } from "../errors.ts";
import { displayPath } from "./entry.ts";
import { invalid } from "./layer-path.ts";
import { type PaxRecords, SPARSE_MAP } from "./pax.ts";
import { isCount, parseDecimal } from "./tar-number.ts";

export interface PaxSparse {
  /** Where the map is: in the records of 0.0 and 0.1, in front of the stored bytes in 1.0. */
  readonly mapIn: "records" | "body";
  /** In 0.1 and 1.0 the header has a made-up name, for programs that know nothing of sparse files. */
  readonly path: string;
  /** Undefined when it is what is stored. */
  readonly sizeBytes: number | undefined;
  /** Numbers with commas between them, and the number of pieces, as written. */
  readonly map: string;
  readonly count: string;
}

/** Undefined for a file that is not sparse. Throws `layer-unsupported` for a version that there was not when this was written. */
export function readPaxSparse(records: PaxRecords, headerPath: string): PaxSparse | undefined {
  const record = (key: string): string => records.get(`GNU.sparse.${key}`) ?? "";
  const version = `${record("major")}.${record("minor")}`;
  const map = records.get(SPARSE_MAP) ?? "";
  // 0.0 and 0.1 need not say which they are
  const mapIn =
    version === "1.0" ? "body" : /^0\.[01]$/.test(version) || (version === "." && map) ? "records" : undefined;
  if (mapIn === undefined) {
    if (version === ".") return undefined;
    throw new AppError(
      "layer-unsupported",
      `Cannot unpack a layer: entry "${displayPath(headerPath)}" is stored as a sparse file of version ${displayPath(version)}`,
      { hint: "rebuild the layer without sparse encoding (tar without --sparse)" },
    );
  }
  const path = record("name") || headerPath;
  const size = record("size") || record("realsize");
  const sizeBytes = size === "" ? undefined : parseDecimal(size);
  if (sizeBytes !== undefined && !isCount(sizeBytes)) throw invalid(path, "has an invalid size");
  return { mapIn, path, sizeBytes, map, count: record("numblocks") };
}
