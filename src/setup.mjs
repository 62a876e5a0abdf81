/**
 * Makes a fresh clone ready: npm packages, the native parts, and (with --e2e) the programs that the tests compare with.
 *
 * Plain JavaScript for any Node from 20 on, because npm's hooks run it before anything is installed. It is cheap when
 * there is nothing to do: stamps are compared, no process is started.
 *
 *   node src/setup.mjs                   npm packages and native parts
 *   node src/setup.mjs --packages-only   npm packages
 *   node src/setup.mjs --native-only     native parts
 *   node src/setup.mjs --e2e             both, and the Debian packages that the end-to-end tests need
 *
 * ROOTWRIGHT_E2E=required turns a missing test program from a notice into a failure (CI).
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const nativeDir = join(root, "native");
const KNOWN_FLAGS = ["--packages-only", "--native-only", "--e2e"];

/** For programs whose output is only of interest when they fail. */
const CAPTURED = /** @type {const} */ ({
  stdio: ["ignore", "pipe", "pipe"],
  encoding: "utf8",
  maxBuffer: 64 * 2 ** 20,
});

class SetupError extends Error {
  /**
   * @param {string} message what is wrong
   * @param {string} hint what to do about it
   */
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/** @param {string[]} flags */
function main(flags) {
  const unknown = flags.find((flag) => !KNOWN_FLAGS.includes(flag));
  if (unknown !== undefined)
    throw new SetupError(`unknown flag ${unknown}`, `use one of ${KNOWN_FLAGS.join(", ")}, or none`);
  if (!flags.includes("--native-only")) ensurePackages();
  if (!flags.includes("--packages-only")) ensureNative();
  if (flags.includes("--e2e")) ensureTestPrograms();
}

// --- npm packages -----------------------------------------------------------------------------------------------

/** node_modules is what package-lock.json says. */
function ensurePackages() {
  const lockBytes = readFileSync(join(root, "package-lock.json"));
  const wanted = createHash("sha256").update(lockBytes).digest("hex");
  const stamp = join(modules, ".rootwright-setup");
  if (readText(stamp) === wanted) return;
  if (!installedAsLocked(lockBytes)) {
    const reason = existsSync(modules) ? "package-lock.json has changed" : "first run";
    announce(`installing npm packages (${reason}) …`);
    installPackages();
  }
  writeFileSync(stamp, wanted);
}

/** Whether somebody has run npm by hand already: npm leaves its own record of what it installed. */
function installedAsLocked(/** @type {Buffer} */ lockBytes) {
  const record = readText(join(modules, ".package-lock.json"));
  if (record === undefined || !existsSync(join(modules, "node", "bin", "node"))) return false;
  try {
    const locked = JSON.parse(lockBytes.toString("utf8")).packages;
    const installed = JSON.parse(record).packages;
    const same = (/** @type {string} */ path) => locked[path]?.version === installed[path]?.version;
    const needed = Object.keys(locked).filter((path) => path !== "" && !locked[path].optional);
    return needed.every(same) && Object.keys(installed).every(same);
  } catch {
    return false;
  }
}

function installPackages() {
  // npm empties node_modules, and with it the Node that may be running this: npm gets the machine's own.
  const path = searchPath().filter((directory) => !directory.startsWith(modules));
  if (findProgram("npm", path) === undefined) {
    throw new SetupError("npm is not installed", "install Node.js 20 or newer together with npm");
  }
  const env = { ...process.env, PATH: path.join(delimiter), npm_config_update_notifier: "false" };
  // The one install script that is needed brings Node 24. Any other would be npm's own idea: it compiles each package
  // that carries a binding.gyp, although better-sqlite3 ships what it needs, and that takes a compiler and the network.
  npm(["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"], env);
  npm(["rebuild", "node", "--no-ignore-scripts"], env);
}

/** @param {string[]} args @param {NodeJS.ProcessEnv} env */
function npm(args, env) {
  const result = spawnSync("npm", args, { ...CAPTURED, cwd: root, env });
  if (result.status === 0) return;
  showOutput(result);
  throw new SetupError(
    `npm ${args[0]} failed (${ending(result)})`,
    "npm's own output is above; with the network or the registry back, run the same command again",
  );
}

// --- native parts -----------------------------------------------------------------------------------------------

/** native/build holds what native/'s sources give. make knows best, but is not asked while nothing has changed. */
function ensureNative() {
  if (!existsSync(join(nativeDir, "Makefile"))) {
    throw new SetupError("native/Makefile is missing", "the clone is incomplete: git checkout -- native");
  }
  const sources = nativeSources();
  const build = join(nativeDir, "build");
  const stamp = join(build, ".setup-stamp");
  if (builtFrom(stamp, build, sources)) return;

  const compiler = process.env.CC?.trim().split(/\s+/)[0] || "cc";
  const missing = ["make", compiler].filter((program) => findProgram(program) === undefined);
  if (missing.length > 0) {
    throw new SetupError(
      `the native parts need ${missing.join(" and ")}, which ${missing.length > 1 ? "are" : "is"} not installed`,
      "apt-get install -y build-essential   (or: gcc make libc6-dev)",
    );
  }
  const args = ["-C", nativeDir, "--no-print-directory", `-j${availableParallelism()}`];
  const result = spawnSync("make", args, CAPTURED);
  if (result.status !== 0) {
    showOutput(result);
    throw new SetupError(
      `building the native parts failed (${ending(result)})`,
      "the compiler's output is above; a missing header usually means: apt-get install -y build-essential",
    );
  }
  mkdirSync(build, { recursive: true });
  const outputs = readdirSync(build).filter((name) => /^[\w-]+(\.node)?$/.test(name) && isFile(join(build, name)));
  writeFileSync(stamp, JSON.stringify({ sources, outputs }));
}

/** One line that changes when a source, the compiler flags, the architecture or the Node headers do. */
function nativeSources() {
  const facts = readdirSync(nativeDir)
    .filter((name) => /\.[ch]$|^Makefile$/.test(name))
    .sort()
    .map((name) => {
      const { mtimeMs, size } = statSync(join(nativeDir, name));
      return `${name}:${size}:${mtimeMs}`;
    });
  return [process.arch, process.env.CC ?? "", process.env.CFLAGS ?? "", ...facts].join(" ");
}

function builtFrom(/** @type {string} */ stamp, /** @type {string} */ build, /** @type {string} */ sources) {
  const text = readText(stamp);
  if (text === undefined) return false;
  try {
    const built = JSON.parse(text);
    return (
      built.sources === sources && built.outputs.every((/** @type {string} */ name) => existsSync(join(build, name)))
    );
  } catch {
    return false;
  }
}

// --- programs for the end-to-end tests --------------------------------------------------------------------------

/** Debian package → the program (or file) that shows it is there, and what is lost without it. */
const TEST_PACKAGES = {
  "docker-registry": ["docker-registry", "every test that pulls from a real registry"],
  skopeo: ["skopeo", "archives and layouts as another tool writes them"],
  podman: ["podman", "what podman saves, in all its formats"],
  bzip2: ["bzip2", "ACIs compressed with bzip2"],
  "xz-utils": ["xz", "ACIs compressed with xz"],
  umoci: ["umoci", "the comparison of unpacked trees"],
  runc: ["runc", "starting containers on provisioned root filesystems"],
  crun: ["crun", "starting containers with the other OCI runtime"],
  mmdebstrap: ["mmdebstrap", "the real Debian image"],
  attr: ["getfattr", "extended attributes in the comparison of trees"],
  "libcap2-bin": ["setcap", "file capabilities in the real Debian image"],
  "busybox-static": ["busybox", "rebuilding the fixture image"],
  "apache2-utils": ["htpasswd", "a registry with password authentication"],
  openssl: ["openssl", "a registry behind TLS"],
  "ca-certificates": ["/etc/ssl/certs/ca-certificates.crt", "downloading Debian packages over https"],
};

function ensureTestPrograms() {
  let missing = missingPackages();
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() === 0 && findProgram("apt-get") !== undefined) {
    announce(`installing Debian packages for the end-to-end tests: ${missing.join(" ")} …`);
    const output = aptInstall(missing);
    missing = missingPackages();
    if (missing.length === 0) return;
    console.error(output.trimEnd().split("\n").slice(-15).join("\n"));
  }
  const lines = missing.map((name) => `  ${name.padEnd(16)} ${TEST_PACKAGES[name][1]}`);
  const notice = `missing programs; without them these tests are skipped:\n${lines.join("\n")}`;
  if (process.env.ROOTWRIGHT_E2E === "required") throw new SetupError(notice, `as root: ${command}`);
  console.error(`setup: ${notice}\nhint: as root: ${command}`);
}

function missingPackages() {
  return Object.keys(TEST_PACKAGES).filter((name) => {
    const evidence = TEST_PACKAGES[name][0];
    return evidence.startsWith("/") ? !existsSync(evidence) : findProgram(evidence) === undefined;
  });
}

/** Installs with the package lists that are there; fetches newer ones only when that fails. Returns apt's output. */
function aptInstall(/** @type {string[]} */ packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (/** @type {string[]} */ args) =>
    spawnSync("apt-get", ["-o", "DPkg::Lock::Timeout=120", ...args], { ...CAPTURED, env });
  const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
  const first = apt(install);
  if (first.status === 0) return first.stdout;
  const update = apt(["update", "-q"]);
  if (update.status !== 0) return `${first.stderr}${update.stderr}`;
  const second = apt(install);
  return `${second.stdout}${second.stderr}`;
}

// --- small change -----------------------------------------------------------------------------------------------

function showOutput(/** @type {import("node:child_process").SpawnSyncReturns<string>} */ result) {
  console.error(`${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}`.trimEnd());
}

function announce(/** @type {string} */ line) {
  console.error(`setup: ${line}`);
}

/** @returns {string | undefined} */
function readText(/** @type {string} */ path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function isFile(/** @type {string} */ path) {
  return statSync(path).isFile();
}

/** PATH, and where Debian keeps runc and setcap, for users whose PATH has no sbin. */
function searchPath() {
  const own = (process.env.PATH ?? "").split(delimiter).filter((directory) => directory !== "");
  return [...new Set([...own, "/usr/local/sbin", "/usr/sbin", "/sbin"])].map((directory) => resolve(directory));
}

/** @returns {string | undefined} */
function findProgram(/** @type {string} */ name, path = searchPath()) {
  const candidates = name.includes("/") ? [resolve(name)] : path.map((directory) => join(directory, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return isFile(candidate);
    } catch {
      return false;
    }
  });
}

function ending(/** @type {import("node:child_process").SpawnSyncReturns<string>} */ result) {
  if (result.error) return result.error.message;
  return result.signal ? `killed by ${result.signal}` : `exit ${result.status}`;
}

// Last, when every constant above has its value.
try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}\nhint: ${error.hint}`);
  process.exitCode = 1;
}
