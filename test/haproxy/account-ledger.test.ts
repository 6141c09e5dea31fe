import { describe, expect, it } from 'vitest';
import xxhash from 'xxhash-wasm';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { AccountRegister, NO_JOURNAL } from '../../src/gateway/account-register.ts';
import type { AccountPart } from '../../src/domain/routes/account-part.ts';
import { AccountLedger } from '../../src/haproxy/account-ledger.ts';
import { ACCOUNT_COUNTS, ACCOUNT_TAGS, encoded } from '../../src/haproxy/layout.ts';
import type { TableRow } from '../../src/haproxy/runtime-answers.ts';
import { tableOf } from '../gateway/support/gateway-fixture.ts';

const { h32 } = await xxhash();
const WINDOW_MS = 60_000;
const TIMEOUT_MS = 10_000;
const START_S = 1_800_000_000;

function table(salt = 'trial-1'): RouteTable {
  const server = {
    name: 'one',
    url: 'http://127.0.0.1:9',
    cluster: 'main',
    release: '2.0',
    ingress: 'open',
  } as const;
  const base = tableOf([server], { version: 7 });
  const split = {
    key: { from: 'header', name: 'x-account' },
    policy: { kind: 'hash', salt: 's', weights: { '2.0': 1 } },
    withoutKey: '2.0',
    baseline: '2.0',
    share: 1,
    salt,
    pulled: [],
    counting: { unit: 'account', control: true, timeoutMs: TIMEOUT_MS, windowMs: WINDOW_MS },
  } as const;
  return { ...base, split };
}

interface Account {
  readonly second?: number;
  readonly uses?: number;
  readonly requests?: number;
  readonly answered?: number;
  readonly matches?: number;
  readonly slot?: number;
  /** Nobody could take it: of the release to which it was dealt, or of none that has a share. */
  readonly turnedAway?: 'dealt' | 'pulled';
}

/** As HAProxy shows an account; one request that succeeded unless said otherwise. */
function row(key: string, account: Account = {}): TableRow {
  const { second = START_S, uses = 0, requests = 1, answered = requests, matches = answered } = account;
  const fields = new Map([
    [`gpt${ACCOUNT_TAGS.second}`, second],
    [`gpt${ACCOUNT_TAGS.tableVersion}`, 7],
    [`gpt${ACCOUNT_TAGS.release}`, account.turnedAway === 'pulled' ? 0 : h32(encoded('2.0'))],
    [`gpt${ACCOUNT_TAGS.slot}`, account.slot ?? 0],
    [`gpt${ACCOUNT_TAGS.turnedAway}`, account.turnedAway === undefined ? 0 : 1],
    [`gpc${ACCOUNT_COUNTS.started}`, requests],
    [`gpc${ACCOUNT_COUNTS.allocated}`, requests],
    [`gpc${ACCOUNT_COUNTS.answered}`, answered],
    [`gpc${ACCOUNT_COUNTS.matches}`, matches],
  ]);
  return { key, uses, fields };
}

function ledgerOf({
  max = 100,
  part = { part: 1, of: 1 },
}: { max?: number; part?: AccountPart } = {}): AccountLedger {
  return new AccountLedger({ register: new AccountRegister({ max, journal: NO_JOURNAL }), part });
}

/** Reads once the windows of `START_S` are over, by so many milliseconds. */
function read(
  ledger: AccountLedger,
  rows: readonly TableRow[],
  { overForMs = 1_000, startedSecond = 0, full = 0, process = '1@0', salt = 'trial-1' } = {},
): void {
  const nowMs = (START_S + 1) * 1_000 + WINDOW_MS + 500 + overForMs;
  ledger.read({ table: table(salt), nowMs, process, startedSecond, rows, used: rows.length, full });
}

function countsOf(ledger: AccountLedger): unknown {
  return ledger.report(table())?.counts.map(({ release, n, sum }) => ({ release, n, sum }));
}

describe('Accounts that HAProxy counts', () => {
  it('enter once, however often they come again', () => {
    const ledger = ledgerOf();
    read(ledger, [row('a'), row('b', { requests: 4, matches: 1 })]);
    read(ledger, [row('a', { second: START_S + 1, matches: 0 }), row('c')], { overForMs: 5_000 });
    expect(countsOf(ledger)).toEqual([{ release: '2.0', n: 3, sum: 2.25 }]);
    expect(ledger.settled).toEqual(['c', 'a']);
  });

  it('wait for requests under way, and those that entered later wait with them', () => {
    const ledger = ledgerOf();
    const slow = row('a', { uses: 1, requests: 2, answered: 1, matches: 1 });
    const later = row('b', { second: START_S + 1, matches: 0 });
    read(ledger, [slow, later], { overForMs: 3_000 });
    expect(countsOf(ledger)).toEqual([]);
    expect(ledger.report(table())?.pending).toBe(2);
    // A broken-off request is a failure, and so is one that was not answered in time.
    read(ledger, [slow, later], { overForMs: TIMEOUT_MS + 1 });
    expect(countsOf(ledger)).toEqual([{ release: '2.0', n: 2, sum: 0.5 }]);
  });

  it('are left out where they had a request under way at a reload: nobody knows how it ended', () => {
    const ledger = ledgerOf();
    const underWay = row('a', { requests: 2, answered: 1, matches: 1 });
    const before = row('b', { requests: 2 });
    const after = row('c', { second: START_S + 1, requests: 2, answered: 1, matches: 1 });
    read(ledger, [underWay, before, after], { startedSecond: START_S, overForMs: 3_000 });
    expect(countsOf(ledger)).toEqual([{ release: '2.0', n: 2, sum: 1.5 }]);
    read(ledger, [row('a', { second: START_S + 2 })], { overForMs: 5_000 });
    expect(countsOf(ledger)).toEqual([{ release: '2.0', n: 2, sum: 1.5 }]);
  });

  it('that find no room are counted, in HAProxy over its reloads and here', () => {
    const ledger = ledgerOf({ max: 1 });
    read(ledger, [row('a'), row('b', { requests: 3 })], { full: 4 });
    read(ledger, [], { full: 6 });
    read(ledger, [], { full: 2, process: '2@1' });
    expect(ledger.report(table())).toMatchObject({ beyond: 3 + 6 + 2 });
    expect(countsOf(ledger)).toEqual([{ release: '2.0', n: 1, sum: 1 }]);
  });

  it('are those of the part that this gateway counts', () => {
    const ledger = ledgerOf({ part: { part: 2, of: 2 } });
    const open = { second: START_S + 60 };
    read(ledger, [row('a', { slot: 4 }), row('b', { slot: 7 }), row('c', open), row('d', open)]);
    expect(countsOf(ledger)).toEqual([{ release: '2.0', n: 1, sum: 1 }]);
    // Of two that are within their windows, half are expected to be its own.
    expect(ledger.report(table())?.pending).toBe(1);
  });

  it('that were turned away never enter, and are told once where they were dealt to a version', () => {
    const ledger = ledgerOf();
    read(ledger, [
      row('a'),
      row('b', { turnedAway: 'dealt', answered: 0 }),
      row('c', { turnedAway: 'pulled' }),
    ]);
    const told = { counts: [{ release: '2.0', n: 1, sum: 1, passed: 1 }] };
    expect(ledger.report(table())).toMatchObject(told);
    const later = { second: START_S + 1 };
    read(ledger, [
      row('b', later),
      row('c', later),
      row('a', { ...later, turnedAway: 'dealt' }),
      row('b', { second: START_S + 2, turnedAway: 'dealt' }),
    ]);
    read(ledger, [row('b', later), row('c', later)], { overForMs: 5_000 });
    expect(ledger.report(table())).toMatchObject(told);
    expect(ledger.settled).toEqual(['b', 'c']);
  });

  it('that were turned away are told over a reload, and not counted where there is no room for them', () => {
    const ledger = ledgerOf({ max: 1 });
    const turnedAway = { turnedAway: 'dealt', answered: 0 } as const;
    read(ledger, [row('a', turnedAway), row('b', turnedAway)], { startedSecond: START_S + 9 });
    expect(ledger.report(table())).toMatchObject({ beyond: 0, counts: [{ n: 0, passed: 1 }] });
  });

  it('that were turned away are not told where an earlier companion began the count: it told none', () => {
    const ledger = ledgerOf();
    read(ledger, [row('a')]);
    const { state } = ledger;
    if (state === null) throw new Error('nothing was read');
    const counts = state.counts.map(({ passed: _, ...count }) => count);
    ledger.restore({ ...state, counts });
    read(ledger, [row('b'), row('c', { turnedAway: 'dealt' })], { overForMs: 5_000 });
    expect(ledger.report(table())?.counts).toEqual([{ ...counts[0], n: 2, sum: 2, squares: 2, uncapped: 2 }]);
  });

  it('of another trial are others', () => {
    const ledger = ledgerOf();
    read(ledger, [row('a')]);
    read(ledger, [row('b')], { salt: 'trial-2' });
    expect(ledger.state).toMatchObject({ trial: 'trial-2', counts: [{ n: 1 }] });
  });
});
