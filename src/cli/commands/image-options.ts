/** Options that every command with an image has, and what becomes of them. */
import type { Options } from "yargs";
import type { Config } from "../../config.ts";
import { parseNamedImage } from "../../image/named-image.ts";
import { type Platform, parsePlatform } from "../../image/platform.ts";
import type { ImageRequest } from "../../provisioner/request.ts";

export const PLATFORM_OPTION = {
  platform: { type: "string", describe: "os/arch[/variant]; default this machine's", requiresArg: true },
} as const satisfies Record<string, Options>;

/** For commands that may fetch. */
export const FETCH_OPTIONS = {
  ...PLATFORM_OPTION,
  // Marathon's and Mesos' word for the policy `always`
  force_pull_image: { type: "boolean", hidden: true },
  explain: {
    type: "boolean",
    describe: "tell every decision, and why: names, files read, mirrors, credentials, times",
  },
} as const satisfies Record<string, Options>;

export const IMAGE_HELP =
  "[HOST/]REPOSITORY[:TAG][@DIGEST], docker://…, docker-archive:, oci-archive: or oci:PATH[:NAME], appc:NAME[:VERSION][,LABEL=VALUE…], or a Mesos Image as JSON";

export function platformOf(text: string | undefined): { readonly platform?: Platform } {
  return text === undefined ? {} : { platform: parsePlatform(text) };
}

/** What a word of the command line asks for. Throws AppErrors `reference-invalid`, `platform-invalid`. */
export function imageRequest(
  text: string,
  args: { readonly platform?: string | undefined; readonly force_pull_image?: boolean | undefined },
  config: Config,
): ImageRequest {
  const { reference, cached, dockerConfig } = parseNamedImage(text, config.environment.cwd);
  const { pullPolicy: policy } = config;
  const refresh = args.force_pull_image === true || cached === false;
  return {
    reference,
    ...platformOf(args.platform),
    ...(policy !== undefined && { policy }),
    ...(refresh && { refresh }),
    ...(dockerConfig !== undefined && { dockerConfig }),
  };
}
