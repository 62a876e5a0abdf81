import { AppError } from "../../errors.ts";
import { defineCommand } from "../command.ts";
import { forEach, throwFailures } from "./each.ts";

/** Prints the ids that are gone now. */
export const destroy = defineCommand({
  usage: "destroy <ids..>",
  describe: "unmount root filesystems and remove them",
  examples: [["destroy web-1 web-2", "both, whatever state they are in"]],
  positionals: { ids: { type: "string", array: true, demandOption: true, describe: "as given to provision --id" } },
  options: { "if-exists": { type: "boolean", describe: "an id that is not there is no error" } },
  async run(args, cli) {
    const provisioner = await cli.provisioner();
    const outcomes = await forEach(args.ids, cli.signal, async (id) => {
      if (await provisioner.destroy(id)) return id;
      if (args["if-exists"] === true) return undefined;
      throw new AppError("rootfs-not-found", `Cannot destroy ${id}: there is no root filesystem with this id`, {
        hint: "`rootwright ps` lists them; --if-exists makes this no error",
        details: { id },
      });
    });
    const gone = outcomes.flatMap(({ value }) => (value === undefined ? [] : [value]));
    cli.out(cli.json ? `${JSON.stringify({ destroyed: gone })}\n` : gone.map((id) => `${id}\n`).join(""));
    throwFailures("destroy", outcomes);
    return 0;
  },
});
