// Closes a test run with one plain line, and says why each skipped test was skipped.
// vitest's own summary is coloured and counts files and tests apart; this line is for people and programs that read logs.

/** @typedef {import("vitest/node").TestModule} TestModule */

export default class ClosingLineReporter {
  /** @param {ReadonlyArray<TestModule>} modules */
  onTestRunEnd(modules) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      if (module.state() === "failed" && [...module.children.allTests()].length === 0) count.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") count.passed++;
        else if (result.state === "failed") count.failed++;
        else {
          count.skipped++;
          const why = ("note" in result && result.note) || "no reason given";
          console.log(`skipped: ${test.fullName}: ${why}`);
        }
      }
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}
