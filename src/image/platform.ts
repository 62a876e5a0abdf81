/**
 * Platform: operating system, architecture and variant; its spellings, and which manifest of an index fits.
 *
 * Platforms are always held normalised, the way containerd writes them: `x86_64` is amd64, `aarch64` and `arm64/v8` are
 * arm64 without a variant, `arm` is arm/v7. What serves a platform besides itself is containerd's rule too (its
 * `platforms.Only`), so that one index gives the same image here and there.
 */
import { z } from "zod";
import { AppError } from "../errors.ts";
import { listed } from "./remote-text.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** CPU level, such as v7 or v3; absent for an architecture's baseline (but arm always has one). */
  readonly variant?: string;
}

/** architecture as others spell it → [ours, variant that the spelling implies] */
const ARCHITECTURES: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  x64: ["amd64"],
  i386: ["386"],
  i486: ["386"],
  i586: ["386"],
  i686: ["386"],
  x86: ["386"],
  ia32: ["386"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armv7l: ["arm", "v7"],
  armel: ["arm", "v6"],
  armv6l: ["arm", "v6"],
  powerpc64le: ["ppc64le"],
  loong64: ["loong64"],
  loongarch64: ["loong64"],
};

/** A platform in a descriptor. Fields that Linux images do not use (os.version, os.features) are passed over. */
export const platformSchema: z.ZodType<Platform> = z
  .object({
    os: z.string().default(""),
    architecture: z.string().default(""),
    variant: z.string().exactOptional(),
  })
  .transform((value) => normalizePlatform(value.os, value.architecture, value.variant));

export function normalizePlatform(os: string, architecture: string, variant?: string): Platform {
  const name = word(architecture);
  const [ours, implied] = (Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined) ?? [name];
  const given = variant === undefined || variant === "" ? implied : word(variant);
  const level = given !== undefined && /^[0-9]/.test(given) ? `v${given}` : given;
  const system = word(os) === "macos" ? "darwin" : word(os);
  const normal = normalVariant(ours, level);
  return { os: system, architecture: ours, ...(normal !== undefined && { variant: normal }) };
}

/** Platforms come from outside, and end up in messages and as keys: one short word each. */
function word(text: string): string {
  return text
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.+-]/g, "?");
}

function normalVariant(architecture: string, variant: string | undefined): string | undefined {
  if (architecture === "arm") return variant ?? "v7";
  if (architecture === "arm64" && (variant === "v8" || variant === "v8.0")) return undefined;
  if (architecture === "arm64" && variant === "v9.0") return "v9";
  if (architecture === "amd64" && variant === "v1") return undefined;
  return variant;
}

/** `os/arch[/variant]`, in any known spelling. Throws AppError `platform-invalid`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [os, architecture, variant] = parts;
  const wellFormed = parts.length <= 3 && parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part));
  if (!wellFormed || os === undefined || architecture === undefined) {
    throw new AppError("platform-invalid", `Cannot use platform "${text}": it is not os/arch[/variant]`, {
      hint: "for example linux/amd64 or linux/arm/v7",
    });
  }
  return normalizePlatform(os, architecture, variant);
}

export function formatPlatform(platform: Platform): string {
  const parts = [platform.os, platform.architecture, platform.variant];
  return parts.filter((part) => part !== undefined && part !== "").join("/");
}

/** What runs here. The system is always linux: root filesystems are for Linux, whatever asks for them. */
export function hostPlatform(): Platform {
  const armVersion: unknown = (process.config.variables as Record<string, unknown>)["arm_version"];
  const variant = process.arch === "arm" && typeof armVersion === "string" ? armVersion : undefined;
  // Node says ppc64 for both byte orders; Linux distributions have only the little-endian one left
  return normalizePlatform("linux", process.arch === "ppc64" ? "ppc64le" : process.arch, variant);
}

/**
 * How well `offered` serves `wanted`: 0 is exact, larger is further down the list of what serves as well, undefined is
 * not at all. A CPU level never serves one below it.
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  if (wanted.os !== offered.os) return undefined;
  const at = servingPlatforms(wanted).findIndex(
    ({ architecture, variant }) => architecture === offered.architecture && variant === offered.variant,
  );
  return at < 0 ? undefined : at;
}

/**
 * What runs on a machine of a platform, best first: itself, older levels of its architecture, and the 32-bit
 * architecture that its processors know as well (386 for amd64; arm/v8, v7, v6, v5 for arm64).
 */
export function servingPlatforms(wanted: Platform): readonly Platform[] {
  const { os, architecture } = wanted;
  const of = (name: string, variant?: string): Platform => normalizePlatform(os, name, variant);
  if (architecture === "amd64") {
    const below = countDown(majorOf(wanted.variant) - 1, 1).map((level) => of("amd64", `v${level}`));
    return [wanted, ...below, of("386")];
  }
  if (architecture === "arm") {
    return [wanted, ...countDown(majorOf(wanted.variant) - 1, 5).map((level) => armOf(os, level))];
  }
  if (architecture !== "arm64") return [wanted];
  const below = arm64Below(wanted.variant ?? "v8").map((variant) => of("arm64", variant));
  return [wanted, ...below, ...countDown(8, 5).map((level) => armOf(os, level))];
}

function armOf(os: string, level: number): Platform {
  return { os, architecture: "arm", variant: `v${level}` };
}

/** v9.1 → v9, v8.6, v8.5, … v8: v9.0 has all of v8.5, and each level of v9 all of the next one of v8. */
function arm64Below(variant: string): readonly string[] {
  const [, major, minor] = /^v([89])(?:\.([0-9]))?$/.exec(variant) ?? [];
  const step = Number(minor ?? 0);
  const inV8 = (from: number): readonly string[] => countDown(from, 0).map((level) => `v8.${level}`);
  if (major === "8") return inV8(step - 1);
  if (major !== "9") return [];
  return [...countDown(step - 1, 0).map((level) => `v9.${level}`), ...inV8(step + 5)];
}

/** v3 → 3; NaN where it is no number, from which nothing can be counted. */
function majorOf(variant: string | undefined): number {
  return Number(/^v([0-9]{1,2})$/.exec(variant ?? "")?.[1] ?? Number.NaN);
}

function countDown(from: number, to: number): readonly number[] {
  return from >= to ? Array.from({ length: from - to + 1 }, (_, at) => from - at) : [];
}

/** AppError `platform-unknown` that says what there is instead; long lists are cut. */
export function platformUnknown(what: string, wanted: Platform, offered: readonly Platform[]): AppError {
  const names = [...new Set(offered.map(formatPlatform))];
  return new AppError(
    "platform-unknown",
    `Cannot use ${what}: it has no ${formatPlatform(wanted)}, only ${listed(names) || "nothing that runs"}`,
    {
      details: { wanted: formatPlatform(wanted), offered: names.slice(0, 100) },
      ...(names[0] !== undefined && { hint: `choose one of them, for example --platform ${names[0]}` }),
    },
  );
}
