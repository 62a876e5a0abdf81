/** The table of backends, in the order in which `auto` prefers them. Adding one is one file and one line here. */
import type { Probe } from "../../native/index.ts";
import { AppError } from "../errors.ts";
import type { Backend, BackendName, PlanOptions, Stack, Support } from "./backend.ts";
import { bind } from "./bind.ts";
import { copy } from "./copy.ts";
import { overlay } from "./overlay.ts";

export type { Backend, BackendName, Plan, PlanOptions, Stack, Support } from "./backend.ts";

export const BACKENDS: Readonly<Record<BackendName, Backend>> = { overlay, bind, copy };

/** bind is never chosen by itself: it is read-only, and takes only images that are one directory. */
const AUTO: readonly Backend[] = [overlay, copy];

export const BACKEND_CHOICES = ["auto", ...Object.keys(BACKENDS)] as readonly ("auto" | BackendName)[];

export interface Choice {
  readonly backend: Backend;
  /** For people: why this one. */
  readonly reason: string;
}

/** Throws `backend-denied`, `backend-unsupported` or `backend-layers`, naming a backend that would work. */
export function chooseBackend(
  wanted: "auto" | BackendName,
  probe: Probe,
  stack: Stack,
  options: PlanOptions = { readOnly: false },
): Choice {
  if (wanted !== "auto") {
    const backend = BACKENDS[wanted];
    const verdict = judge(backend, probe, stack, options);
    if (verdict.ok) return { backend, reason: `asked for; ${verdict.reason}` };
    throw refusal(backend, verdict, probe, stack, options);
  }
  const passed: string[] = [];
  let last: Extract<Support, { ok: false }> | undefined;
  for (const backend of AUTO) {
    const verdict = judge(backend, probe, stack, options);
    if (verdict.ok) return { backend, reason: [...passed, verdict.reason].join("; ") };
    passed.push(`not ${backend.name}: ${verdict.reason}`);
    last = verdict;
  }
  throw new AppError(last?.code ?? "backend-unsupported", `Cannot find a backend: ${passed.join("; ")}`, {
    hint: last?.hint ?? "`rootwright doctor` tells more",
  });
}

export function judge(
  backend: Backend,
  probe: Probe,
  stack?: Stack,
  options: PlanOptions = { readOnly: false },
): Support {
  const support = backend.support(probe);
  if (!support.ok || stack === undefined) return support;
  return backend.refuses(stack, options, probe) ?? support;
}

function refusal(
  backend: Backend,
  verdict: Extract<Support, { ok: false }>,
  probe: Probe,
  stack: Stack,
  options: PlanOptions,
): AppError {
  const others = AUTO.filter((other) => other !== backend && judge(other, probe, stack, options).ok).map(
    (other) => other.name,
  );
  const hint = verdict.hint ?? `use --backend ${others.join(" or ") || "auto"}, which works here`;
  return new AppError(verdict.code, `Cannot use backend ${backend.name}: ${verdict.reason}`, {
    hint,
    details: { backend: backend.name, working: others },
  });
}
