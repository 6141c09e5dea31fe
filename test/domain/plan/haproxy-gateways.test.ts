import { describe, expect, test } from 'vitest';
import { problemsAfter } from './example.ts';

const HAPROXY = { 'gateways[0].kind': 'haproxy' };

describe('a plan with an HAProxy among its gateways', () => {
  test('has a service of another name than what upgrades need in its configuration', () => {
    expect(problemsAfter({ service: 'changeover' })).toEqual([]);
    expect(problemsAfter({ ...HAPROXY, service: 'changeover' })).toEqual([
      expect.stringMatching(/^service: must be another name: gw-1 is an HAProxy/),
    ]);
  });

  test('has ranges with bounds that it can compare', () => {
    const bounded = (bound: number) => ({
      'guardrails.errorsAgainstBaseline': undefined,
      'traffic.policy': {
        kind: 'range',
        rules: [
          { below: bound, to: '2.0-a' },
          { from: bound, to: '2.0-b' },
        ],
      },
    });
    const told = 'must be a whole number of at most 15 digits: gw-1 is an HAProxy, which compares no others';
    expect(problemsAfter(bounded(34.5))).toEqual([]);
    expect(problemsAfter({ ...HAPROXY, ...bounded(-35) })).toEqual([]);
    for (const bound of [34.5, 1e15])
      expect(problemsAfter({ ...HAPROXY, ...bounded(bound) })).toEqual([
        `traffic.policy.rules[0].below: ${told}`,
        `traffic.policy.rules[1].from: ${told}`,
      ]);
  });
});
