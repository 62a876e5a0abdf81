/** What a command is, and what it is given. The table is commands/index.ts. */
import type { InferredOptionTypes, Options } from "yargs";
import type { OpenProvisioner } from "../compose.ts";
import type { Config } from "../config.ts";
import type { Emit } from "../events.ts";

/** What `-` becomes on the command line: yargs reads a lone dash among positional arguments as an empty word. */
export const STANDARD_INPUT = "/dev/stdin";

export interface Cli {
  readonly config: Config;
  readonly json: boolean;
  readonly color: boolean;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** To stdout: results. */
  readonly out: (text: string) => void;
  /** To stderr, unless --quiet: what a person should know besides. */
  readonly note: (text: string) => void;
  /** Opened once, closed after the command. */
  readonly provisioner: () => Promise<OpenProvisioner>;
}

export interface Command {
  readonly usage: string;
  readonly describe: string;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly positionals: Readonly<Record<string, Options>>;
  readonly options: Readonly<Record<string, Options>>;
  /** Returns an exit code, or nothing for 0; failures are thrown as AppError. */
  readonly run: (args: Record<string, unknown>, cli: Cli) => Promise<number | undefined>;
}

export interface CommandDefinition<P extends Record<string, Options>, O extends Record<string, Options>> {
  /** As yargs reads it: `pull <images..>`. */
  readonly usage: string;
  readonly describe: string;
  readonly examples?: Command["examples"];
  readonly positionals?: P;
  readonly options?: O;
  readonly run: (args: InferredOptionTypes<P> & InferredOptionTypes<O>, cli: Cli) => Promise<number | undefined>;
}

/** Gives `run` the types of its own options; the table sees all commands alike. */
export function defineCommand<const P extends Record<string, Options>, const O extends Record<string, Options>>(
  definition: CommandDefinition<P, O>,
): Command {
  return {
    examples: [],
    positionals: {},
    options: {},
    ...definition,
    run: definition.run as unknown as Command["run"],
  };
}
