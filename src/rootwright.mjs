#!/usr/bin/env node
/**
 * What `rootwright` on the PATH starts: main.ts, under a Node that runs TypeScript. An older Node hands over to the one
 * that npm installed beside us.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const own = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));

if (Number(process.versions.node.split(".")[0]) >= 24) {
  process.argv[1] = main;
  await import("./main.ts");
} else if (existsSync(own)) {
  const child = spawn(own, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // a terminal sends SIGINT to both of us, a supervisor SIGTERM to this process alone
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    throw error;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal ?? "SIGKILL"];
  });
} else {
  process.stderr.write(`rootwright: needs Node 24, this is ${process.version}\n`);
  process.stderr.write("hint: run `npm ci` in its directory, or install Node 24\n");
  process.exitCode = 8;
}
