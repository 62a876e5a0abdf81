/** Credential helpers for tests: shell scripts that are found on PATH for as long as they are wanted. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openTempDir } from "../../../support/temp-dir.ts";

export interface HelperDirectory extends AsyncDisposable {
  readonly path: string;
  /** `docker-credential-<suffix>`, which may write to `$0.log`; what it is asked comes on stdin. */
  install(suffix: string, script: string): Promise<void>;
  /** How often it was run that says so with `echo >> $0.log`. */
  runs(suffix: string): Promise<number>;
}

export async function openHelperDirectory(): Promise<HelperDirectory> {
  const directory = await openTempDir("helpers");
  const before = process.env["PATH"];
  process.env["PATH"] = `${directory.path}:${before}`;
  const program = (suffix: string): string => join(directory.path, `docker-credential-${suffix}`);
  return {
    path: directory.path,
    async install(suffix, script) {
      await writeFile(program(suffix), `#!/bin/sh\n${script}\n`);
      await chmod(program(suffix), 0o755);
    },
    async runs(suffix) {
      const log = await readFile(`${program(suffix)}.log`, "utf8").catch(() => "");
      return log.split("\n").length - 1;
    },
    async [Symbol.asyncDispose]() {
      process.env["PATH"] = before;
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Says who it is, and counts its runs. */
export function answers(username: string, secret: string): string {
  return `echo run >> "$0.log"; echo '${JSON.stringify({ Username: username, Secret: secret })}'`;
}
