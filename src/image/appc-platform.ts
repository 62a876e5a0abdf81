/**
 * Operating system and architecture as Appc labels write them, and as everybody else does (appc/spec aci.md, "labels"; the
 * combinations are those of the specification's own validator, and two of the processors that came after it).
 */
import { normalizePlatform, type Platform, platformDistance, platformUnknown } from "./platform.ts";

/** os → what its arch label may say. */
const COMBINATIONS: Readonly<Record<string, readonly string[]>> = {
  linux: "amd64 i386 aarch64 aarch64_be armv6l armv7l armv7b ppc64 ppc64le s390x riscv64 loong64".split(" "),
  freebsd: ["amd64", "i386", "arm"],
  darwin: ["x86_64", "i386"],
};

/** OCI architecture → Appc's name, where they differ. */
const APPC_NAMES: Readonly<Record<string, string>> = { "386": "i386", arm64: "aarch64", arm64be: "aarch64_be" };
/** Big-endian names that no other format has. */
const OCI_NAMES: Readonly<Record<string, readonly [string, string?]>> = {
  aarch64_be: ["arm64be"],
  armv7b: ["armbe", "v7"],
};

export type Labels = Readonly<Record<string, string>>;

/** The value of a label; undefined when it is absent. Label names come from outside, and may be those of inherited members. */
export function labelOf(labels: Labels, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

/** Why `labels` are no platform that there is; undefined when they are one, or do not say. */
export function platformProblem(labels: Labels): string | undefined {
  const [os, arch] = [labelOf(labels, "os"), labelOf(labels, "arch")];
  // without an os, the specification gives arch no meaning
  if (os === undefined) return undefined;
  const known = Object.hasOwn(COMBINATIONS, os) ? COMBINATIONS[os] : undefined;
  if (known === undefined) return `os is none of ${Object.keys(COMBINATIONS).join(", ")}`;
  if (arch === undefined || known.includes(arch)) return undefined;
  return `arch is none of those that ${os} has (${known.join(", ")})`;
}

/** What the labels os and arch say for a platform: linux/arm/v7 is linux and armv7l. */
export function platformLabels({ os, architecture, variant }: Platform): {
  readonly os: string;
  readonly arch: string;
} {
  if (os === "darwin" && architecture === "amd64") return { os, arch: "x86_64" };
  if (os === "linux" && architecture === "arm") return { os, arch: `arm${variant ?? "v7"}l` };
  if (architecture === "armbe") return { os, arch: `arm${variant ?? "v7"}b` };
  const name = Object.hasOwn(APPC_NAMES, architecture) ? APPC_NAMES[architecture] : undefined;
  return { os, arch: name ?? architecture };
}

/** The platform that is wanted where labels say os, arch or both, and `otherwise` for what they leave open. */
export function wantedPlatform(labels: Labels, otherwise: Platform): Platform {
  const [os, arch] = [labelOf(labels, "os"), labelOf(labels, "arch")];
  if (os === undefined && arch === undefined) return otherwise;
  const fallback = platformLabels(otherwise);
  return platformOf(os ?? fallback.os, arch ?? fallback.arch);
}

/**
 * The platform of an image with these labels, which must serve the wanted one; what they do not say is taken as wanted,
 * since such an image is made for any (aci.md). Throws AppError `platform-unknown`.
 */
export function requireLabels(labels: Labels, wanted: Platform, what: string): Platform {
  const [os, arch] = [labelOf(labels, "os"), labelOf(labels, "arch")];
  if (os === undefined) return wanted;
  const offered = arch === undefined ? { ...wanted, os } : platformOf(os, arch);
  if (platformDistance(wanted, offered) !== undefined) return offered;
  throw platformUnknown(what, wanted, [offered]);
}

function platformOf(os: string, arch: string): Platform {
  const [architecture, variant] = (Object.hasOwn(OCI_NAMES, arch) ? OCI_NAMES[arch] : undefined) ?? [arch];
  return normalizePlatform(os, architecture, variant);
}
