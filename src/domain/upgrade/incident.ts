import type { GuardrailNotice } from './results.ts';
import { noted, type UpgradeState } from './state.ts';

type Trial = UpgradeState['trial'];

/** A line in the timeline when the environment falls ill, and when it is well again. */
export function tellIncident(state: UpgradeState, before: Trial['incident'], at: string): UpgradeState {
  const { incident } = state.trial;
  if (incident !== undefined && before === undefined) {
    return noted(state, { at, what: `The trial stands still, shares stay as they are: ${incident.reason}` });
  }
  return incident === undefined && before !== undefined
    ? noted(state, { at, what: 'The environment is well again: the trial goes on' })
    : state;
}

/** What is known of candidates without data, each since it was first heard of. */
export function noticesSince(
  heard: NonNullable<Trial['notices']>,
  now: readonly GuardrailNotice[] | undefined,
  at: string,
): NonNullable<Trial['notices']> {
  return (now ?? []).map((notice) => {
    const before = heard.find(({ release, kind }) => release === notice.release && kind === notice.kind);
    return { ...notice, since: before?.since ?? at };
  });
}
