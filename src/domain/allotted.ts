/** Buckets of requests that came to a version otherwise than by the policy: they would compare other populations. */
const NOT_ALLOTTED: readonly string[] = ['main', 'no-key', 'failover', 'pulled', 'context'];

export function isAllotted(bucket: string): boolean {
  return !NOT_ALLOTTED.includes(bucket);
}
