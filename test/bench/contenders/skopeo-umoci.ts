/** skopeo copies the image into an OCI layout, umoci unpacks it: no cache of layers, nothing to be warm about. */
import { join } from "node:path";
import { missingPrograms, run } from "../../support/peers.ts";
import { type Contender, imageName } from "../contender.ts";

export const skopeoUmoci: Contender = {
  name: "skopeo+umoci",
  does: "skopeo copy to a layout, then umoci unpack",
  missing: () => {
    const missing = missingPrograms("skopeo", "umoci");
    return missing.length > 0 ? `${missing.join(" and ")} not installed` : undefined;
  },
  touch: async () => {
    await run("skopeo", ["--version"]);
    await run("umoci", ["--version"]);
  },
  open: (image, directory) =>
    Promise.resolve({
      async cold(meter) {
        const layout = join(directory, "layout");
        const env = { TMPDIR: directory };
        const copy = ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"];
        await meter.run("skopeo", [...copy, `docker://${imageName(image)}`, `oci:${layout}:bench`], { env });
        await meter.run("umoci", ["unpack", "--image", `${layout}:bench`, join(directory, "bundle")], { env });
        return join(directory, "bundle/rootfs");
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
};
