import { ALLOTTED } from './conditions.ts';
import { HAND_ON, whereLua } from './hand-on-script.ts';
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
          `stick store-response var(txn.id) table ${TABLES.ended} if ${hasId} ${ends(transactions.endHeader)}`,
        ]),
    '# The same where another process has taken over.',
    ...whereLua([
      `http-response set-var(txn.given) ${given} if { stopping } ${isGiven}`,
      ...[
        [TABLES.transactions, ALLOTTED],
        [TABLES.unallotted, `!${ALLOTTED}`],
      ].flatMap(([table = '', kind = '']) => [
        `http-response ${HAND_ON} ${table} txn.given if { stopping } { var(txn.given) -m found } ${kind}`,
        `http-response ${HAND_ON} ${table} txn.id if { stopping } ${isOther} ${kind} or { stopping } ${isLong} ${kind}`,
      ]),
      ...(transactions.endHeader === undefined
        ? []
        : [
            `http-response ${HAND_ON} ${TABLES.ended} txn.id if { stopping } ${hasId} ${ends(transactions.endHeader)}`,
          ]),
    ]),
  ];
}

function ends(header: string): string {
  return `{ ${fetchOf('res.fhdr', header)} -m found }`;
}
