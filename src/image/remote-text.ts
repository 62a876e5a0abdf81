/** Words from outside, made fit for messages: bounded, and without characters that would steer or mislead a terminal. */

/** Control, format (among them those that turn the direction of text) and surrogate characters become `?`. */
export function printable(text: string, maxLength = 100): string {
  const plain = text.slice(0, maxLength).replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "?");
  return text.length > maxLength ? `${plain}…` : plain;
}

/** As it would stand in JSON: for values whose type is in doubt as well. */
export function quoted(value: unknown): string {
  if (typeof value === "string") return `"${printable(value)}"`;
  return printable(JSON.stringify(value) ?? "missing");
}

/** `a, b, c and 4 more`; "" for none. */
export function listed(names: readonly string[], most = 12): string {
  const shown = names.slice(0, most).map((name) => printable(name));
  return names.length > most ? `${shown.join(", ")} and ${names.length - most} more` : shown.join(", ");
}
