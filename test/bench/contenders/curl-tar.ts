/**
 * The lower bound that shell tools give: all layers at once, each through curl, gzip and tar into a directory of its own.
 * It verifies nothing, knows no whiteouts and makes no rootfs; the directories are what a rootfs would be stacked from.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { missingPrograms, run } from "../../support/peers.ts";
import type { Contender } from "../contender.ts";

const SCRIPT = `set -euo pipefail
jobs=()
while [ $# -gt 0 ]; do
  mkdir "$2"
  curl -sSf "$1" | gzip -dc | tar -xp --numeric-owner --xattrs --xattrs-include='*' -C "$2" & jobs+=($!)
  shift 2
done
for job in "\${jobs[@]}"; do wait "$job"; done
`;

export const curlTar: Contender = {
  name: "curl|gzip|tar",
  does: "all layers in parallel, unverified, unstacked",
  missing: () => {
    const missing = missingPrograms("bash", "curl", "gzip", "tar");
    return missing.length > 0 ? `${missing.join(" and ")} not installed` : undefined;
  },
  touch: async () => {
    await run("bash", ["-c", "curl --version && gzip --version && tar --version"]);
  },
  async open(image, directory) {
    const layers = join(directory, "layers");
    await mkdir(layers);
    const blobs = `http://${image.registry}/v2/${image.repository}/blobs`;
    const pairs = image.layers.flatMap(({ digest }, at) => [`${blobs}/${digest}`, join(layers, String(at))]);
    return {
      async cold(meter) {
        await meter.run("bash", ["-c", SCRIPT, "curl-tar", ...pairs]);
        return join(layers, "0");
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};
