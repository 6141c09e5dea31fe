import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { TrafficCount } from '../../src/domain/measure.ts';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import { ended, plus, row, service, startGuarded } from './guarded-trial.ts';
import { split } from './running-controller.ts';

const eventually = { timeout: 15_000, interval: 10 };

describe('guardrails beside a baseline that was dealt other groups', () => {
  const GROUPS = ['range:..35', 'range:35..'] as const;
  const policy: TrafficSplit['policy'] = {
    kind: 'range',
    rules: [
      { below: 35, to: { '2.0-a': 90, '2.0-b': 10 } },
      { from: 35, to: { '2.0-a': 10, '2.0-b': 90 } },
    ],
  };
  const bounds = { errorsAgainstBaseline: { times: 2 } };
  type Counts = readonly [requests: number, bad: number];

  /** Rows of a candidate and of what stages held back, by group. */
  function rowsOf(young: { its: Counts; held: Counts }, old: { its: Counts; held: Counts }): TrafficCount[] {
    return [young, old].flatMap(({ its, held }, group) => [
      { ...row('2.0-a', ended(...its)), bucket: GROUPS[group] ?? '' },
      { ...row('1.4', ended(...held)), bucket: `held-back:${GROUPS[group] ?? ''}` },
    ]);
  }

  /** The young fail in 20 of 100 cases, the old in 1 of 100, whoever serves them. */
  const likeCustomers = (n: number): TrafficCount[] =>
    rowsOf(
      { its: [900 * n, 180 * n], held: [100 * n, 20 * n] },
      { its: [100 * n, n], held: [900 * n, 9 * n] },
    );

  it('compare within the groups, and go on so over a restart of the controller', async () => {
    await using up = await startGuarded(bounds, 'embedded', { ...split, policy });
    for (let n = 1; n <= 6; n++) {
      await up.show(likeCustomers(n));
      if (n === 3) await up.restart();
    }
    expect(await up.pulled()).toEqual([]);
    for (let n = 1; n <= 6; n++) {
      const late = rowsOf(
        { its: [300 * n, 290 * n], held: [300 * n, 60 * n] },
        { its: [0, 0], held: [0, 0] },
      );
      await up.show(sumOf(likeCustomers(6), late));
    }
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
    expect((await up.pulled())[0]).toMatch(
      /^2\.0-a: .* as many as the baseline's .*, compared group by group$/,
    );
  });

  it('have no evidence left of what an earlier version added up', async () => {
    await using up = await startGuarded(bounds, 'embedded', { ...split, policy });
    await up.show(likeCustomers(1));
    await up.show(likeCustomers(2));
    await up.restart(undefined, async (stateDir) => {
      const file = join(stateDir, `${service}.guardrails.json`);
      const kept = JSON.parse(await readFile(file, 'utf8')) as {
        candidates: Record<
          string,
          { relative: { lnE: number[]; groups?: object }; counted: { groups?: object } }
        >;
      };
      for (const { relative, counted } of Object.values(kept.candidates)) {
        delete relative.groups;
        delete counted.groups;
        relative.lnE = relative.lnE.map(() => 50);
      }
      await writeFile(file, JSON.stringify(kept));
    });
    for (let n = 3; n <= 5; n++) await up.show(likeCustomers(n));
    expect(await up.pulled()).toEqual([]);
  });

  function sumOf(one: readonly TrafficCount[], more: readonly TrafficCount[]): TrafficCount[] {
    return one.map((each, i) => plus(each, more[i] ?? {}));
  }
});
