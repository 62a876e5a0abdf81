/** The dependency rule of the design, §3, and the shape of the tree, kept by a program. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ERROR_CODES, KINDS } from "../src/errors.ts";

const ROOT = resolve(import.meta.dirname, "..");

interface Source {
  /** From the repository's root, as `src/layers/merge.ts`. */
  readonly path: string;
  readonly lines: number;
  /** Repository paths and bare package names. */
  readonly imports: readonly string[];
  readonly text: string;
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), "utf8");
  const specifiers = [
    ...text.matchAll(/^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|import\("([^"]+)"\)/gms),
  ];
  const imports = specifiers
    .map((match) => match[1] ?? match[2] ?? match[3] ?? "")
    .map((specifier) => {
      return specifier.startsWith(".") ? relative(ROOT, resolve(ROOT, dirname(path), specifier)) : specifier;
    });
  return { path, lines: text.split("\n").length - 1, imports, text };
}

const SOURCES = ["native", "store", "src"].flatMap((stratum) =>
  readdirSync(join(ROOT, stratum), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readSource(join(stratum, name))),
);

/** A folder may import from those that are listed for it, and from itself. `base` is the files right under src/. */
const BASE = ["native", "store", "src/base"];
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  native: [],
  store: [],
  "src/base": ["store", "native"],
  "src/image": ["store", "src/base"],
  "src/sources": [...BASE, "src/image"],
  "src/layers": [...BASE, "src/image"],
  "src/backends": [...BASE, "src/image"],
  "src/runtime": [...BASE, "src/image"],
  "src/provisioner": [...BASE, "src/image", "src/sources", "src/layers", "src/backends", "src/runtime"],
  // wiring: what opens everything, and what stands in front of it
  "src/top": [
    ...BASE,
    "src/image",
    "src/sources",
    "src/layers",
    "src/provisioner",
    "src/runtime",
    "src/cli",
    "src/top",
  ],
  "src/cli": [...BASE, "src/image", "src/backends", "src/provisioner", "src/top"],
};

const TOP = ["src/compose.ts", "src/open-sources.ts", "src/index.ts", "src/main.ts", "src/first-light.ts"];

function folderOf(path: string): string {
  if (TOP.includes(path)) return "src/top";
  const [stratum = "", folder = "", below] = path.split("/");
  if (stratum !== "src") return stratum;
  return below === undefined ? "src/base" : `src/${folder}`;
}

describe("a file", () => {
  test.each(SOURCES)("imports only from its left: $path", ({ path, imports }) => {
    const folder = folderOf(path);
    const allowed = ALLOWED[folder];
    expect(allowed, `${folder} is not in the table`).toBeDefined();
    const strangers = imports
      .filter((name) => name.endsWith(".ts"))
      .filter((name) => ![folder, ...(allowed ?? [])].includes(folderOf(name)));
    expect(strangers).toEqual([]);
  });

  test.each(SOURCES)("enters another stratum by its door: $path", ({ path, imports }) => {
    const own = path.split("/")[0];
    const inside = imports.filter((name) => /^(native|store)\//.test(name) && !name.startsWith(`${own}/`));
    expect(inside.filter((name) => !/^(native|store)\/index\.ts$/.test(name))).toEqual([]);
  });

  test.each(SOURCES)("has one thing to say, in at most 400 lines: $path", ({ lines, path }) => {
    expect(lines).toBeLessThanOrEqual(400);
    expect(path).not.toMatch(/utils|helpers|common|manager/);
  });

  test.each(SOURCES)("says at its top what it is: $path", ({ text }) => {
    expect(text.replace(/^#!.*\n/, "").replace(/^import [^;]*;\n+/gm, "")).toMatch(/^(\s*\/\*\*|\/\/)|\/\*\*/);
  });
});

test("the median file has at most 90 lines", () => {
  const sizes = SOURCES.map(({ lines }) => lines).sort((a, b) => a - b);
  expect(sizes[Math.floor(sizes.length / 2)]).toBeLessThanOrEqual(90);
});

test("no imports go in a circle", () => {
  const graph = new Map(
    SOURCES.map(({ path, imports, text }) => [
      path,
      imports.filter((name) => name.endsWith(".ts") && !isTypeOnly(text, path, name)),
    ]),
  );
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    expect(trail, "a cycle").not.toContain(path);
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
});

function isTypeOnly(text: string, path: string, name: string): boolean {
  const from = relative(dirname(join(ROOT, path)), join(ROOT, name));
  const specifier = from.startsWith(".") ? from : `./${from}`;
  const statements = [...text.matchAll(/^\s*(import|export)\s([^;]*?)from\s+"([^"]+)"/gms)].filter(
    (match) => match[3] === specifier,
  );
  return statements.length > 0 && statements.every((match) => /^type\s/.test(match[2] ?? ""));
}

describe("a library has one importer", () => {
  test.each([
    ["better-sqlite3", /^store\/db\.ts$/],
    ["undici", /^src\/sources\/http\/dispatchers\.ts$/],
    ["yargs", /^src\/cli\/run\.ts$/],
    ["tar-stream", /^src\/(layers\/tar-entries|sources\/archives\/tar-headers)\.ts$/],
    ["minizlib", /^src\/layers\/zlib-inflater\.ts$/],
    ["xz-decompress", /^src\/layers\/xz\.ts$/],
    ["smol-toml", /^src\/toml\.ts$/],
    ["pino", /^src\/log\.ts$/],
    [
      "node:child_process",
      /^(native\/[a-z-]+|src\/sources\/registry\/credentials\/credential-helper|src\/sources\/appc\/hadoop-client)\.ts$/,
    ],
  ])("%s", (library, importer) => {
    const importers = SOURCES.filter(
      ({ imports, text }) =>
        imports.some((name) => name === library || name.startsWith(`${library}/`)) && !onlyTypes(text, library),
    ).map(({ path }) => path);
    expect(importers.length).toBeGreaterThan(0);
    expect(importers.filter((path) => !importer.test(path))).toEqual([]);
  });

  test("process.env is read in config.ts alone", () => {
    const readers = SOURCES.filter(({ text }) => /\bprocess\.env\b/.test(text.replace(/\/\*[\s\S]*?\*\//g, ""))).map(
      ({ path }) => path,
    );
    expect(readers).toEqual(["src/config.ts"]);
  });
});

function onlyTypes(text: string, library: string): boolean {
  const statements = [...text.matchAll(/^import\s([^;]*?)from\s+"([^"]+)"/gms)].filter(
    (match) => match[2] === library || match[2]?.startsWith(`${library}/`),
  );
  // without a statement, it is imported at run time
  return statements.length > 0 && statements.every((match) => /^type\s/.test(match[1] ?? ""));
}

describe("the README", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` \| ([a-z-]+) \| (\d+) \| (.+) \|$/gm)].map((match) =>
    match.slice(1, 5),
  );
  const table = Object.entries(ERROR_CODES).map(([code, [kind, meaning]]) => [
    code,
    kind,
    String(KINDS[kind].exit),
    meaning,
  ]);

  test("lists every error code, its kind, exit code and meaning, and no other", () => {
    expect(rows).toEqual(table);
  });
});
