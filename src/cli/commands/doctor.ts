import { diagnoseMachine } from "../../compose.ts";
import type { Diagnosis } from "../../provisioner/diagnose.ts";
import { type Cli, defineCommand } from "../command.ts";
import { formatBytes, formatTable } from "../output.ts";

/** Exit code 0 also where a backend is missing: it tells, and `copy` always works. */
export const doctor = defineCommand({
  usage: "doctor",
  describe: "tell what this machine can do, and why",
  async run(_args, cli) {
    const { root, origins, backend } = cli.config;
    const facts = [
      ["node", process.version],
      ["store", `${root} (${origins.root})`],
    ];
    let diagnosis: Diagnosis;
    try {
      diagnosis = await diagnoseMachine(cli.config);
    } catch (error) {
      // what is known is told all the same: this is when one asks
      if (!cli.json) cli.out(describe(facts));
      throw error;
    }
    if (cli.json) cli.out(`${JSON.stringify({ node: process.version, root, origins, backend, ...diagnosis })}\n`);
    else cli.out(`${describe([...facts, ...machineFacts(diagnosis)])}\n${backendTable(diagnosis, cli)}`);
    return 0;
  },
});

function describe(facts: readonly (readonly string[])[]): string {
  return facts.map(([key = "", value = ""]) => `${key.padEnd(8)}${value}\n`).join("");
}

function machineFacts({ probe, usage }: Diagnosis): string[][] {
  const contents =
    usage === undefined
      ? "nothing: there is no store yet"
      : `images: ${usage.images}, layers: ${usage.layers} (${formatBytes(usage.layerBytes)}), blobs: ${usage.blobs} (${formatBytes(usage.blobBytes)})`;
  return [
    ["holds", contents],
    ["disk", `${probe.filesystem.type}; reflink: ${probe.reflink.ok ? "yes" : "no"}`],
    ["kernel", probe.kernel],
    ["user", `uid ${probe.euid}, ${probe.capSysAdmin ? "may mount" : "may not mount"}`],
  ];
}

function backendTable({ backends, auto }: Diagnosis, cli: Cli): string {
  const rows = backends.map(({ name, support }) => {
    const remedy = support.ok || support.hint === undefined ? "" : `; ${support.hint}`;
    return [name, support.ok ? "yes" : "no", `${support.reason}${remedy}`];
  });
  const { backend, origins } = cli.config;
  const chosen =
    backend === "auto"
      ? `auto chooses ${auto}`
      : `${backend} is asked for (${origins.backend}); auto would choose ${auto}`;
  return `${formatTable(["BACKEND", "WORKS", "WHY"], rows)}\n${chosen}\n`;
}
