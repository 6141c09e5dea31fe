import { setTimeout as delay } from 'node:timers/promises';
import type { EfficacyAnswer, UpgradeStatus } from '../src/domain/upgrade/status.ts';
import type { TimelineEntry } from '../src/domain/upgrade/state.ts';
import { efficacyQuery, statusQuery, timelineQuery } from '../src/workflows/messages.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { LoadTotals } from './load/summary.ts';

/** One look at the demo: the upgrade, and the load that runs meanwhile. */
export interface Snapshot {
  readonly status: UpgradeStatus;
  readonly efficacy: EfficacyAnswer;
  readonly timeline: readonly TimelineEntry[];
  readonly load: LoadTotals | null;
  /** What still ends on servers that drain, at all gateways; null while none does. */
  readonly draining: { readonly requests: number; readonly transactions: number } | null;
}

const POLL_MS = 300;
/** A worker that was just started reads the history first. */
const QUERY_TIMEOUT_MS = 5_000;

/** A look, or undefined where the upgrade or the controller does not answer right now. */
async function look(fleet: Fleet, load: () => LoadTotals | null): Promise<Snapshot | undefined> {
  try {
    // A call must not outlive the connection that it uses.
    return await fleet.client.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, async () => {
      // One after the other: of two queries at once, one may wait for seconds until a worker gets it.
      const status = await fleet.handle.query(statusQuery);
      const efficacy = await fleet.handle.query(efficacyQuery);
      const timeline = await fleet.handle.query(timelineQuery);
      return { status, efficacy, timeline, load: load(), draining: await drainingOf(fleet, status) };
    });
  } catch {
    return undefined;
  }
}

async function drainingOf(fleet: Fleet, { servers }: UpgradeStatus): Promise<Snapshot['draining']> {
  const names = servers.filter(({ stage }) => stage === 'draining').map(({ name }) => name);
  if (names.length === 0) return null;
  const { gateways } = await fleet.registry.load(fleet.service, names);
  const all = gateways.flatMap((gateway) => gateway.servers);
  return {
    requests: all.reduce((sum, { inFlight }) => sum + inFlight, 0),
    transactions: all.reduce((sum, { transactions }) => sum + transactions, 0),
  };
}

/**
 * Looks until the upgrade is done. `onLook` is awaited: it may act.
 *
 * @throws the reason of `signal`; why the upgrade failed, where it did
 */
export async function watchUpgrade(
  fleet: Fleet,
  load: () => LoadTotals | null,
  { onLook, signal }: { onLook: (snapshot: Snapshot) => Promise<void>; signal: AbortSignal },
): Promise<Snapshot> {
  for (;;) {
    signal.throwIfAborted();
    const snapshot = await look(fleet, load);
    signal.throwIfAborted();
    if (snapshot !== undefined) {
      await onLook(snapshot);
      if (snapshot.status.phase === 'done') return snapshot;
    }
    await throwIfFailed(fleet);
    await delay(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** A run that failed answers queries as before; only its description tells. */
async function throwIfFailed({ handle, client }: Fleet): Promise<void> {
  const { status } = await client.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
    handle.describe(),
  );
  if (status.name === 'FAILED' || status.name === 'TERMINATED' || status.name === 'CANCELLED') {
    await handle.result();
  }
}
