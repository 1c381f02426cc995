// SPDX-License-Identifier: Apache-2.0
// Last line of a test run, as tools/run-tests reads it.

export default class Sum {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      let tests = 0;
      for (const test of module.children.allTests()) {
        count[test.result().state]++;
        tests++;
      }
      if (tests === 0) count.failed++; /* a file that could not be read */
    }
    console.log(`${count.passed} passed, ${count.failed + count.pending} failed, ${count.skipped} skipped`);
  }
}
