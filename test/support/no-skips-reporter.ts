/**
 * Ends every run with one plain line, `N passed, N failed, N skipped`, and, where ROOTWRIGHT_E2E=required (CI), makes a
 * skipped test a failure: a machine that lacks what the tests need must not look green.
 */
import type { Reporter, TestCase, TestModule } from "vitest/node";

/**
 * Full test names that may be skipped even in CI, each with the reason why no CI machine can run it: the suites for
 * ordinary users' refusals make no sense as root.
 */
const MAY_SKIP: readonly RegExp[] = [/\(needs an ordinary user\)/, /\(not as root\)/];

export class NoSkipsReporter implements Reporter {
  readonly #required = process.env["ROOTWRIGHT_E2E"] === "required";

  onTestRunEnd(testModules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const forbidden: string[] = [];
    for (const module of testModules) {
      // A file that fails to load has no tests, but is a failure all the same.
      if (module.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        const outcome = state === "pending" ? "skipped" : state;
        counts[outcome] += 1;
        if (outcome === "skipped" && !maySkip(test)) forbidden.push(`${module.relativeModuleId} > ${test.fullName}`);
      }
    }
    if (this.#required && forbidden.length > 0) {
      process.exitCode = 1;
      console.error(`\nROOTWRIGHT_E2E=required, but these tests were skipped:\n  ${forbidden.join("\n  ")}`);
    }
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
}

function maySkip(test: TestCase): boolean {
  return MAY_SKIP.some((pattern) => pattern.test(test.fullName));
}
