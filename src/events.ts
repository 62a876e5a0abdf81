/**
 * The one typed event stream (design §12): progress bars, `--explain`, logs and, later, the API's streams and metrics
 * are all drawn from it. Events never carry credentials or signed URLs.
 */
import type { Digest } from "../store/index.ts";

export type RootwrightEvent =
  | { readonly type: "resolve"; readonly reference: string; readonly source: string }
  | {
      readonly type: "resolved";
      readonly reference: string;
      readonly digest: Digest;
      readonly platform: string;
      readonly layers: number;
      readonly sizeBytes: number;
    }
  | {
      readonly type: "request";
      readonly method: string;
      readonly url: string;
      readonly status?: number;
      readonly durationMs?: number;
    }
  | { readonly type: "credentials"; readonly host: string; readonly source: string }
  | {
      readonly type: "retry";
      readonly what: string;
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  | { readonly type: "warning"; readonly message: string }
  /** Something was decided, and why, in words for `--explain`. `topic` says about what. */
  | { readonly type: "decision"; readonly topic: Topic; readonly message: string }
  | {
      readonly type: "layer";
      readonly diffId: Digest;
      readonly state: "cached" | "waiting" | "started" | "done";
      readonly sizeBytes: number;
      readonly index: number;
      readonly count: number;
    }
  | { readonly type: "bytes"; readonly diffId: Digest; readonly doneBytes: number; readonly sizeBytes: number }
  /** Something that is no layer yet: an ACI, an archive. */
  | {
      readonly type: "download";
      readonly what: string;
      readonly state: "cached" | "waiting" | "started" | "going" | "done";
      readonly doneBytes: number;
      /** When it is known. */
      readonly sizeBytes?: number;
    }
  | { readonly type: "backend"; readonly name: string; readonly reason: string }
  | { readonly type: "phase"; readonly name: string; readonly durationMs: number };

export type Topic =
  | "reference"
  | "policy"
  | "configuration"
  | "mirror"
  | "credentials"
  | "transport"
  | "redirect"
  | "resume"
  | "platform"
  | "archive"
  | "discovery"
  | "layer";

export type Emit = (event: RootwrightEvent) => void;

/** For callers who do not listen. */
export const silent: Emit = () => {};
