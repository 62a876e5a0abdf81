/**
 * AppcReference: `appc:NAME[:VERSION][,LABEL=VALUE…][@sha512-HEX]`, or `appc:sha512-HEX` for an image ID alone.
 *
 * NAME is an AC Identifier; the version is a label like any other, that has a place of its own because people think of it
 * first. Values are percent-encoded where they hold one of the characters that divide a reference (`,` `=` `@` `%`).
 * Types as in appc/spec types.md, labels as in aci.md.
 */
import { type Digest, encodedOf, parseDigest } from "../../store/index.ts";
import { type Labels, labelOf } from "./appc-platform.ts";
import { referenceInvalid } from "./reference-invalid.ts";

export interface AppcReference {
  readonly kind: "appc";
  /** Absent only where there is an image ID. */
  readonly name?: string;
  /** What the image must have; it may have more. `version`, `os` and `arch` are among them. */
  readonly labels: Labels;
  /** sha512 of the image's uncompressed tar. */
  readonly imageId?: Digest;
  /** What the user wrote. */
  readonly asTyped: string;
}

const SCHEME = "appc:";
const IDENTIFIER = /^[a-z0-9]+(?:[-._~/][a-z0-9]+)*$/;
const IMAGE_ID = /^sha512-[0-9a-f]{128}$/;
/** No limit of the specification's; it keeps names within what stores and file systems take. */
const MAX_LENGTH = 1024;
export const MAX_LABELS = 64;

/** Throws AppError `reference-invalid`. */
export function parseAppcReference(text: string): AppcReference {
  const rest = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  if (IMAGE_ID.test(rest)) return { kind: "appc", labels: {}, imageId: imageIdIn(text, rest), asTyped: text };
  const at = rest.indexOf("@");
  const imageId = at < 0 ? undefined : imageIdIn(text, rest.slice(at + 1));
  const [head = "", ...pairs] = (at < 0 ? rest : rest.slice(0, at)).split(",");
  const colon = head.indexOf(":");
  const labels = new Map<string, string>();
  if (colon >= 0) {
    if (colon === head.length - 1) throw referenceInvalid(text, "its version is empty", "leave out the colon");
    labels.set("version", decoded(text, head.slice(colon + 1)));
  }
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1) {
      throw referenceInvalid(
        text,
        `${quoted(pair)} is no label`,
        "write NAME:VERSION,LABEL=VALUE, for example ,os=linux",
      );
    }
    const label = pair.slice(0, equals);
    if (labels.has(label)) throw referenceInvalid(text, `it has the label ${quoted(label)} twice`);
    labels.set(label, decoded(text, pair.slice(equals + 1)));
  }
  const name = colon < 0 ? head : head.slice(0, colon);
  return check(text, { name, labels: Object.fromEntries(labels), ...(imageId !== undefined && { imageId }) });
}

/** A reference of parts that came some other way, such as a Mesos message. Throws AppError `reference-invalid`. */
export function checkAppcReference(parts: Pick<AppcReference, "name" | "labels" | "imageId">): AppcReference {
  // Mesos requires a name even where only the ID counts
  const { name: given, ...rest } = parts;
  const name = given === "" && rest.imageId !== undefined ? undefined : given;
  const shown = `${SCHEME}${name ?? ""}`;
  const reference = check(shown, { ...rest, ...(name !== undefined && { name }) });
  return { ...reference, asTyped: formatAppcReference(reference) };
}

/** The canonical name. Equal for equal references, and `parseAppcReference` reads it back. */
export function formatAppcReference({ name, labels, imageId }: Omit<AppcReference, "asTyped">): string {
  const id = imageId === undefined ? "" : formatImageId(imageId);
  if (name === undefined) return `${SCHEME}${id}`;
  const version = labelOf(labels, "version");
  const inPlace = version !== undefined && version !== "";
  const pairs = Object.keys(labels)
    .filter((label) => !(inPlace && label === "version"))
    .sort()
    .map((label) => `,${label}=${encoded(labels[label] ?? "")}`);
  return `${SCHEME}${name}${inPlace ? `:${encoded(version)}` : ""}${pairs.join("")}${id && `@${id}`}`;
}

/**
 * Whether an image with this name, these labels and this ID is one that was asked for: what is asked must be there and
 * equal, what is not asked may be anything (discovery.md, "Validation").
 */
export function appcMatches(
  asked: AppcReference,
  own: Pick<AppcReference, "name" | "labels">,
  imageId: Digest | undefined,
): boolean {
  if (asked.name !== undefined && asked.name !== own.name) return false;
  if (asked.imageId !== undefined && asked.imageId !== imageId) return false;
  return Object.entries(asked.labels).every(([label, value]) => labelOf(own.labels, label) === value);
}

/** AC Identifier (types.md). None has two separators in a row, so no path made of one leaves its directory. */
export function isAcIdentifier(text: string): boolean {
  return text.length <= MAX_LENGTH && IDENTIFIER.test(text);
}

/** An image's name: an AC Identifier that nobody can take for an image ID. */
export function isAppcName(text: string): boolean {
  return isAcIdentifier(text) && !IMAGE_ID.test(text);
}

/** `sha512-HEX` as a Digest; undefined for anything else. */
export function parseImageId(text: string): Digest | undefined {
  return IMAGE_ID.test(text) ? parseDigest(text.replace("-", ":")) : undefined;
}

export function formatImageId(imageId: Digest): string {
  return `sha512-${encodedOf(imageId)}`;
}

function check(whole: string, parts: Pick<AppcReference, "name" | "labels" | "imageId">): AppcReference {
  const { name, labels, imageId } = parts;
  if (name === undefined && imageId === undefined) throw referenceInvalid(whole, "it has neither name nor image ID");
  if (name !== undefined && !isAppcName(name)) {
    const hint = "lower-case letters and digits, with single - . _ ~ / between them: example.com/reduce-worker";
    throw referenceInvalid(whole, `${quoted(name)} is no name that an Appc image can have`, hint);
  }
  if (imageId?.startsWith("sha512:") === false) throw referenceInvalid(whole, "its image ID is no sha512 digest");
  if (Object.keys(labels).length > MAX_LABELS) throw referenceInvalid(whole, `it has more than ${MAX_LABELS} labels`);
  for (const [label, value] of Object.entries(labels)) {
    const problem = labelProblem(label, value);
    if (problem !== undefined) throw referenceInvalid(whole, `its label ${quoted(label)} ${problem}`);
  }
  return { kind: "appc", ...parts, asTyped: whole };
}

/** Why that is no label; undefined when it is one. Values are free text, which must only be text. */
export function labelProblem(label: string, value: string): string | undefined {
  if (!isAcIdentifier(label)) return "has a name that no label can have";
  if (label === "name") return "would be confused with the image's name";
  if (value.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  return value.isWellFormed() && !value.includes("\0") ? undefined : "is not text";
}

function imageIdIn(whole: string, text: string): Digest {
  const imageId = parseImageId(text);
  if (imageId !== undefined) return imageId;
  throw referenceInvalid(whole, "its image ID is malformed", "an image ID is sha512- and 128 lower-case hex digits");
}

function decoded(whole: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw referenceInvalid(
      whole,
      `${quoted(text)} has a % that is no percent-encoding`,
      "write %25 for a percent sign",
    );
  }
}

/** What dividers and odd characters need; `+ / :`, which versions and such often hold, can stay readable. */
function encoded(value: string): string {
  return encodeURIComponent(value).replaceAll(/%(2B|2F|3A)/g, (triplet) => decodeURIComponent(triplet));
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
