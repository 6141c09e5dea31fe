import type { TestContext } from 'vitest';

/** Set by `.ci/run`: there a missing component is a failure, for it would hide what is not tested. */
const REQUIRE_ALL = process.env.CHANGEOVER_REQUIRE_ALL === '1';

/**
 * To be called at the start of a test that needs software which a user's machine may lack (HAProxy, Docker …).
 * Skips the test with the reason, or fails it where everything has to be there.
 */
export function requireComponent(name: string, present: boolean, test: Pick<TestContext, 'skip'>): void {
  if (present) return;
  if (REQUIRE_ALL) throw new Error(`${name} is missing, and CHANGEOVER_REQUIRE_ALL=1 demands it.`);
  test.skip(`${name} is not installed here`);
}
