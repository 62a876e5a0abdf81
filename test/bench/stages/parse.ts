/** Reading a tar for a consumer that wants nothing; from a pipe for tar, which would skip content in a file. */
import { TarReader } from "../../../src/layers/tar-entries.ts";
import { here, pieces, type Stage, type StageImage, shell } from "./stage.ts";

/** A line of bash. */
export const LIST = 'for tar in "$@"; do cat "$tar" | tar -tf -; done';

export function parseStage({ tars, tarBytes, entries, work }: StageImage): Stage {
  return {
    name: "parse",
    work: "the tars, for a consumer that wants nothing",
    bytes: tarBytes,
    entries,
    ways: [
      here("TarReader", () => {
        for (const tar of tars) {
          const reader = new TarReader({ begin() {}, data() {}, end() {} });
          for (const piece of pieces(tar)) reader.write(piece);
          reader.end();
        }
      }),
      shell("cat | tar -t", work, LIST, ...tars),
    ],
  };
}
