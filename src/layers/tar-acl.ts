/**
 * POSIX access control lists as tar keeps them in text (star, GNU tar: SCHILY.acl.access and SCHILY.acl.default), as the
 * kernel takes them (linux/posix_acl_xattr.h).
 *
 *   text:   "user::rwx,user:alice:r-x:1000,group::r-x,mask::rwx,other::r--", or a line each; "#" begins a comment.
 *           The number is star's and libarchive's; GNU tar has a name there, or with --numeric-owner the number.
 *   binary: u32 version 2 · for each of them u16 tag · u16 permissions · u32 id, all little-endian
 */

const VERSION = 2;
const UNDEFINED_ID = 0xffffffff;
const USER = 0x02;
const GROUP = 0x08;
/** With and without an id, in the kernel's order. */
const TAGS: Readonly<Record<string, readonly [own: number, named: number]>> = {
  user: [0x01, USER],
  u: [0x01, USER],
  group: [0x04, GROUP],
  g: [0x04, GROUP],
  mask: [0x10, 0],
  m: [0x10, 0],
  other: [0x20, 0],
  o: [0x20, 0],
};
/** As much as a value of an attribute has at most (Linux); real lists have some hundred bytes. */
const MAX_TEXT = 64 * 1024;

type Rule = readonly [tag: number, permissions: number, id: number];

/**
 * Undefined when there is nothing to set: a list that says no more than the mode does, one that is malformed, and one
 * that names users of the machine it comes from without their numbers (to leave out one rule could let somebody in).
 */
export function encodeAcl(text: string): Buffer | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const rules: Rule[] = [];
  for (const line of text.split(/[\n,]/)) {
    // an expression for "# and all behind it" takes quadratic time, beginning anew at every "#" of a line with a CR
    const comment = line.indexOf("#");
    const words = (comment < 0 ? line : line.slice(0, comment)).trim();
    if (words === "") continue;
    const rule = parseRule(words);
    if (rule === undefined) return undefined;
    rules.push(rule);
  }
  rules.sort((a, b) => a[0] - b[0] || a[2] - b[2]);
  return isComplete(rules) ? encode(rules) : undefined;
}

/**
 * The mode that a file gets with an access list: the kernel takes the owner's bits, the mask's (or group's, without one)
 * and everybody else's from the list. A list that says none of them, which the kernel refuses, changes nothing.
 */
export function modeWithAcl(mode: number, acl: Uint8Array): number {
  const bytes = Buffer.from(acl.buffer, acl.byteOffset, acl.byteLength);
  if (bytes.length % 8 !== 4 || bytes.readUInt32LE(0) !== VERSION) return mode;
  const rights = new Map<number, number>();
  for (let at = 4; at < bytes.length; at += 8) rights.set(bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2) & 7);
  const [user, group, other] = [rights.get(0x01), rights.get(0x10) ?? rights.get(0x04), rights.get(0x20)];
  if (user === undefined || group === undefined || other === undefined) return mode;
  return (mode & 0o7000) | (user << 6) | (group << 3) | other;
}

function parseRule(words: string): Rule | undefined {
  const fields = words.split(":").map((field) => field.trim());
  const [word = "", ...rest] = fields;
  const tags = Object.hasOwn(TAGS, word) ? TAGS[word] : undefined;
  if (tags === undefined) return undefined;
  // these two have nobody to name, and some write them without the empty field
  const [who = "", letters = "", number = ""] = tags[1] === 0 && rest.length === 1 ? ["", ...rest] : rest;
  const permissions = parsePermissions(letters);
  if (permissions === undefined || rest.length > 3) return undefined;
  if (who === "") return [tags[0], permissions, UNDEFINED_ID];
  const digits = number === "" ? who : number;
  if (tags[1] === 0 || !/^[0-9]{1,10}$/.test(digits) || Number(digits) >= UNDEFINED_ID) return undefined;
  return [tags[1], permissions, Number(digits)];
}

function parsePermissions(letters: string): number | undefined {
  if (!/^[rwx-]{1,3}$/.test(letters)) return undefined;
  return (letters.includes("r") ? 4 : 0) | (letters.includes("w") ? 2 : 0) | (letters.includes("x") ? 1 : 0);
}

/** What the kernel asks for (posix_acl_valid), and something beyond the three of a mode. `rules` are sorted. */
function isComplete(rules: readonly Rule[]): boolean {
  const count = (tag: number): number => rules.filter((rule) => rule[0] === tag).length;
  const twice = rules.some((rule, at) => rule[0] === rules[at - 1]?.[0] && rule[2] === rules[at - 1]?.[2]);
  const masks = count(0x10);
  return !twice && count(0x01) === 1 && count(0x04) === 1 && count(0x20) === 1 && rules.length > 3 && masks === 1;
}

function encode(rules: readonly Rule[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * rules.length);
  bytes.writeUInt32LE(VERSION, 0);
  for (const [at, [tag, permissions, id]] of rules.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * at);
    bytes.writeUInt16LE(permissions, 6 + 8 * at);
    bytes.writeUInt32LE(id, 8 + 8 * at);
  }
  return bytes;
}
