/**
 * `npm start [-- IMAGE]`: the main job, once, on a store of its own: pull, provision with the best backend that this
 * machine allows, run a program inside, show the cache, destroy. Leaves nothing mounted and nothing behind.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execInRoot, mountsBelow } from "../native/index.ts";
import { formatBytes, formatDuration, shortDigest } from "./cli/output.ts";
import { type OpenProvisioner, openProvisioner } from "./compose.ts";
import { loadConfig } from "./config.ts";
import { AppError, toAppError } from "./errors.ts";
import { parseReference } from "./image/reference.ts";
import type { Provisioned } from "./provisioner/provisioner.ts";

const FIXTURE = new URL("../fixtures/busybox.tar", import.meta.url).pathname;
const ID = "first-light";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function firstLight(image: string | undefined, signal: AbortSignal): Promise<void> {
  const config = loadConfig({ flags: {} });
  const reference = parseReference(image ?? `docker-archive:${FIXTURE}`, config.environment.cwd);
  const root = makeRoot();
  try {
    await using provisioner = await openProvisioner({ ...config, root });
    const [pulled, pullMs] = await timed(() => provisioner.pull({ reference }, { signal }));
    say(`pulled       ${pulled.name}`);
    const bytes = formatBytes(pulled.sizeBytes ?? 0);
    say(
      `             ${pulled.layers.length} layers, ${bytes}, ${pulled.platform}; every byte verified, in ${formatDuration(pullMs)}`,
    );
    const [made, madeMs] = await timed(() =>
      provisioner.provision({ id: ID, reference, backend: config.backend }, { signal }),
    );
    say(`provisioned  ${made.rootfs}`);
    say(`             backend ${made.backend}, in ${formatDuration(madeMs)}`);
    try {
      await runInside(made, signal);
      await showCache(provisioner);
    } finally {
      await provisioner.destroy(ID);
    }
    say(made.backend === "copy" ? "destroyed    removed" : "destroyed    unmounted and removed");
  } finally {
    // never a recursive delete over a mount: what could not be unmounted is told by the error, and stays
    if (mountsBelow(root).length === 0) rmSync(root, { recursive: true, force: true });
  }
  sayNext(image);
}

function makeRoot(): string {
  try {
    return mkdtempSync(join(tmpdir(), "rootwright-first-light-"));
  } catch (error) {
    throw new AppError("store-not-writable", `Cannot make a store in ${tmpdir()}: ${(error as Error).message}`, {
      hint: "set TMPDIR to a directory that you may write",
      cause: error,
    });
  }
}

/** As root by chroot, otherwise in a user namespace; where that is not allowed, says so and goes on. */
async function runInside(made: Provisioned, signal: AbortSignal): Promise<void> {
  const userns = process.geteuid?.() !== 0;
  const script =
    'name="a root filesystem"; [ -r /etc/os-release ] && . /etc/os-release && name="$PRETTY_NAME"; echo "hello from $name, uid $(id -u)"';
  const env = Object.fromEntries(
    made.runtimeConfig.env.map((pair) => [pair.split("=", 1)[0] ?? "", pair.slice(pair.indexOf("=") + 1)]),
  );
  const argv = ["/bin/sh", "-c", script];
  const result = await execInRoot(made.rootfs, argv, { userns, env, stdio: "pipe", signal });
  if (result.code === 0) say(`ran inside   ${(result.stdout ?? "").trim()}`);
  else say(`ran inside   not: /bin/sh ended with ${result.code}: ${(result.stderr ?? "").trim()}`);
}

async function showCache(provisioner: OpenProvisioner): Promise<void> {
  for (const image of provisioner.images()) {
    const details = await provisioner.inspect(parseReference(image.name, process.cwd()));
    say(`in the cache ${image.name} ${shortDigest(image.manifestDigest)}`);
    for (const { diffId, tree } of details.layers) {
      say(
        `             layer ${shortDigest(diffId)}  ${tree === undefined ? "" : `${tree.entries} entries, ${formatBytes(tree.sizeBytes)}`}`,
      );
    }
  }
}

function sayNext(image: string | undefined): void {
  const name = image ?? "docker-archive:fixtures/busybox.tar";
  say("");
  say("Next:");
  say(`  npm run -s rootwright -- pull ${name}`);
  say(`  npm run -s rootwright -- provision ${name} --id my-first`);
  say("  npm run -s rootwright -- images");
  say("  npm run -s rootwright -- destroy my-first");
  say("  npm run -s rootwright -- --help");
  if (image === undefined) say("  npm start -- debian:12        # any image, from its registry");
}

async function timed<T>(action: () => Promise<T>): Promise<readonly [T, number]> {
  const start = performance.now();
  return [await action(), performance.now() - start];
}

// whoever stops reading does not stop the clean-up
process.stdout.on("error", () => {});
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () =>
    interrupt.abort(new AppError("canceled", `Interrupted by ${signal}`, { details: { signal } })),
  );
}
try {
  const [image, ...more] = process.argv.slice(2);
  if (more.length > 0 || image?.startsWith("-")) {
    throw new AppError("usage", "Cannot start: one image is wanted, and no options", {
      hint: "npm start -- IMAGE; all else is `npm run -s rootwright -- --help`",
    });
  }
  await firstLight(image, interrupt.signal);
} catch (thrown) {
  const error = interrupt.signal.aborted ? toAppError(interrupt.signal.reason) : toAppError(thrown);
  process.stderr.write(`rootwright: ${error.message}\n${error.hint === undefined ? "" : `hint: ${error.hint}\n`}`);
  process.exitCode = error.exitCode;
}
