import { ALLOTTED } from './conditions.ts';
import { fetchOf, type RuleParts, TABLES } from './layout.ts';

/** So long an answer may take before its transaction is noted anew, in milliseconds. */
const LONG_MS = 1_000;

/** How long stick tables keep a transaction, in milliseconds: for `idleMs` after its last answer, whenever that came. */
export function transactionsExpire(idleMs: number): number {
  return Math.ceil(idleMs) + LONG_MS;
}

/**
 * Rules in a slot's backend: a transaction sticks to its server, also while that drains. Most answers say nothing new of
 * it: to match it keeps it from becoming idle, and it is noted where it began, came to another server, or waited long. An
 * id that the answer gives comes first, since the transaction goes on by that.
 */
export function stickRules({ transactions }: RuleParts): string[] {
  if (transactions === null || transactions === undefined) return [];
  const given =
    transactions.id.from === 'header'
      ? fetchOf('res.fhdr', transactions.id.name)
      : fetchOf('res.cook', transactions.id.name);
  const isGiven = `{ ${given} -m found } !{ ${given},strcmp(txn.id) eq 0 }`;
  const hasId = '{ var(txn.id) -m found }';
  const isOther = `!{ srv_id,sub(txn.at) eq 0 } ${hasId}`;
  const isLong = `{ date(0,ms),sub(txn.began) gt ${LONG_MS} } ${hasId}`;
  return [
    `stick match var(txn.id) table ${TABLES.transactions} if ${ALLOTTED}`,
    `stick match var(txn.id) table ${TABLES.unallotted} if !${ALLOTTED}`,
    `stick store-response ${given} table ${TABLES.transactions} if ${isGiven} ${ALLOTTED}`,
    `stick store-response ${given} table ${TABLES.unallotted} if !${ALLOTTED} ${isGiven}`,
    `stick store-response var(txn.id) table ${TABLES.transactions} if ${isOther} ${ALLOTTED} or ${isLong} ${ALLOTTED}`,
    `stick store-response var(txn.id) table ${TABLES.unallotted} if !${ALLOTTED} ${isOther} or !${ALLOTTED} ${isLong}`,
    ...(transactions.endHeader === undefined
      ? []
      : [
          `stick store-response var(txn.id) table ${TABLES.ended} if ${hasId} { ${fetchOf('res.fhdr', transactions.endHeader)} -m found }`,
        ]),
  ];
}
