/**
 * Platform: operating system, architecture and variant; its spellings, and which manifest of an index fits.
 *
 * Platforms are always held normalised, the way containerd writes them: `x86_64` is amd64, `aarch64` and `arm64/v8` are
 * arm64 without a variant, `arm` is arm/v7.
 */
import { z } from "zod";
import { AppError } from "../errors.ts";

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

/** A platform in a descriptor. Fields that Linux images do not use (os.version, os.features) are dropped. */
export const platformSchema: z.ZodType<Platform> = z
  .object({
    os: z.string().default(""),
    architecture: z.string().default(""),
    variant: z.string().exactOptional(),
  })
  .transform((value) => normalizePlatform(value.os, value.architecture, value.variant));

export function normalizePlatform(os: string, architecture: string, variant?: string): Platform {
  const name = architecture.toLowerCase();
  const [ours, implied] = (Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined) ?? [name];
  const given = variant === undefined || variant === "" ? implied : variant.toLowerCase();
  const level = given !== undefined && /^[0-9]/.test(given) ? `v${given}` : given;
  const system = os.toLowerCase() === "macos" ? "darwin" : os.toLowerCase();
  const normal = normalVariant(ours, level);
  return { os: system, architecture: ours, ...(normal !== undefined && { variant: normal }) };
}

function normalVariant(architecture: string, variant: string | undefined): string | undefined {
  if (architecture === "arm") return variant ?? "v7";
  if (architecture === "arm64" && (variant === "v8" || variant === "v8.0")) return undefined;
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
 * How well `offered` serves `wanted`: 0 is exact, larger is an older CPU level of the same architecture, undefined is
 * not at all. A level never serves one below it, and never another architecture.
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return undefined;
  if (wanted.variant === offered.variant) return 0;
  const distance = level(wanted) - level(offered);
  return Number.isFinite(distance) && distance > 0 ? distance : undefined;
}

/** v8 → 8, v9.2 → 9.2; the baseline of an architecture where the variant is absent; NaN where it is no number. */
function level(platform: Platform): number {
  const baseline = { amd64: "v1", arm64: "v8" }[platform.architecture];
  return Number(/^v([0-9]+(?:\.[0-9]+)?)$/.exec(platform.variant ?? baseline ?? "")?.[1] ?? Number.NaN);
}

/** Throws AppError `platform-unknown` that says what there is instead. */
export function platformUnknown(what: string, wanted: Platform, offered: readonly Platform[]): AppError {
  const names = [...new Set(offered.map(formatPlatform))];
  return new AppError(
    "platform-unknown",
    `Cannot use ${what}: it has no ${formatPlatform(wanted)}, only ${names.length === 0 ? "nothing that runs" : names.join(", ")}`,
    {
      details: { wanted: formatPlatform(wanted), offered: names },
      ...(names[0] !== undefined && { hint: `choose one of them, for example --platform ${names[0]}` }),
    },
  );
}
