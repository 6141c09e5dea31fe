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
});
