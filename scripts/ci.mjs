// Runs `npm test` as a build server wants it: nothing may be skipped for want of a component, and the last line is
// `N passed, N failed`, counted from vitest's own record. Plain JavaScript: a fresh clone has nothing built yet.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'changeover-ci-'));
const record = join(scratch, 'tests.json');

const env = { ...process.env, CI: 'true', CHANGEOVER_REQUIRE_ALL: '1', CHANGEOVER_TEST_RECORD: record };
const steps = [
  ['node', 'scripts/components.mjs'],
  ['node', 'scripts/ensure.mjs'],
  ['node', 'scripts/temporal.mjs'],
  ['npm', 'test'],
];
const failedStep = steps.find(
  ([command, ...args]) => spawnSync(command, args, { cwd: root, env, stdio: 'inherit' }).status !== 0,
);

const { passed, failed } = countTests(record);
// Types, lint, format, or an error outside of any test: something failed that vitest does not count.
const uncounted = failedStep !== undefined && failed === 0 ? 1 : 0;
rmSync(scratch, { recursive: true, force: true });

if (failedStep !== undefined) console.log(`\`${failedStep.join(' ')}\` failed, see above.`);
console.log(`${passed} passed, ${failed + uncounted} failed`);
process.exit(failed + uncounted === 0 && failedStep === undefined ? 0 : 1);

function countTests(file) {
  let files;
  try {
    files = JSON.parse(readFileSync(file, 'utf8')).testResults;
  } catch {
    return { passed: 0, failed: 0 };
  }
  const tests = files.flatMap((result) => result.assertionResults);
  const count = (status) => tests.filter((test) => test.status === status).length;
  // A file that does not even load has no tests to count.
  const broken = files.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  return { passed: count('passed'), failed: count('failed') + broken.length };
}
