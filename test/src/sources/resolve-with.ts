/** What the tests of sources do all the time: resolve a reference, read a layer, and catch what goes wrong. */

import { AppError } from "../../../src/errors.ts";
import type { RootwrightEvent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { createSources, type SourceOptions, type SourceTable } from "../../../src/sources/index.ts";
import type { ResolveContext, ResolvedImage, ResolvedLayer } from "../../../src/sources/source.ts";
import { NO_WORKSHOP } from "../../support/workshop.ts";

export interface Resolving extends AsyncDisposable {
  resolve(text: string, platform?: string): Promise<ResolvedImage>;
  readonly docker: SourceTable["docker"];
  contextFor(platform?: string): ResolveContext;
  readonly events: readonly RootwrightEvent[];
  /** Milliseconds that retries would have waited; they do not wait in tests. */
  readonly delays: readonly number[];
}

/** `more` replaces parts of the context in which references are resolved. */
export function openResolving(
  options: Partial<SourceOptions> = {},
  more: Partial<Omit<ResolveContext, "platform" | "emit">> = {},
): Resolving {
  const delays: number[] = [];
  const events: RootwrightEvent[] = [];
  const delay = async (ms: number): Promise<void> => void delays.push(ms);
  // no home: whatever this machine's user is logged in to has no place in tests
  const sources = createSources({ insecureRegistries: [], retry: { delay }, ...options });
  const emit = (event: RootwrightEvent): void => void events.push(event);
  const contextFor = (platform = "linux/amd64"): ResolveContext => ({
    platform: parsePlatform(platform),
    emit,
    workshop: NO_WORKSHOP,
    ...more,
  });
  return {
    events,
    delays,
    docker: sources.table.docker,
    contextFor,
    resolve: (text, platform) => sources.resolve(parseReference(text), contextFor(platform)),
    [Symbol.asyncDispose]: () => sources[Symbol.asyncDispose](),
  };
}

export async function readLayer(
  layer: ResolvedLayer | undefined,
  offset = 0,
): Promise<{ offset: number; bytes: Buffer }> {
  if (layer === undefined || !("open" in layer.bytes)) throw new Error("no layer that is opened");
  const stream = await layer.bytes.open(offset, new AbortController().signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.body) chunks.push(chunk);
  return { offset: stream.offset, bytes: Buffer.concat(chunks) };
}

export async function errorOf(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw error;
}

/** Everything that an error may show to somebody. */
export function printed(error: AppError): string {
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(cause.message);
  return JSON.stringify([error.message, error.hint, error.details, causes]);
}
