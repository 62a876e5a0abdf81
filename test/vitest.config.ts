/**
 * Two projects: everything that may run side by side, and the end-to-end tests, which share the machine's mounts, ports
 * and page cache with heavy programs and therefore run one file after another, when the first project is through.
 */
import { dirname } from "node:path";
import { defineConfig } from "vitest/config";
import { NoSkipsReporter } from "./support/no-skips-reporter.ts";

if (Number(process.versions.node.split(".")[0]) < 24) {
  throw new Error(`The tests need Node 24, this is ${process.version}: run them with npm test, which brings its own`);
}

export default defineConfig({
  root: dirname(import.meta.dirname),
  test: {
    environment: "node",
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
    reporters: ["default", new NoSkipsReporter()],
    projects: [
      {
        extends: true,
        test: {
          name: "parts",
          include: ["test/**/*.test.ts"],
          exclude: ["test/e2e/**", "**/node_modules/**"],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
