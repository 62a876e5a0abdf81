/** SHA-256 over uncompressed layers, in the pieces in which they come: the DiffIDs. */
import { createHasher } from "../../../store/index.ts";
import { here, pieces, type Stage, type StageImage, shell } from "./stage.ts";

export function hashStage({ tars, tarBytes, entries, work }: StageImage): Stage {
  return {
    name: "hash",
    work: "the tars, by SHA-256",
    bytes: tarBytes,
    entries,
    ways: [
      here("createHasher", () => {
        for (const tar of tars) {
          const hasher = createHasher("sha256");
          for (const piece of pieces(tar)) hasher.update(piece);
          hasher.digest();
        }
      }),
      shell("openssl dgst", work, 'openssl dgst -sha256 "$@"', ...tars),
      shell("sha256sum", work, 'sha256sum "$@"', ...tars),
    ],
  };
}
