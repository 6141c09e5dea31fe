import { describe, expect, it } from 'vitest';
import { NO_JOURNAL } from '../../src/gateway/account-register.ts';
import { BY_ACCOUNT, LedgerFixture, tableWith } from './support/unit-ledger-fixture.ts';

describe('accounts as units', () => {
  it('enter once, with the share of their requests in the first window that succeeded', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    fixture.of('4711', '2.0-a')?.settle(0);
    fixture.of('4711', '2.0-a')?.settle(null);
    fixture.nowMs += 4_999;
    fixture.of('4711', '2.0-a')?.settle(null);
    fixture.of('4711', '2.0-a')?.settle(0);
    expect(fixture.counted()).toEqual({});
    fixture.nowMs += 1;
    expect(fixture.of('4711', '2.0-a')).toBeNull();
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 0.5, 2] });
    expect(fixture.of('4711', '2.0-a')).toBeNull();
    expect(fixture.later().counted()).toEqual({ '2.0-a': [1, 0.5, 2] });
  });

  it('stay with the release and table that they met first, also where a share moves them within the window', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    fixture.of('4711', '1.0')?.settle(null);
    fixture.ledger.execute(tableWith(BY_ACCOUNT, { version: 2 }));
    fixture.of('4711', '2.0-a')?.settle(0);
    fixture.later();
    expect(fixture.of('4711', '2.0-a')).toBeNull();
    expect(fixture.ledger.report()?.counts).toEqual([
      {
        tableVersion: 1,
        release: '1.0',
        group: 'all',
        n: 1,
        sum: 0.5,
        squares: 0.25,
        uncapped: 1,
        passed: 0,
      },
    ]);
  });

  it('that the stage held back enter when they meet a candidate, where there is no control arm', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT, { counting: { control: false } }));
    expect(fixture.of('4711', '1.0')).toBeNull();
    fixture.of('4711', '2.0-a')?.settle(0);
    expect(fixture.later().counted()).toEqual({ '2.0-a': [1, 1, 1] });
  });

  it('begin with a request that is allocated', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    expect(fixture.of('4711', '2.0-a', false)).toBeNull();
    fixture.of('4711', '2.0-a')?.settle(0);
    expect(fixture.later().counted()).toEqual({ '2.0-a': [1, 1, 1] });
  });

  it('take the success of another request than what is allocated, one at most', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    fixture.of('one', '2.0-a')?.settle(null);
    fixture.of('one', '2.0-a')?.settle(null);
    fixture.of('one', '2.0-a', false)?.settle(1);
    fixture.of('two', '2.0-a')?.settle(null);
    for (const bought of [1, 2]) fixture.of('two', '2.0-a', false)?.settle(bought);
    expect(fixture.later().counted()).toEqual({ '2.0-a': [2, 1.5, 3] });
  });

  it('with amounts count the capped sum over the window, also of requests that are not allocated', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT, { kind: 'amount', counting: { cap: 100 } }));
    fixture.of('one', '2.0-a')?.settle(null);
    fixture.of('one', '2.0-a', false)?.settle(30);
    fixture.of('one', '2.0-a', false)?.settle(20);
    fixture.of('two', '2.0-a')?.settle(90);
    fixture.of('two', '2.0-a')?.settle(90);
    expect(fixture.later().counted()).toEqual({ '2.0-a': [2, 1.5, 230] });
  });

  it('wait for requests of their window that are under way, until the time-out', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    const slow = fixture.of('slow', '2.0-a');
    const never = fixture.of('never', '2.0-b');
    fixture.of('never', '2.0-b')?.settle(0);
    fixture.nowMs += 6_000;
    slow?.settle(0);
    expect(fixture.counted()).toEqual({});
    fixture.nowMs += 1;
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 1, 1], '2.0-b': [1, 0.5, 1] });
    never?.settle(0);
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 1, 1], '2.0-b': [1, 0.5, 1] });
  });

  it('whose first request went elsewhere, or would have gone to a pulled version, enter never', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    fixture.of('moved', '2.0-a')?.withdraw();
    fixture.ledger.passBy('pulled');
    expect(fixture.pending).toBe(0);
    fixture.nowMs += 1_000;
    for (const account of ['moved', 'pulled']) expect(fixture.of(account, '2.0-b')).toBeNull();
    fixture.of('new', '2.0-b')?.settle(0);
    // Who has entered stays.
    fixture.ledger.passBy('new');
    fixture.of('new', '2.0-b')?.settle(null);
    expect(fixture.later().counted()).toEqual({ '2.0-a': [0, 0, 0], '2.0-b': [1, 0.5, 1] });
  });

  it('that were dealt to a version without a server are told of it, with those that enter meanwhile', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    const dealt = { release: '2.0-b', bucket: 'hash:2.0-b' };
    fixture.of('here', '2.0-a')?.settle(0);
    fixture.of('refused', '2.0-b')?.withdraw();
    fixture.ledger.passBy('refused', dealt);
    fixture.ledger.passBy('turned away', dealt);
    // Once: it is not its first request any more.
    fixture.ledger.passBy('turned away', dealt);
    fixture.ledger.passBy('here', dealt);
    // Nobody's share: it has no key, or its version was pulled.
    fixture.ledger.passBy('keyless', { release: '1.0', bucket: 'no-key' });
    fixture.ledger.passBy('pulled');
    const passed = (): Record<string, unknown> =>
      Object.fromEntries((fixture.ledger.report()?.counts ?? []).map((row) => [row.release, row.passed]));
    expect(passed()).toEqual({});
    expect(fixture.later().counted()).toEqual({ '2.0-a': [1, 1, 1], '2.0-b': [0, 0, 0] });
    expect(passed()).toEqual({ '2.0-a': 0, '2.0-b': 2 });
  });

  it('that were dealt to a version without a server are in no group where they would be in none', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT, { counting: { control: false } }));
    fixture.ledger.passBy('held back', { release: '1.0', bucket: 'held-back' });
    expect(fixture.later().ledger.report()?.counts).toEqual([]);
  });

  it('whose window is open when shares change are left out of all versions; not where a version is pulled', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT));
    fixture.of('closed', '2.0-a')?.settle(0);
    fixture.nowMs += 5_000;
    for (const release of ['1.0', '2.0-a', '2.0-b']) fixture.of(`open-${release}`, release)?.settle(0);
    const { split, ...rest } = tableWith(BY_ACCOUNT, { version: 2 });
    if (split === null) throw new Error('no split');
    fixture.ledger.execute({ ...rest, split: { ...split, pulled: ['2.0-b'] } });
    const policy = { kind: 'hash' as const, salt: 's', weights: { '1.0': 1, '2.0-a': 3 } };
    fixture.nowMs += 1_000;
    fixture.ledger.execute({ ...rest, version: 3, split: { ...split, pulled: ['2.0-b'], policy } });
    for (const release of ['1.0', '2.0-a']) {
      expect(fixture.of(`open-${release}`, '2.0-a')).not.toBeNull();
      fixture.of(`new-${release}`, release)?.settle(0);
    }
    fixture.later();
    expect(fixture.counted()).toEqual({ '1.0': [1, 1, 1], '2.0-a': [2, 2, 2] });
    expect(fixture.pending).toBe(0);
  });

  it('are told apart by the thousand, in windows that pass each other', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT), { max: 20_000 });
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 20_000; i += 1) {
        fixture.of(`account-${i}`, i % 2 === 0 ? '2.0-a' : '2.0-b')?.settle(i % 4 === 0 ? 0 : null);
        fixture.nowMs += 1;
      }
    }
    expect(fixture.later().counted()).toEqual({ '2.0-a': [10_000, 5_000, 5_000], '2.0-b': [10_000, 0, 0] });
    expect(fixture.ledger.report()).toMatchObject({ pending: 0, beyond: 0 });
  });

  it('enter once at all gateways together, where each counts a part of them', () => {
    const gateways = [1, 2, 3].map(
      (part) => new LedgerFixture(tableWith(BY_ACCOUNT), { part: { part, of: 3 } }),
    );
    for (let i = 0; i < 600; i += 1)
      for (const fixture of gateways) fixture.of(`account-${i}`, '2.0-a')?.settle(0);
    const counts = gateways.map((fixture) => fixture.later().counted()['2.0-a']?.[0] ?? 0);
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(600);
    for (const n of counts) expect(n).toBeGreaterThan(100);
  });

  it('enter once where the table names the gateways, at none that it does not name', () => {
    const table = tableWith(BY_ACCOUNT, { counting: { gateways: ['east', 'west'] } });
    const gateways = ['east', 'west', 'stranger'].map((gateway) => new LedgerFixture(table, { gateway }));
    for (let i = 0; i < 600; i += 1)
      for (const fixture of gateways) fixture.of(`account-${i}`, '2.0-a')?.settle(0);
    const counts = gateways.map((fixture) => fixture.later().counted()['2.0-a']?.[0] ?? 0);
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(600);
    expect(counts[0]).toBeGreaterThan(200);
    expect(counts[2]).toBe(0);
  });

  it('beyond the bound are not entered; that is counted, and said once a minute', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT), { max: 2 });
    for (const account of ['one', 'two', 'three', 'four', 'three']) fixture.of(account, '2.0-a')?.settle(0);
    fixture.of('one', '2.0-a')?.settle(null);
    expect(fixture.ledger.report()).toMatchObject({ pending: 2, beyond: 3 });
    expect(fixture.logged).toHaveLength(1);
    expect(fixture.logged[0]).toContain('--max-accounts');
    fixture.later();
    expect(fixture.of('five', '2.0-a')).toBeNull();
    expect(fixture.logged).toHaveLength(2);
    expect(fixture.counted()).toEqual({ '2.0-a': [2, 1.5, 2] });
  });

  it('are forgotten with their trial', () => {
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT), { max: 1 });
    const old = fixture.of('4711', '2.0-a');
    expect(fixture.of('4712', '2.0-a')).toBeNull();
    fixture.ledger.execute(tableWith(BY_ACCOUNT, { version: 2, salt: 'trial-2' }));
    old?.settle(0);
    fixture.of('4711', '2.0-b')?.settle(0);
    expect(fixture.later().counted()).toEqual({ '2.0-b': [1, 1, 1] });
    expect(fixture.ledger.report()).toMatchObject({ trial: 'trial-2', pending: 0, beyond: 0 });
  });

  it('are not reported before they are written down', () => {
    const journal = { ...NO_JOURNAL, noted: 0, written: 0, note: () => void (journal.noted += 1) };
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT), { journal });
    fixture.of('4711', '2.0-a')?.settle(0);
    expect(fixture.later().counted()).toEqual({});
    journal.written = 1;
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 1, 1] });
  });

  it('with long windows keep no more than a thousand slots open', () => {
    const weekMs = 7 * 86_400_000;
    const fixture = new LedgerFixture(tableWith(BY_ACCOUNT, { counting: { windowMs: weekMs } }), {
      max: 10_000,
    });
    for (let i = 0; i < 5_000; i += 1) {
      fixture.of(`account-${i}`, '2.0-a')?.settle(0);
      fixture.nowMs += weekMs / 5_000;
    }
    expect(fixture.ledger.openSlots).toBeLessThanOrEqual(1_001);
  });
});
