/** Buckets of requests that came to a version otherwise than by the policy: they would compare other populations. */
export const NOT_ALLOTTED: readonly string[] = ['main', 'no-key', 'failover', 'pulled', 'context'];

/** Whether the policy sent the requests of this bucket where they went; only these are evidence. */
export function isAllotted(bucket: string): boolean {
  return !NOT_ALLOTTED.includes(bucket);
}
