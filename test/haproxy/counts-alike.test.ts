import { expect, test } from 'vitest';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { applyTransitions } from '../../src/domain/routes/transitions.ts';
import { splitOf } from '../../src/domain/upgrade/route-changes.ts';
import { countsAlike } from '../../src/haproxy/target.ts';
import { examplePlan } from '../domain/upgrade/example-plan.ts';
import { baselineRoutes } from '../support/baseline-routes.ts';

const plan = examplePlan();
const before = baselineRoutes(plan);
const withCandidates = applyTransitions(
  before,
  [
    { kind: 'open', servers: ['blue-1'], release: '2.0-a' },
    { kind: 'open', servers: ['green-1'], release: '2.0-b' },
  ],
  before.version + 1,
);
const inTrial: RouteTable = { ...withCandidates, split: splitOf(plan, 0.5, 'upgrade-1') };
const executed = (table: RouteTable) => ({
  table,
  slots: new Map([...new Set(table.servers.map(({ release }) => release))].map((one, at) => [one, at + 1])),
  entries: [],
});

const CHANGES = [
  { what: 'servers leave', now: executed(before), next: closed(before), alike: true },
  { what: 'releases come', now: executed(before), next: withCandidates, alike: true },
  {
    what: 'releases go, whose slots others may get',
    now: executed(withCandidates),
    next: before,
    alike: false,
  },
  { what: 'a trial begins', now: executed(withCandidates), next: inTrial, alike: false },
  { what: 'a trial goes on', now: executed(inTrial), next: closed(inTrial), alike: false },
  { what: 'a trial ends', now: executed(inTrial), next: withCandidates, alike: false },
  { what: 'nobody knows what was executed', now: null, next: before, alike: false },
];

test.each(CHANGES)('what was counted means the same after a change: $what', ({ now, next, alike }) => {
  expect(countsAlike(now, next)).toBe(alike);
});

function closed(table: RouteTable): RouteTable {
  return applyTransitions(table, [{ kind: 'close', servers: ['base-1'] }], table.version + 1);
}
