import { type RuleParts, TABLES } from './layout.ts';
import { UNALLOTTED } from './rules.ts';

/** Rules in a slot's backend: a transaction sticks to its server, also while that drains. */
export function stickRules({ transactions }: RuleParts): string[] {
  if (transactions === null || transactions === undefined) return [];
  const given =
    transactions.id.from === 'header'
      ? `res.fhdr(${transactions.id.name})`
      : `res.cook(${transactions.id.name})`;
  return [
    `stick on var(txn.id) table ${TABLES.transactions} if { var(txn.id) -m found }`,
    `stick store-response ${given} table ${TABLES.transactions}`,
    `stick store-request var(txn.id) table ${TABLES.allotted} if { var(txn.id) -m found } !${UNALLOTTED}`,
    `stick store-response ${given} table ${TABLES.allotted} if !${UNALLOTTED}`,
    ...(transactions.endHeader === undefined
      ? []
      : [
          `stick store-response var(txn.id) table ${TABLES.ended} if { var(txn.id) -m found } { res.fhdr(${transactions.endHeader}) -m found }`,
        ]),
  ];
}
