import type { Logger } from 'pino';
import { dealtGroups } from '../domain/policy/groups.ts';
import { compileSplit, compileStage, type KeyDecision } from '../domain/policy/route-key.ts';
import type { TransactionRule } from '../domain/measure.ts';
import type { RouteTable, TrafficSplit } from '../domain/routes/table.ts';
import { configuredHeaderName } from './header-name.ts';
import { type LookupFile, openLookup } from './lookup-file.ts';
import { compileMeasure, type CompiledMeasure } from './measure-rules.ts';
import { memberValue } from './baggage.ts';
import { compileKeySource, cookieValue, type FindKey } from './request-key.ts';
import type { RequestHead, RequestWatch } from './request-head.ts';
import type { ResponseWatch } from './response-head.ts';

/** A route table made ready for use per request. Everything that can fail has been done when there is one. */
export interface CompiledRoutes {
  readonly table: RouteTable;
  readonly decide: (head: RequestHead) => KeyDecision;
  /** The key of a request, before any look-up; undefined where there is none, or no policy that asks for one. */
  readonly findKey: FindKey;
  /** The decision for a key that `findKey` found, or that is known otherwise, of a request. */
  readonly decideKey: (key: string | undefined, head: RequestHead) => KeyDecision;
  /** The account that a request with this key is of, where it is the unit that is counted. */
  readonly accountOf: (key: string, head: RequestHead) => string | undefined;
  /** Whether the stage's share holds this key back, of a request. */
  readonly isHeldBack: (key: string | undefined, head: RequestHead) => boolean;
  /** Id of the transaction that a request belongs to, or undefined. */
  readonly transactionId: (head: RequestHead) => string | undefined;
  readonly measure: CompiledMeasure;
  readonly requestWatch: RequestWatch;
  readonly responseWatch: ResponseWatch;
  /** The policy's lookup file, kept over tables that name the same one. */
  readonly lookup: LookupFile | null;
}

/** Ids longer than this belong to no transaction: what clients send must not fill the gateway's memory. */
const MAX_TRANSACTION_ID = 256;

/**
 * @throws ChangeoverError `InvalidRequest` if the table's lookup file is not to be had, unless `tolerateLookup`: then
 * keys are unknown until the file is there, and that is logged.
 */
export async function compileRoutes(
  table: RouteTable,
  options: {
    lookupDir: string | undefined;
    previousLookup: LookupFile | null;
    tolerateLookup: boolean;
    logger: Logger;
  },
): Promise<CompiledRoutes> {
  const { split, transactions } = table;
  const lookup = await openLookup(table, options);
  const measure = compileMeasure(table.measure);
  const fromHeader = transactions?.id.from === 'header' ? configuredHeaderName(transactions.id.name) : null;
  const cookie = transactions?.id.from === 'cookie' ? transactions.id.name : null;
  const findKey = split === null ? () => undefined : compileKeySource(split.key);
  const findAccount = compileAccountSource(split);
  const decideKey = compileDecision(table, { lookup, findAccount });
  return {
    table,
    decide: (head) => decideKey(findKey(head), head),
    findKey,
    decideKey,
    accountOf: findAccount === null ? compileAccount(split, lookup) : (_key, head) => findAccount(head),
    isHeldBack: compileHeldBack(split, { lookup, findAccount }),
    transactionId: boundedId(compileTransactionId(transactions)),
    measure,
    requestWatch: {
      keyHeader: split?.key.from === 'header' ? configuredHeaderName(split.key.name) : null,
      transactionHeader: fromHeader,
    },
    responseWatch: {
      volumeHeader: measure.volumeHeader,
      amountHeader: measure.amountHeader,
      transactionHeader: fromHeader,
      transactionCookie: cookie,
      endHeader: transactions?.endHeader === undefined ? null : configuredHeaderName(transactions.endHeader),
    },
    lookup,
  };
}

/** For a header, `RequestWatch.transactionHeader` must have been set to its name. */
function compileTransactionId(rule: TransactionRule | null): FindKey {
  if (rule === null) return () => undefined;
  const { from, name } = rule.id;
  switch (from) {
    case 'header':
      return (head) => head.transactionHeader;
    case 'cookie':
      return (head) => cookieValue(head.cookie, name);
    case 'baggage':
      return (head) => memberValue(head.baggage, name);
  }
}

function boundedId(find: FindKey): FindKey {
  return (head) => {
    const id = find(head);
    return id === undefined || id === '' || id.length > MAX_TRANSACTION_ID ? undefined : id;
  };
}

function compileDecision(
  table: RouteTable,
  { lookup, findAccount }: { lookup: LookupFile | null; findAccount: FindKey | null },
): CompiledRoutes['decideKey'] {
  const { split } = table;
  if (split === null) {
    const main: KeyDecision = { release: table.mainRelease, bucket: 'main' };
    return () => main;
  }
  const decide = compileSplit(split);
  return (key, head) => {
    const found = key === undefined || lookup === null ? key : lookup.get(key);
    return decide(found, findAccount === null ? key : findAccount(head));
  };
}

/** Where groups are dealt at random, and their accounts are told apart by something else than the key; else null. */
function compileAccountSource(split: TrafficSplit | null): FindKey | null {
  if (split?.account === undefined || dealtGroups(split.policy).length === 0) return null;
  return compileKeySource(split.account, { watched: false });
}

function compileHeldBack(
  split: TrafficSplit | null,
  { lookup, findAccount }: { lookup: LookupFile | null; findAccount: FindKey | null },
): CompiledRoutes['isHeldBack'] {
  if (split === null) return () => false;
  const isBehind = compileStage(split);
  if (findAccount !== null) return (_key, head) => isBehind(findAccount(head));
  if (lookup === null || dealtGroups(split.policy).length > 0) return isBehind;
  return (key) => isBehind(key === undefined ? undefined : lookup.get(key));
}

/**
 * What is counted is what the policy splits: with a tail or hash of what was looked up (the account of a card), that. A
 * range or a list (the age, the region) holds many accounts, and then it is the key itself.
 */
function compileAccount(split: TrafficSplit | null, lookup: LookupFile | null): CompiledRoutes['accountOf'] {
  const kind = split?.policy.kind;
  if (lookup === null || kind === 'range' || kind === 'values') return (key) => key;
  return (key) => lookup.get(key);
}
