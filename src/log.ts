/** The log: JSON lines on stderr by pino, secrets redacted. Results go to stdout, progress is cli/progress.ts's. */
import { type Logger, pino } from "pino";
import type { Emit } from "./events.ts";

export type { Logger } from "pino";

const SECRETS = ["authorization", "password", "auth", "identitytoken", "token", "secret"];

export function createLogger(level: string): Logger {
  const redact = { paths: SECRETS.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" };
  return pino(
    { level, base: null, redact, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** Draws the log from the event stream: what happened at `info`, every request at `debug`, byte counts never. */
export function logEvents(logger: Logger): Emit {
  return (event) => {
    if (event.type === "bytes" || (event.type === "download" && event.state === "going")) return;
    const { type, ...facts } = event;
    if (type === "warning") logger.warn(facts, type);
    else if (type === "request" || type === "layer" || type === "decision") logger.debug(facts, type);
    else logger.info(facts, type);
  };
}
