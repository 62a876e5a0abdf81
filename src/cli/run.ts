/** The command line: arguments to a command, errors to exit codes. The only file that knows yargs. */
import yargs, { type Argv, type Options } from "yargs";
import { hideBin } from "yargs/helpers";
import { type OpenProvisioner, openProvisioner } from "../compose.ts";
import { type Config, colorWanted, loadConfig } from "../config.ts";
import { AppError, toAppError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import { flagOf, SETTINGS, type Setting, type SettingName } from "../settings.ts";
import { type Cli, type Command, STANDARD_INPUT } from "./command.ts";
import { COMMANDS } from "./commands/index.ts";
import { paint, printable } from "./output.ts";
import { barProgress, jsonProgress, lineProgress, type Progress, quiet } from "./progress.ts";

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** Returns the exit code. `argv` as in process.argv. */
export async function runCli(
  argv: readonly string[],
  version: string,
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  const state = { code: 0, json: argv.includes("--json") || argv.includes("--json=true") };
  try {
    const parser = buildParser(version, async (command, args) => {
      // what a command throws gets its class here: everything else that the parser throws is then about usage
      state.code = await execute(command, args, streams, signal).catch((error: unknown) => {
        throw toAppError(error);
      });
    });
    const words = hideBin([...argv]).map((word) => (word === "-" ? STANDARD_INPUT : word));
    const text = await parse(parser, words);
    if (text !== "") streams.stdout.write(`${text}\n`);
    return state.code;
  } catch (error) {
    return report(signal.aborted ? interrupted(signal) : toAppError(error), state.json, streams);
  }
}

type Execute = (command: Command, args: Record<string, unknown>) => Promise<void>;

function buildParser(version: string, execute: Execute): Argv {
  let parser = yargs()
    .scriptName("rootwright")
    .usage("$0 <command>\n\nMakes root filesystems from container images.")
    .version(version)
    .help()
    .alias("h", "help")
    .strict()
    .strictCommands()
    .demandCommand(1, "it names no command")
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail(false)
    .option("config", { type: "string", describe: "configuration file (TOML)", requiresArg: true, global: true })
    .option("json", { type: "boolean", describe: "results, and errors, as JSON", global: true })
    .option("quiet", { alias: "q", type: "boolean", describe: "no progress, only results", global: true });
  for (const setting of Object.values(SETTINGS) as Setting[]) {
    const option: Options = {
      type: "string",
      describe: setting.describe,
      requiresArg: true,
      global: true,
      group: "Settings:",
    };
    parser = parser.option(flagOf(setting), option);
    for (const name of otherNames(setting)) parser = parser.option(name, { ...option, hidden: true });
  }
  for (const command of COMMANDS) {
    parser = parser.command(
      command.usage,
      command.describe,
      (sub) => {
        let built: Argv = sub;
        for (const [name, option] of Object.entries(command.positionals))
          built = built.positional(name, option as never);
        for (const [name, option] of Object.entries(command.options)) built = built.option(name, option);
        for (const [example, what] of command.examples) built = built.example(`$0 ${example}`, what);
        return built;
      },
      (args) => execute(command, args),
    );
  }
  return parser.completion("completion", "prints a completion script for bash or zsh");
}

/** Names under which a setting is taken besides its flag: its key, and what the Mesos agent called it. */
function otherNames(setting: Setting): string[] {
  return [setting.key, ...(setting.alsoFlags ?? [])].filter((name) => name !== flagOf(setting));
}

/** yargs reports usage errors as plain errors: they become `usage`. */
async function parse(parser: Argv, args: readonly string[]): Promise<string> {
  let help = "";
  try {
    await parser.parseAsync([...args], {}, (_error, _argv, output) => {
      help = output;
    });
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError(
      "usage",
      `Cannot understand the command line: ${error instanceof Error ? error.message : String(error)}`,
      {
        hint: "`rootwright --help` lists commands, `rootwright COMMAND --help` their options",
        cause: error,
      },
    );
  }
  return help;
}

async function execute(
  command: Command,
  args: Record<string, unknown>,
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  refuseTwice(command, args);
  const config = loadConfig({
    flags: settingFlags(args),
    ...(typeof args["config"] === "string" && { configFile: args["config"] }),
  });
  const json = args["json"] === true;
  using progress = openProgress(config, streams, args);
  const log = await openLog(config.logLevel);
  let opened: Promise<OpenProvisioner> | undefined;
  const cli: Cli = {
    config,
    json,
    color: streams.stdout.isTTY && colorWanted(),
    signal,
    emit(event) {
      progress.emit(event);
      log(event);
    },
    out: (text) => void streams.stdout.write(text),
    note: (text) => (args["quiet"] === true || json ? undefined : void streams.stderr.write(`${printable(text)}\n`)),
    provisioner() {
      opened ??= openProvisioner(config, progress.emit);
      return opened;
    },
  };
  try {
    return (await command.run(args, cli)) ?? 0;
  } finally {
    await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

/** The logger is loaded when it is wanted: a command that says nothing should not wait for it. */
async function openLog(level: Config["logLevel"]): Promise<Emit> {
  if (level === "silent") return silent;
  const { createLogger, logEvents } = await import("../log.ts");
  return logEvents(createLogger(level));
}

function settingFlags(args: Record<string, unknown>): Partial<Record<SettingName, unknown>> {
  const flags: Partial<Record<SettingName, unknown>> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, Setting][]) {
    const given = [flagOf(setting), ...otherNames(setting)].filter((flag) => args[flag] !== undefined);
    const [flag] = given;
    if (flag === undefined) continue;
    // an agent's flags may name it twice, as the Mesos agent's two stores; they are one here
    if (new Set(given.map((name) => args[name])).size > 1) {
      throw new AppError("usage", `Cannot take --${given.join(" and --")}: they are the same setting, and differ`, {
        hint: "images of all formats share one store; give one of them, or the same value to all",
      });
    }
    flags[name] = args[flag];
  }
  return flags;
}

/** yargs makes a list of an option that is given twice; where one value is wanted, that is a mistake. */
function refuseTwice(command: Command, args: Record<string, unknown>): void {
  const lists = Object.entries({ ...command.positionals, ...command.options }).filter(
    ([, option]) => option.array === true,
  );
  const allowed = new Set(["_", ...lists.map(([name]) => name)]);
  for (const [name, value] of Object.entries(args)) {
    if (Array.isArray(value) && !allowed.has(name)) throw new AppError("usage", `Cannot take --${name} twice`);
  }
}

function openProgress(config: Config, { stderr }: Streams, args: Record<string, unknown>): Progress {
  const explained = args["explain"] === true;
  if (args["quiet"] === true && explained) {
    throw new AppError("usage", "Cannot take --quiet and --explain: one says nothing, the other everything");
  }
  // with --json, what is on stderr is JSON too: the error, and before it what is to be explained
  if (args["json"] === true) return explained ? jsonProgress((text) => void stderr.write(text)) : quiet;
  if (args["quiet"] === true) return quiet;
  const output = { write: (text: string) => void stderr.write(text), columns: stderr.columns };
  return stderr.isTTY && !config.environment.dumbTerminal
    ? barProgress(output, explained)
    : lineProgress(output, explained);
}

function interrupted(signal: AbortSignal): AppError {
  return signal.reason instanceof AppError
    ? signal.reason
    : new AppError("canceled", "Interrupted", { cause: signal.reason });
}

function report(error: AppError, json: boolean, { stderr }: Streams): number {
  const { code, kind, message, hint, details } = error;
  if (json)
    stderr.write(
      `${JSON.stringify({ error: { code, kind, message, ...(hint !== undefined && { hint }), details } })}\n`,
    );
  else {
    const color = stderr.isTTY && colorWanted();
    stderr.write(`${paint(color, "red", "rootwright:")} ${message.split("\n").map(printable).join("\n")}\n`);
    if (hint !== undefined) stderr.write(`${paint(color, "cyan", "hint:")} ${printable(hint)}\n`);
    if (code === "internal" && error.cause instanceof Error) stderr.write(`${error.cause.stack ?? ""}\n`);
  }
  return error.exitCode;
}
