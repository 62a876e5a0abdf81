/**
 * The search for a registry's credentials, through places in their order. Within one file it is as Docker decides:
 * `credHelpers` before `credsStore` before `auths`, in which the closest key wins.
 */
import { hash } from "node:crypto";
import type { Emit } from "../../../events.ts";
import { askCredentialHelper, helperProgram } from "./credential-helper.ts";
import { type Credential, findInAuths, helperFor } from "./docker-config.ts";
import type { Place } from "./place.ts";
import type { RegistryName } from "./registry-key.ts";

export interface CredentialTarget extends RegistryName {
  /** Told where was looked, and what was found there. */
  readonly emit?: Emit;
}

export interface Credentials {
  /** Undefined means anonymous. Files are looked at and helpers asked anew. Throws AppError `credentials-invalid`. */
  find(target: CredentialTarget, signal?: AbortSignal): Promise<Credential | undefined>;
  /**
   * Names whose credentials `find` would give, so that what one user was given is not used for another. Equal when user and
   * secret are; a helper's are always the helper's, which is not asked. A digest: neither shown nor stored anywhere.
   * Throws AppError `credentials-invalid`.
   */
  identify(target: CredentialTarget): Promise<string>;
}

/** `places` is asked anew each time. */
export function credentialsIn(places: () => Promise<readonly Place[]>): Credentials {
  return {
    async find(target, signal) {
      const search = { target, signal, trail: [] as string[] };
      const all = await places();
      let failure: unknown;
      try {
        for (const place of all) {
          // of several helpers one may be broken; that matters when no other has the answer
          const found = await lookInto(place, search).catch((error: unknown) => {
            if (place.kind !== "helper" || signal?.aborted) throw error;
            failure ??= error;
          });
          if (found !== undefined) return found;
        }
        if (all.length === 0) search.trail.push("there is no place to look in");
      } finally {
        tell(search);
      }
      if (failure !== undefined) throw failure;
      return undefined;
    },
    async identify(target) {
      const parts: unknown[] = [];
      for (const place of await places()) {
        const { helper, credential } = await identifyIn(place, target);
        if (helper !== undefined) parts.push(["helper", helper, target.host]);
        if (credential !== undefined) {
          const { source: _, ...secret } = credential;
          parts.push(secret);
          break;
        }
      }
      return hash("sha256", JSON.stringify(parts));
    },
  };
}

interface Search {
  readonly target: CredentialTarget;
  readonly signal: AbortSignal | undefined;
  /** What was looked at in vain, in words. */
  readonly trail: string[];
}

async function lookInto(place: Place, search: Search): Promise<Credential | undefined> {
  if (place.kind === "helper") return askHelper(place.suffix, search);
  const config = await place.read();
  if ("absent" in config) {
    search.trail.push(`${place.name} ${config.absent}`);
    return undefined;
  }
  const helper = helperFor(config, search.target.host);
  const kept = helper === undefined ? undefined : await askHelper(helper, search);
  if (kept !== undefined) return kept;
  const found = findInAuths(config, search.target);
  if (found === undefined) search.trail.push(`${place.name} has none`);
  return found;
}

async function askHelper(suffix: string, { target, signal, trail }: Search): Promise<Credential | undefined> {
  const program = helperProgram(suffix);
  try {
    const found = await askCredentialHelper(suffix, target.host, signal);
    if (found === undefined) trail.push(`${program} has none`);
    return found;
  } catch (error) {
    trail.push(`${program} failed`);
    throw error;
  }
}

/** What is used in the end is told by who uses it, in the event `credentials`; this is why it is nothing else. */
function tell({ target, trail }: Search): void {
  if (trail.length === 0) return;
  const what = target.repository === undefined ? target.host : `${target.host}/${target.repository}`;
  const message = `looked in vain for ${what}: ${trail.join("; ")}`;
  target.emit?.({ type: "decision", topic: "credentials", message });
}

async function identifyIn(
  place: Place,
  target: CredentialTarget,
): Promise<{ readonly helper?: string | undefined; readonly credential?: Credential | undefined }> {
  if (place.kind === "helper") return { helper: place.suffix };
  const config = await place.read();
  if ("absent" in config) return {};
  return { helper: helperFor(config, target.host), credential: findInAuths(config, target) };
}
