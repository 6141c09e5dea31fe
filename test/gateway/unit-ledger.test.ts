import { describe, expect, it } from 'vitest';
import { EVERYONE } from '../../src/domain/decision/block.ts';
import { tableOf } from './support/gateway-fixture.ts';
import { BY_ACCOUNT, BY_REQUEST, LedgerFixture, tableWith } from './support/unit-ledger-fixture.ts';

describe('units of groups that are dealt at random', () => {
  const table = tableOf([], {
    split: {
      ...tableWith(BY_ACCOUNT).split!,
      policy: {
        kind: 'values',
        rules: [
          { values: ['bern'], to: '1.0' },
          { values: ['basel'], to: { '2.0-a': 1, '2.0-b': 1 } },
        ],
        otherwise: { '2.0-a': 1, '2.0-b': 9 },
      },
    },
  });

  it('are of a group by the bucket in which they came, held back or not', () => {
    const { ledger } = new LedgerFixture(table);
    const groupOf = ledger.rules?.groupOf ?? (() => 'no rules');
    expect(groupOf('list2:basel')).toBe('list2:basel');
    expect(groupOf('held-back:list2:basel')).toBe('list2:basel');
    expect(groupOf('otherwise')).toBe('otherwise');
    // Who is always sent to the baseline is in no group in which versions are compared.
    for (const bucket of ['values:1.0', 'held-back', 'no-key']) expect(groupOf(bucket)).toBeUndefined();
  });

  it('are reported for each version and group, an account in the one where it was first', () => {
    const fixture = new LedgerFixture(table);
    const enter = (account: string, release: string, group: string): void =>
      fixture.ledger.ofAccount({ account, release, group, allocated: true })?.settle(1);
    enter('1', '2.0-a', 'otherwise');
    enter('2', '2.0-a', 'list2:basel');
    enter('3', '2.0-b', 'list2:basel');
    enter('3', '2.0-b', 'otherwise');
    const counts = fixture.later().ledger.report()?.counts ?? [];
    expect(counts.map(({ release, group, n, sum }) => [release, group, n, sum])).toEqual([
      ['2.0-a', 'otherwise', 1, 1],
      ['2.0-a', 'list2:basel', 1, 1],
      ['2.0-b', 'list2:basel', 1, 1],
    ]);
  });
});

describe('requests as units', () => {
  it('are reported when all of their slot are known, so that slow successes are not missing beside quick failures', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    const slow = fixture.request('2.0-a');
    for (let i = 0; i < 3; i += 1) fixture.request('2.0-b').settle(null);
    fixture.nowMs += 5_000;
    expect(fixture.counted()).toEqual({});
    expect(fixture.pending).toBe(4);
    slow.settle(0);
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 1, 1], '2.0-b': [3, 0, 0] });
    expect(fixture.pending).toBe(0);
  });

  it('are reported in the order of their assignment, whichever slot is known first', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    const first = fixture.request('2.0-a');
    fixture.nowMs += 1_000;
    fixture.request('2.0-a').settle(0);
    fixture.nowMs += 1_000;
    expect(fixture.counted()).toEqual({});
    first.settle(null);
    expect(fixture.counted()).toEqual({ '2.0-a': [2, 1, 1] });
  });

  it('count in the slot that is open only once its time is over', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    fixture.request('2.0-a').settle(0);
    fixture.nowMs += 249;
    expect(fixture.counted()).toEqual({});
    fixture.nowMs += 1;
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 1, 1] });
  });

  it('that have no outcome in time count as failed, whenever somebody looks', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    const [never, late, inTime] = [
      fixture.request('2.0-a'),
      fixture.request('2.0-a'),
      fixture.request('2.0-a'),
    ];
    fixture.nowMs += 10_000;
    inTime.settle(0);
    expect(fixture.counted()).toEqual({});
    fixture.nowMs += 1;
    late.settle(0);
    expect(fixture.counted()).toEqual({ '2.0-a': [3, 1, 1] });
    never.settle(0);
    expect(fixture.counted()).toEqual({ '2.0-a': [3, 1, 1] });
  });

  it('count under the table by which they were assigned', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    const before = fixture.request('2.0-a');
    fixture.ledger.execute(tableWith(BY_REQUEST, { version: 2 }));
    fixture.request('2.0-a').settle(null);
    before.settle(0);
    fixture.nowMs += 1_000;
    expect(fixture.ledger.report()?.counts).toEqual([
      { tableVersion: 1, release: '2.0-a', group: 'all', n: 1, sum: 1, squares: 1, uncapped: 1 },
      { tableVersion: 2, release: '2.0-a', group: 'all', n: 1, sum: 0, squares: 0, uncapped: 0 },
    ]);
  });

  it('with amounts count what is capped, one by one, and their sum as it was', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST, { kind: 'amount', counting: { cap: 100 } }));
    for (const amount of [50, 250, -10, null]) fixture.request('2.0-a').settle(amount);
    fixture.later();
    expect(fixture.ledger.report()?.counts).toEqual([
      { tableVersion: 1, release: '2.0-a', group: 'all', n: 4, sum: 1.5, squares: 1.25, uncapped: 290 },
    ]);
  });

  it('with clicks count each as one before the cap', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST, { kind: 'clicks', counting: { cap: 4 } }));
    fixture.request('2.0-a').settle(0);
    expect(fixture.later().counted()).toEqual({ '2.0-a': [1, 0.25, 1] });
  });

  it('of the baseline are none without a control arm', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST, { counting: { control: false } }));
    expect(fixture.ledger.ofRequest('1.0', EVERYONE)).toBeNull();
    expect(fixture.ledger.ofRequest('2.0-a', EVERYONE)).not.toBeNull();
  });

  it('that went elsewhere are left out, and hold nobody up', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    fixture.request('2.0-a').withdraw();
    fixture.request('2.0-a').settle(0);
    fixture.nowMs += 250;
    expect(fixture.counted()).toEqual({ '2.0-a': [1, 1, 1] });
  });

  it('are not counted where the table does not ask for it, and are anew in another trial', () => {
    const fixture = new LedgerFixture(tableWith(BY_REQUEST));
    const old = fixture.request('2.0-a');
    fixture.request('2.0-a').settle(0);
    fixture.ledger.execute(tableOf([], { version: 2 }));
    expect(fixture.ledger.ofRequest('2.0-a', EVERYONE)).toBeNull();
    expect(fixture.ledger.report()).toBeUndefined();
    fixture.ledger.execute(tableWith(BY_REQUEST, { version: 3, salt: 'trial-2' }));
    old.settle(0);
    fixture.request('2.0-b').settle(0);
    expect(fixture.later().counted()).toEqual({ '2.0-b': [1, 1, 1] });
    expect(fixture.ledger.report()?.trial).toBe('trial-2');
  });
});
