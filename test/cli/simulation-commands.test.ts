import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCaptured } from './captured-context.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/example-plan.yaml', import.meta.url));

let folder: string;
let anytime: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-simulate-'));
  anytime = join(folder, 'plan.yaml');
  const text = await readFile(EXAMPLE, 'utf8');
  await writeFile(
    anytime,
    text.replace(/ {2}rule: max-efficacy.*/, '  rule: anytime\n  epsilon: 1%\n  deadline: 14d'),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('changeover simulate', () => {
  test('says how often the rule is wrong, how long it takes, and how many are exposed', async () => {
    const { exitCode, out } = await runCaptured([
      'simulate',
      anytime,
      '--rates',
      '0.1,0.13,10%',
      '--runs',
      '50',
    ]);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/2\.0-a, efficacy 13\.00 %: chosen in (9\d|100)\.\d %/);
    expect(out).toMatch(/promised {2}at most 5\.0 %, however often one looks/);
    expect(out).toMatch(/time .* on average[^]*exposed .* came to a version that is not the best/);
  });

  test('gives the same trials for the same seed, as JSON', async () => {
    const run = () => runCaptured(['simulate', anytime, '--rates', '0.1,0.12,0.1', '--runs', '20', '--json']);
    const [first, second] = [await run(), await run()];
    expect(first).toEqual(second);
    expect(JSON.parse(first.out)).toMatchObject({ runs: 20, arms: [{ version: '1.4' }, {}, {}] });
  });

  test.each([
    [['--rates', '0.1,0.1'], /in this order: 1\.4 \(baseline\), 2\.0-a and 2\.0-b; it had 2/],
    [['--rates', '0.1,0.1,1.2'], /--rates must be shares between 0 and 1/],
    [['--rates', 'high'], /It has to be a list such as/],
    [['--rates', '0.1,0.1,0.1', '--runs', '0'], /It has to be a whole number above 0/],
  ])('refuses %j', async (more, said) => {
    const { exitCode, err } = await runCaptured(['simulate', anytime, ...more]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(said);
  });
});

describe('changeover plan', () => {
  test('says what a run would do and what serves meanwhile', async () => {
    const { exitCode, out } = await runCaptured(['plan', EXAMPLE]);
    expect(exitCode).toBe(0);
    expect(out).toContain('green-3; meanwhile 3 servers serve');
    expect(out).toMatch(/A candidate at 11\.00 % against baseline and other candidates at 10\.00 %/);
  });

  test('expects a time to the verdict and the accounts until then', async () => {
    const { out } = await runCaptured(['plan', anytime, '--effect', '0.03', '--runs', '20']);
    expect(out).toMatch(/A candidate at 13\.00 % against baseline and other candidates at 10\.00 %/);
    expect(out).toMatch(/verdict within .* on average[^]*accounts in the trial until then/);
  });
});
