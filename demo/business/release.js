import { readFileSync } from 'node:fs';

/**
 * What this package is, from `release.json` beside it. Beyond `version`, `mode` and `successRate` there are behaviours
 * for tests: `errorRate` (share of business requests that answer 500), `failsWithFile` (all of them do, as long as this file
 * is there), `slowByMs` (added to every business answer), `startDelayMs` (before it listens), `failStart` (says why on stderr and exits with 1), `needsFile` (the same, as long
 * as this file is missing; `{server}` in its path is the server's name), `hangStart` (listens, and is never healthy).
 */
export function readRelease() {
  const given = JSON.parse(readFileSync(new URL('release.json', import.meta.url), 'utf8'));
  return { errorRate: 0, slowByMs: 0, startDelayMs: 0, failStart: false, hangStart: false, ...given };
}
