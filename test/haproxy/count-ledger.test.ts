import { describe, expect, it } from 'vitest';
import { EVERY_ACCOUNT } from '../../src/domain/routes/account-part.ts';
import type { TrafficCount } from '../../src/domain/measure.ts';
import { AccountRegister, NO_JOURNAL } from '../../src/gateway/account-register.ts';
import { AccountLedger } from '../../src/haproxy/account-ledger.ts';
import { CountLedger } from '../../src/haproxy/count-ledger.ts';
import { CountRows } from '../../src/haproxy/count-rows.ts';
import type { ServerStat } from '../../src/haproxy/runtime-answers.ts';

function ledger(): CountLedger {
  const register = new AccountRegister({ max: 10, journal: NO_JOURNAL });
  return new CountLedger('/nowhere', new AccountLedger({ register, part: EVERY_ACCOUNT, gateway: 'gw-1' }));
}

/** Answered requests of a server, in a bucket of a release. */
function counted(server: string, bucket: string, of: Partial<TrafficCount>): TrafficCount {
  const key = { release: '1.0', cluster: 'main', server, bucket };
  return { ...new CountRows().row(key), ...of };
}

/** What HAProxy says of a server in a slot. */
function stat(backend: string, server: string, answered: Partial<ServerStat['answered']>): ServerStat {
  const none = { succeeded: 0, clientErrors: 0, serverErrors: 0 };
  return {
    ...{ backend, server, id: 1, inFlight: 0, failed: 0, aborted: 0, up: true },
    answered: { ...none, ...answered },
    usable: backend === 'shop_1',
  };
}

const placeOf = ({ backend }: ServerStat): { release: string; cluster: string } | null =>
  backend === 'shop_3' ? null : { release: backend === 'shop_1' ? '1.0' : '2.0', cluster: 'main' };

describe('answers of a process that was replaced', () => {
  const read = [
    counted('one', 'odd', { requests: 5, succeeded: 4, clientErrors: 1 }),
    counted('one', 'even', { requests: 2, succeeded: 2 }),
    counted('two', 'odd', { requests: 3, serverErrors: 3 }),
  ];

  it('are those that its servers gave beyond what was read, in the slot in which each is', () => {
    const counts = ledger();
    counts.read('1', read, [], placeOf);
    const stats = [
      stat('shop_1', 'one', { succeeded: 7, clientErrors: 1 }),
      // Of the release before, in the slot that the server has left.
      stat('shop_2', 'one', { succeeded: 1, serverErrors: 2 }),
      stat('shop_1', 'two', { serverErrors: 3 }),
      stat('shop_1', 'three', { succeeded: 1 }),
      stat('shop_3', 'four', { succeeded: 9 }),
    ];
    counts.read('1', [], stats, placeOf, { replaced: true });
    expect(counts.totals()).toEqual([
      ...read,
      counted('one', 'reload', { requests: 4, succeeded: 2, serverErrors: 2 }),
      counted('three', 'reload', { requests: 1, succeeded: 1 }),
    ]);
  });

  it('grow while it ends what it had under way, and stay where they were counted first', () => {
    const counts = ledger();
    counts.read('1', read, [stat('shop_1', 'one', { succeeded: 7 })], placeOf, { replaced: true });
    const later = [stat('shop_1', 'one', { succeeded: 9, clientErrors: 2 })];
    const elsewhere = (): { release: string; cluster: string } => ({ release: '3.0', cluster: 'blue' });
    counts.read('1', [], later, elsewhere, { replaced: true });
    counts.read('1', [], later, elsewhere, { replaced: true });
    expect(counts.totals()).toEqual([
      ...read,
      counted('one', 'reload', { requests: 4, succeeded: 3, clientErrors: 1 }),
    ]);
  });
});
