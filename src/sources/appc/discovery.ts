/**
 * Simple discovery: from name and labels to the ACI, by trying names of files (appc/spec discovery.md; the template
 * `{name}-{version}-{os}-{arch}.{ext}` as Mesos has it). What was found must still prove to be what was asked for.
 */
import { AppError } from "../../errors.ts";
import { labelOf, platformLabels } from "../../image/appc-platform.ts";
import { type AppcReference, formatAppcReference } from "../../image/appc-reference.ts";
import type { Platform } from "../../image/platform.ts";
import type { Candidate, Find, FoundAci, Search } from "./found-aci.ts";

/** What no file name can have (a slash would lead elsewhere), and what the Hadoop client would take for a pattern. */
const UNUSABLE = /[/\\*?[\]{}\p{Cc}]/u;

/**
 * The names to try, best first: with version, os and arch, then without the last two, as Mesos's first document on it had
 * them (`reduce-worker-1.0.0.aci`). Version is `latest` where none is asked for. Throws AppErrors `image-unknown` for a
 * reference that has only an ID, and `reference-invalid` for labels that no file name can have.
 */
export function candidatesFor(reference: AppcReference, platform: Platform): readonly Candidate[] {
  const { name, labels } = reference;
  if (name === undefined) {
    throw new AppError(
      "image-unknown",
      `Cannot pull ${formatAppcReference(reference)}: an image ID says what, not where`,
      {
        hint: "it must be in the store already: import or preseed it, or name the image too (appc:NAME@sha512-…)",
      },
    );
  }
  const defaults: Readonly<Record<string, string>> = { version: "latest", ...platformLabels(platform) };
  const value = (label: string): string => labelOf(labels, label) ?? defaults[label] ?? "";
  for (const label of ["version", "os", "arch"]) {
    if (value(label) !== "" && !UNUSABLE.test(value(label))) continue;
    const why = `its label ${label} cannot be part of a file name`;
    throw new AppError("reference-invalid", `Cannot look for ${formatAppcReference(reference)}: ${why}`, {
      hint: "simple discovery makes a file name of version, os and arch; they may not be empty nor have / * ? [ ] { } in them",
    });
  }
  const full = ["version", "os", "arch"].map(value);
  const parts = [full, full.slice(0, 1)];
  return parts.map((values) => ({
    path: `${[name, ...values].join("-")}.aci`,
    encoded: `${[name, ...values.map(encodeURIComponent)].join("-")}.aci`,
  }));
}

/** The first of the candidates that is there. Throws AppError `image-unknown` that lists where it was looked for. */
export async function discover(
  candidates: readonly Candidate[],
  search: Search,
  places: { readonly find: Find; readonly describe: (candidate: Candidate) => Promise<string> },
): Promise<FoundAci> {
  const tried: string[] = [];
  let denied: unknown;
  const decide = (message: string): void => search.emit({ type: "decision", topic: "discovery", message });
  for (const candidate of candidates) {
    search.signal?.throwIfAborted();
    const where = await places.describe(candidate);
    try {
      const found = await places.find(candidate, search);
      if (found !== undefined) {
        const size = found.sizeBytes === undefined ? "size unknown" : `${found.sizeBytes} bytes`;
        decide(`${search.what} is at ${found.where} (${size})`);
        return found;
      }
      decide(`${search.what} is not at ${where}`);
    } catch (error) {
      // some servers refuse what they do not have; another name may still be there, and must prove itself anyway
      if (!(error instanceof AppError && error.code === "registry-denied")) throw error;
      decide(`${where} is refused: ${error.message}`);
      denied ??= error;
    }
    tried.push(where);
  }
  if (denied !== undefined) throw denied;
  throw new AppError("image-unknown", `Cannot pull ${search.what}: there is no ACI at ${tried.join(" or ")}`, {
    hint: "check name and labels, and where ACIs are looked for (appc_simple_discovery_uri_prefix)",
    details: { tried },
  });
}
