/**
 * What the `docker_config` setting gives: a path, a file:// URL, or the JSON itself. People also give it what was meant to
 * become JSON: base64, as secrets are kept, or text in quotes. Such a value is no path, and must not be shown as one.
 */
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { AppError } from "../../../errors.ts";
import { CONFIG_HINT, parseDockerConfig } from "./docker-config.ts";
import { type ConfigPlace, filePlace, textPlace } from "./place.ts";

const THE_SETTING = "the docker_config setting";

/** A file must be there. Throws AppError `credentials-invalid` for a bad URL. */
export function givenPlace(given: string): ConfigPlace {
  if (given.trimStart().startsWith("{")) return textPlace(given, THE_SETTING, parseDockerConfig);
  const path = given.startsWith("file:") ? pathIn(given) : given;
  const place = filePlace(path, true);
  if (!mayBeContent(path)) return place;
  return {
    ...place,
    async read() {
      // the value must not be told as the cause of an error either
      if (!(await exists(path))) throw neitherJsonNorFile(path);
      return place.read();
    },
  };
}

function pathIn(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw unreadable("it is no valid file:// URL", "for example file:///etc/rootwright/docker-config.json");
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Characters of JSON; a long name of characters of base64, which paths may have too; the end of base64. */
function mayBeContent(path: string): boolean {
  const hasSuch = [/["{}\p{Cc}]/u, /[A-Za-z0-9+_-]{40}/, /[A-Za-z0-9+/_-]{8}={1,2}$/].some((sign) => sign.test(path));
  return hasSuch || hasEncodedJson(path);
}

/** Also behind the directory to which it was taken to be relative. */
function hasEncodedJson(path: string): boolean {
  return path.split("/").some((name) => /^\s*\{\s*["}]/.test(Buffer.from(name, "base64").toString("latin1")));
}

function neitherJsonNorFile(path: string): AppError {
  return unreadable(
    "it is neither JSON nor a file that exists",
    hasEncodedJson(path) ? "it looks like base64: give the JSON that it stands for" : CONFIG_HINT,
  );
}

function unreadable(why: string, hint: string): AppError {
  return new AppError("credentials-invalid", `Cannot read ${THE_SETTING}: ${why}`, { hint });
}
