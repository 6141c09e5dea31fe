import { describe, expect, test } from 'vitest';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import type { PlanInput } from '../../../src/domain/plan/schema.ts';
import { examplePlanInput } from '../upgrade/example-plan.ts';

/** The version of both candidates, each named with its cluster. */
function aaPlan(version: string, change: Partial<PlanInput> = {}): PlanInput {
  const { candidates, traffic, ...rest } = examplePlanInput({
    decision: { aaTest: true },
    trial: { stages: [{ share: '100%', length: '1h' }] },
  });
  const packages = [{ path: '/srv/packages', fileName: 'wealth.tgz', sha256: 'a'.repeat(64) }];
  const weights = { [`${version}@blue`]: 1, [`${version}@green`]: 1 };
  return {
    ...rest,
    candidates: candidates.map(({ mode }) => ({ mode, version, packages })),
    traffic: { ...traffic, policy: { kind: 'hash', weights } },
    ...change,
  };
}

function problemsOf(plan: PlanInput): readonly string[] {
  const read = readPlan(plan);
  return read.ok ? [] : read.problems.map(({ field, message }) => `${field}: ${message}`);
}

describe('a plan of an A/A test', () => {
  test.each(['2.0', '1.4'])('has version %s on two clusters, told apart by them', (version) => {
    const read = readPlan(aaPlan(version));
    expect(read).toMatchObject({ ok: true });
    if (!read.ok) return;
    expect(read.plan.candidates.map((candidate) => candidate.version)).toEqual([
      `${version}@blue`,
      `${version}@green`,
    ]);
  });

  test('is refused where it is none: the same version twice has to be meant', () => {
    expect(problemsOf(aaPlan('2.0', { decision: {} })).join('\n')).toMatch(
      /candidates\[1\]\.version: must be a version of its own.*decision\.aaTest compares a version with itself/,
    );
  });

  test('has to have names of its versions in the policy, and says which there are', () => {
    const { traffic } = aaPlan('2.0');
    const policy = { kind: 'hash' as const, weights: { '2.0': 1 } };
    expect(problemsOf(aaPlan('2.0', { traffic: { ...traffic, policy } })).join('\n')).toMatch(
      /weights\["2\.0"\]: must be a version of this plan: 1\.4, 2\.0@blue or 2\.0@green/,
    );
  });

  test('compares one version only', () => {
    const { candidates } = aaPlan('2.0');
    const [first, second] = candidates;
    expect(
      problemsOf(aaPlan('2.0', { candidates: [first!, { ...second!, version: '2.1' }] })),
    ).toContainEqual(
      expect.stringMatching(/^candidates\[1\]\.version: must be 2\.0, as that of candidate 1/),
    );
    const trial = { stages: [{ share: '50%', length: '1h' }], baselineShare: '50%' };
    expect(problemsOf(aaPlan('2.0', { trial }))).toContainEqual(
      expect.stringMatching(/^candidates\[0\]\.version: must be 1\.4, as that of the baseline/),
    );
    expect(problemsOf(aaPlan('1.4', { trial }))).toEqual([]);
  });

  test('compares customers alike: groups that have a cluster each would differ by themselves', () => {
    const { traffic } = aaPlan('2.0');
    const withPolicy = (policy: PlanInput['traffic']['policy']): readonly string[] =>
      problemsOf(
        aaPlan('2.0', { traffic: { ...traffic, policy, key: { ...traffic.key, lookup: 'ages.csv' } } }),
      );
    const byAge = (
      young: string | Record<string, number>,
      old: typeof young,
    ): PlanInput['traffic']['policy'] => ({
      kind: 'range',
      rules: [
        { below: 35, to: young },
        { from: 35, to: old },
      ],
    });
    const dealt = { '2.0@blue': 50, '2.0@green': 50 };
    expect(withPolicy(byAge('2.0@blue', '2.0@green'))).toEqual([
      'decision.aaTest: must not be there where traffic.policy is range and gives each group of customers one cluster: a difference would come from the groups. Deal each group at random, `to: { 2.0@blue: 50, 2.0@green: 50 }`, or take a policy by tail or hash',
    ]);
    expect(withPolicy(byAge(dealt, dealt))).toEqual([]);
    expect(
      withPolicy({
        kind: 'tail',
        rules: [
          { tail: 'odd', to: '2.0@blue' },
          { tail: 'even', to: '2.0@green' },
        ],
      }),
    ).toEqual([]);
  });

  test('has something to compare, and one package of the version', () => {
    const { candidates, clusters, traffic } = aaPlan('2.0');
    const { green: _, ...others } = clusters;
    const [first, second] = candidates;
    const policy = { kind: 'hash' as const, weights: { '2.0': 1 } };
    const alone = {
      candidates: [first!],
      clusters: others,
      deployment: { 'static-home': 'blue' },
      traffic: { ...traffic, policy },
    };
    expect(problemsOf(aaPlan('2.0', alone))).toEqual([
      expect.stringMatching(/^decision\.aaTest: must have two clusters to compare/),
    ]);
    const packages = second!.packages.map((one) => ({ ...one, sha256: 'b'.repeat(64) }));
    expect(problemsOf(aaPlan('2.0', { candidates: [first!, { ...second!, packages }] }))).toEqual([
      expect.stringMatching(
        /^candidates\[1\]\.packages\[0\]\.sha256: must be a{64}, as in the package of 2\.0/,
      ),
    ]);
  });
});
