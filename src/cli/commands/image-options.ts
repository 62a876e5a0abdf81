/** Options that every command with an image has. */
import type { Options } from "yargs";
import { type Platform, parsePlatform } from "../../image/platform.ts";

export const PLATFORM_OPTION = {
  platform: { type: "string", describe: "os/arch[/variant]; default this machine's", requiresArg: true },
} as const satisfies Record<string, Options>;

export const IMAGE_HELP = "[HOST/]REPOSITORY[:TAG][@DIGEST], docker://…, or docker-archive:FILE[:NAME]";

export function platformOf(text: string | undefined): { readonly platform?: Platform } {
  return text === undefined ? {} : { platform: parsePlatform(text) };
}
