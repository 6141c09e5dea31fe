import { effectGrid, type AnytimeSpec, type Arm } from '../../../src/domain/decision/rule-spec.ts';

/** What rules are given in tests; each test says what is otherwise. */

export const CANDIDATES: readonly Arm[] = [
  { version: '2.0-a', role: 'candidate' },
  { version: '2.0-b', role: 'candidate' },
];
export const WITH_CONTROL: readonly Arm[] = [{ version: '1.4', role: 'baseline' }, ...CANDIDATES];

export const ANYTIME_BY_ACCOUNT: AnytimeSpec = {
  rule: 'anytime',
  arms: CANDIDATES,
  volume: 'successes',
  comparison: 'random',
  unit: 'account',
  delta: 0.05,
  epsilon: 0,
  grid: effectGrid(0, undefined),
};
