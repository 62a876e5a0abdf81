/**
 * A credentials file that is read again when it has changed: an agent that runs for months must notice a new login, and the
 * twelve-hour passwords of cloud registries that something else writes there.
 */
import { constants, type FileHandle, open } from "node:fs/promises";
import { AppError } from "../../../errors.ts";
import { type DockerConfig, MAX_CONFIG_BYTES, parseDockerConfig } from "./docker-config.ts";

export interface ConfigFile {
  readonly path: string;
  /** Throws AppError `credentials-invalid`. */
  read(): Promise<DockerConfig | AbsentConfig>;
}

/** There is nothing to read, and nobody minds. */
export interface AbsentConfig {
  /** "does not exist" */
  readonly absent: string;
}

/** Errors that a file in one of the usual places may have: then it counts as not being there. */
const ABSENT: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  // a home or runtime directory that was left to us by sudo or su
  EACCES: "may not be read by this user",
};

/** A `required` file, one that was named, must be there. */
export function createConfigFile(path: string, required: boolean): ConfigFile {
  let known: { readonly version: string; readonly config: DockerConfig | AbsentConfig } | undefined;
  return {
    path,
    async read() {
      let file: FileHandle;
      try {
        // a named pipe would keep us waiting for a writer
        file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
        const absent = ABSENT[code];
        if (!required && absent !== undefined) return { absent };
        throw unreadable(path, absent === undefined ? code : `it ${absent}`, error);
      }
      try {
        const { dev, ino, size, mtimeNs, ctimeNs, ...stat } = await file.stat({ bigint: true });
        if ((stat.mode & BigInt(constants.S_IFMT)) !== BigInt(constants.S_IFREG)) {
          throw unreadable(path, "it is no regular file");
        }
        const version = [dev, ino, size, mtimeNs, ctimeNs].join(" ");
        if (known?.version !== version) known = { version, config: parse(await readBytes(file), path, required) };
        return known.config;
      } finally {
        await file.close();
      }
    },
  };
}

/** One byte more than is accepted, so that the parser sees that there are too many. */
async function readBytes(file: FileHandle): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of file.createReadStream({ start: 0, end: MAX_CONFIG_BYTES, autoClose: false })) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** Docker takes an empty file, as `touch` and an interrupted login leave it, for one without credentials. */
function parse(bytes: Buffer, path: string, required: boolean): DockerConfig | AbsentConfig {
  return bytes.byteLength === 0 && !required ? { absent: "is empty" } : parseDockerConfig(bytes, path);
}

function unreadable(path: string, why: string, cause?: unknown): AppError {
  return new AppError("credentials-invalid", `Cannot read the credentials in ${path}: ${why}`, {
    hint: "it should be a Docker config.json or a containers auth.json that this user may read",
    cause,
  });
}
