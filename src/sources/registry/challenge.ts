/**
 * Challenges: the WWW-Authenticate header, read as RFC 9110 (11.2, 11.6.1) defines it. Commas separate both challenges and
 * their parameters, and may stand inside quoted values (`scope="repository:x:pull,push"`), so this scans, it does not split.
 */

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Lower-case names. The first of a repeated parameter counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*/y;
const SPACE = /[ \t]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;

/** All challenges of all header lines, in order. What is malformed ends its line; what was read before it stays. */
export function parseChallenges(lines: readonly string[]): readonly Challenge[] {
  return lines.flatMap(parseLine);
}

function parseLine(line: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  const takeParameter = (parameters: Map<string, string>): boolean => {
    const start = at;
    const name = take(TOKEN)?.[0].toLowerCase();
    take(SPACE);
    if (name !== undefined && line[at] === "=") {
      at += 1;
      take(SPACE);
      const value = take(QUOTED)?.[1]?.replace(/\\(.)/gs, "$1") ?? take(TOKEN)?.[0];
      if (value !== undefined) {
        if (!parameters.has(name)) parameters.set(name, value);
        return true;
      }
    }
    at = start;
    return false;
  };
  while (at < line.length) {
    take(SPACE);
    if (line[at] === ",") {
      at += 1;
      continue;
    }
    const current = challenges.at(-1);
    if (current !== undefined && takeParameter(current.parameters)) continue;
    const scheme = take(TOKEN)?.[0];
    if (scheme === undefined) break;
    const parameters = new Map<string, string>();
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
    take(SPACE);
    // `Negotiate abc==`: a token68 stands where the parameters would; nothing here speaks such a scheme
    if (!takeParameter(parameters) && line[at] !== "," && isToken68(line, at)) take(TOKEN68);
  }
  return challenges;
}

/** A token68 ends its challenge; a bare word with something else behind it is the next scheme. */
function isToken68(line: string, at: number): boolean {
  TOKEN68.lastIndex = at;
  if (!TOKEN68.test(line)) return false;
  return /^[ \t]*(?:,|$)/.test(line.slice(TOKEN68.lastIndex));
}
