/** TOML documents, as objects. The one file that knows the parser. */
import { parse, TomlError } from "smol-toml";
import { AppError } from "./errors.ts";

/** Throws AppError `config-invalid` that says where in `path` it went wrong; nothing of the document is quoted. */
export function parseToml(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text);
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    const where = error instanceof TomlError ? ` (line ${error.line}, column ${error.column})` : "";
    throw new AppError("config-invalid", `Cannot read the configuration file ${path}: ${reason}${where}`, {
      hint: "it is TOML: key = value",
    });
  }
}
