#!/usr/bin/env node
/** The program `rootwright`: signals in, exit code out; everything else is cli/run.ts. */
import { readFileSync } from "node:fs";
import { useCompileCache } from "./compile-cache.ts";

// before everything else is loaded
useCompileCache();
const { runCli } = await import("./cli/run.ts");
const { AppError } = await import("./errors.ts");

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // once: a second signal ends the process the usual way
  process.once(signal, () =>
    interrupt.abort(new AppError("canceled", `Interrupted by ${signal}`, { details: { signal } })),
  );
}
// a reader that goes away (`| head`) is no error of ours
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`rootwright: Cannot write to standard output: ${error.message}\n`);
  process.exit(1);
});
// without a reader for messages the work goes on
process.stderr.on("error", () => {});

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
process.exitCode = await runCli(process.argv, version, process, interrupt.signal);
