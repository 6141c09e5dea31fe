/** Buckets of requests whose version has no server, and of those whose version was pulled. */
export const FAILOVER = 'failover';
export const PULLED = 'pulled';
/** Bucket of requests of a transaction that began otherwise than by the policy, where the gateway does not know how. */
export const TRANSACTION_UNALLOTTED = 'transaction-unallotted';

/** Buckets of requests that came to a version otherwise than by the policy: they would compare other populations. */
export const NOT_ALLOTTED: readonly string[] = [
  'main',
  'no-key',
  FAILOVER,
  PULLED,
  'context',
  TRANSACTION_UNALLOTTED,
];

/** Whether the policy sent the requests of this bucket where they went; only these are evidence. */
export function isAllotted(bucket: string): boolean {
  return !NOT_ALLOTTED.includes(bucket);
}

/** Whether the requests of this bucket went elsewhere because nobody of their version takes any: it was pulled, or has no server. */
export function isTurnedAway(bucket: string): boolean {
  return bucket === PULLED || isMoved(bucket);
}

/** Whether the requests of this bucket were dealt to another version, which had no server for them. */
export function isMoved(bucket: string): boolean {
  return bucket === FAILOVER;
}
