import { expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { accountName } from '../../demo/load/mix.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { ONE_SERVER_EACH, sameVersionPlan } from './support/same-version-plan.ts';
import { createTestFleet, startLoad } from './support/test-fleet.ts';
import { awaitReport } from './support/upgrade-waits.ts';

const BORDER = Number(accountName(150));

/** Two groups of customers, by their numbers, whose accounts are dealt at random: nine to one, and one to nine. */
function groupsPlan(fleet: Fleet): PlanInput {
  const traffic: Pick<PlanInput['traffic'], 'policy' | 'account'> = {
    account: { from: 'header', name: 'x-account' },
    policy: {
      kind: 'range',
      rules: [
        { below: BORDER, to: { '2.0-a@blue': 9, '2.0-a@green': 1 } },
        { from: BORDER, to: { '2.0-a@blue': 1, '2.0-a@green': 9 } },
      ],
    },
  };
  return sameVersionPlan(fleet, { traffic, length: '4s' });
}

test('groups of customers that are dealt at random under load are counted apart, and the split is right in each', async () => {
  await using fleet = await createTestFleet(ONE_SERVER_EACH, groupsPlan);
  await using load = await startLoad(fleet);
  await fleet.start(groupsPlan(fleet));

  const { outcome, decision } = await awaitReport(fleet);
  expect(outcome).toBe('rolledBack');
  const { verdict } = decision;
  if (verdict === null || !('notes' in verdict)) throw new Error('no verdict of a rule');
  // The same version in both groups and on both clusters: no difference, and no wrong split, though shares differ by group.
  expect(verdict.kind).toBe('equivalent');
  expect(verdict.notes.join('\n')).toContain('Accounts were dealt at random inside each group');
  expect(verdict.notes.join('\n')).toContain('Checked: the accounts that came to each version in each group');
  const groups = [`range:..${BORDER}`, `range:${BORDER}..`].map((group) => {
    const note = verdict.notes.find((text) => text.startsWith(`Group ${group}:`)) ?? '';
    const [blue = 0, green = 0] = [...note.matchAll(/ of ([\d,]+) = /g)].map(([, units]) => Number(units));
    return { blue, green };
  });
  expect(groups).toHaveLength(2);
  const [low, high] = groups;
  expect(low?.blue).toBeGreaterThan(2 * (low?.green ?? 0));
  expect(high?.green).toBeGreaterThan(2 * (high?.blue ?? 0));
  const unitsOf = (version: string): number | undefined => {
    const arm = verdict.arms.find((one) => one.version === version);
    return arm !== undefined && 'units' in arm ? arm.units : undefined;
  };
  expect(unitsOf('2.0-a@blue')).toBe((low?.blue ?? 0) + (high?.blue ?? 0));
  expect(unitsOf('2.0-a@green')).toBe((low?.green ?? 0) + (high?.green ?? 0));
  expect(await load.stop()).toMatchObject({ lost: 0, losses: [] });
});
