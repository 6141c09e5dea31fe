import { describe, expect, it } from 'vitest';
import { createBusinessSequence, DEFAULT_MIX, type Business } from '../../demo/load/mix.ts';

function drawn(seed: number, count: number): Business[] {
  const next = createBusinessSequence({ seed, accounts: 50, mix: DEFAULT_MIX });
  return Array.from({ length: count }, next);
}

describe('the sequence of business', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(drawn(7, 200)).toEqual(drawn(7, 200));
    expect(drawn(8, 200).map(({ account }) => account)).not.toEqual(
      drawn(7, 200).map(({ account }) => account),
    );
  });

  it('follows the weights, spreads over all accounts, and names each business once', () => {
    const all = drawn(1, 20_000);
    const share = (kind: Business['kind']): number =>
      (100 * all.filter((business) => business.kind === kind).length) / all.length;
    for (const kind of ['quick', 'visit', 'slow', 'transaction'] as const) {
      expect(Math.abs(share(kind) - DEFAULT_MIX[kind])).toBeLessThan(2);
    }
    expect(new Set(all.map(({ account }) => account)).size).toBe(50);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  });

  it('has transactions of a start, two to four steps and a finish, 100 to 400 ms apart', () => {
    const transactions = drawn(3, 2000).filter(({ kind }) => kind === 'transaction');
    for (const { steps } of transactions) {
      const [start, ...rest] = steps;
      expect(start).toEqual({ method: 'POST', path: '/tx', afterMs: 0 });
      expect(rest.length).toBeGreaterThanOrEqual(3);
      expect(rest.length).toBeLessThanOrEqual(5);
      expect(rest.at(-1)?.path).toBe('/tx/finish');
      expect(rest.every(({ afterMs }) => afterMs >= 100 && afterMs <= 400)).toBe(true);
    }
    expect(transactions.length).toBeGreaterThan(0);
  });
});
