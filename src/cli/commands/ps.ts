/** `ps`: one line a root filesystem, whatever state it is in. */
import { defineCommand } from "../command.ts";
import { formatAge, formatTable } from "../output.ts";

export const ps = defineCommand({
  usage: "ps",
  describe: "list provisioned root filesystems",
  async run(_args, cli) {
    const rows = (await cli.provisioner()).rootfs();
    if (cli.json) {
      const json = rows.map(({ id, image, imageDigest, backend, state, readOnly, rootfsPath, createdAt }) => {
        return {
          id,
          image,
          digest: imageDigest,
          backend,
          state,
          readOnly,
          rootfs: rootfsPath,
          createdAt: new Date(createdAt).toISOString(),
        };
      });
      cli.out(`${JSON.stringify(json)}\n`);
      return 0;
    }
    const table = rows.map((row) => [
      row.id,
      row.image ?? "",
      row.backend,
      row.readOnly ? "read-only" : "writable",
      row.state,
      formatAge(row.createdAt),
      row.rootfsPath ?? "",
    ]);
    cli.out(formatTable(["ID", "IMAGE", "BACKEND", "ACCESS", "STATE", "CREATED", "ROOTFS"], table));
    return 0;
  },
});
