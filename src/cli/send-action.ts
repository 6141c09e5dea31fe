import { setTimeout as delay } from 'node:timers/promises';
import type { SignalDefinition } from '@temporalio/common';
import { whyNot, type Action } from '../domain/upgrade/actions.ts';
import type { TimelineEntry } from '../domain/upgrade/state.ts';
import type { UpgradeStatus } from '../domain/upgrade/status.ts';
import { statusQuery, timelineQuery } from '../workflows/messages.ts';
import { newEntries } from './change-lines.ts';
import { print, type CliContext } from './context.ts';
import { EXIT } from './exit-code.ts';
import { CliFailure } from './failure.ts';
import { openUpgrade, type UpgradeAccess } from './upgrade-access.ts';
import type { UpgradeAddress } from './upgrade-address.ts';

/** A signal has no answer; what it did stands in the timeline, for which one waits so long. */
const CONFIRM_WITHIN_MS = 5_000;
const ASK_EVERY_MS = 100;
/** Where the upgrade first ends the step under way, and then asks somebody else. */
const SETTLE_WITHIN_MS = 20_000;

export interface ActionRequest<Payload extends { readonly by: string }> {
  readonly action: Action;
  readonly address: UpgradeAddress;
  readonly signal: SignalDefinition<[Payload]>;
  readonly payload: Payload;
  /** What more stands against it now, as a sentence. */
  readonly objection?: (status: UpgradeStatus) => string | undefined;
  /** What the timeline says before it says what came of it. */
  readonly isAnnouncement?: (entry: TimelineEntry) => boolean;
}

/**
 * Asks whether the action is possible now, sends the signal, and says what came of it.
 *
 * @throws CliFailure `notNow` with the reason, where the upgrade cannot do it now.
 */
export async function sendAction<Payload extends { readonly by: string }>(
  { env, out }: CliContext,
  request: ActionRequest<Payload>,
): Promise<void> {
  await using upgrade = await openUpgrade(env, request.address);
  const status = await upgrade.query(statusQuery);
  const reason = whyNot(request.action, status) ?? request.objection?.(status);
  if (reason !== undefined) throw new CliFailure(EXIT.notNow, reason);
  const before = await upgrade.query(timelineQuery);
  await upgrade.signal(request.signal, request.payload);
  const entry = await confirmation(upgrade, before, request);
  if (entry === undefined) {
    print(out, `Sent to ${upgrade.workflowId}, which has not said yet what it made of it.`);
    return;
  }
  if (entry.what.startsWith('Refused')) throw new CliFailure(EXIT.notNow, entry.what);
  print(out, `${entry.what} (${entry.by ?? request.payload.by}, ${entry.at})`);
}

async function confirmation<Payload extends { readonly by: string }>(
  upgrade: UpgradeAccess,
  before: readonly TimelineEntry[],
  { payload, isAnnouncement }: ActionRequest<Payload>,
): Promise<TimelineEntry | undefined> {
  const withinMs = isAnnouncement === undefined ? CONFIRM_WITHIN_MS : SETTLE_WITHIN_MS;
  const untilMs = Date.now() + withinMs;
  let announced: TimelineEntry | undefined;
  while (Date.now() < untilMs) {
    const entries = newEntries(before, await upgrade.query(timelineQuery));
    const ours = entries.filter((entry) => entry.by === payload.by);
    const settled = ours.find((entry) => isAnnouncement?.(entry) !== true);
    if (settled !== undefined) return settled;
    announced = ours[0];
    await delay(ASK_EVERY_MS);
  }
  return announced;
}
