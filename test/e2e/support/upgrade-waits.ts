import { until } from '../../../demo/fleet/until.ts';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import type { UpgradeReport } from '../../../src/domain/report/report.ts';
import type { Phase } from '../../../src/domain/upgrade/phase.ts';
import type { UpgradeStatus } from '../../../src/domain/upgrade/status.ts';
import { reportQuery, statusQuery } from '../../../src/workflows/messages.ts';

/** A worker that was just killed or started answers late; a query must not hang on it. */
const QUERY_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 45_000;

/** What the upgrade of the fleet's service says of itself. */
export function statusOf(fleet: Fleet): Promise<UpgradeStatus> {
  return withDeadline(fleet, () => fleet.handle.query(statusQuery));
}

/** Waits for a status; the failure says what was awaited and what the status was instead. */
export async function awaitStatus(
  fleet: Fleet,
  what: string,
  holds: (status: UpgradeStatus) => boolean,
  { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {},
): Promise<UpgradeStatus> {
  let last: UpgradeStatus | undefined;
  const condition = async (): Promise<boolean> => {
    last = await statusOf(fleet);
    if (holds(last)) return true;
    throw new Error(`the status is ${inShort(last)}`);
  };
  await until(what, condition, { timeoutMs });
  if (last === undefined) throw new Error(`no status: ${what}`);
  return last;
}

export function awaitPhase(fleet: Fleet, phase: Phase): Promise<UpgradeStatus> {
  return awaitStatus(fleet, `phase ${phase}`, (status) => status.phase === phase);
}

/** Waits for the end of the upgrade, and brings its report. */
export async function awaitReport(fleet: Fleet, options?: { timeoutMs?: number }): Promise<UpgradeReport> {
  await awaitStatus(fleet, 'the end of the upgrade', ({ phase }) => phase === 'done', options);
  return withDeadline(fleet, () => fleet.handle.query(reportQuery));
}

export function inShort({ phase, step, paused, problems, servers }: UpgradeStatus): string {
  return JSON.stringify({
    phase,
    step: step.what,
    paused: paused?.reason ?? null,
    problems,
    servers: servers.map(({ name, stage, release }) => `${name} ${stage} ${release}`),
  });
}

function withDeadline<T>({ client }: Fleet, call: () => Promise<T>): Promise<T> {
  return client.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, call);
}
