import type { ArmEvidence } from './decision.ts';

export type Totals = Readonly<
  Record<
    string,
    {
      readonly allocated: number;
      readonly volume: number;
      /** Of a source, where outcomes are compared as they were capped: divided by the cap and added up, and their squares. */
      readonly capped?: { readonly sum: number; readonly squares: number };
      /** Requests that came here because the version they were dealt to had no server; absent: none. */
      readonly moved?: number;
    }
  >
>;

export interface EvidenceInput {
  readonly versions: readonly { readonly version: string; readonly role: ArmEvidence['role'] }[];
  /** Counters when the trial began, and now. */
  readonly base: Totals;
  readonly totals: Totals;
  /** Version → why it was pulled. */
  readonly pulled: Readonly<Record<string, string>>;
}

const NOTHING: Totals[string] = { allocated: 0, volume: 0 };

/** What each version got since the trial began: the numbers that a verdict rests on, also for who checks it later. */
export function evidenceOf({ versions, base, totals, pulled }: EvidenceInput): ArmEvidence[] {
  return versions.map(({ version, role }) => {
    const now = totals[version] ?? NOTHING;
    const before = base[version] ?? NOTHING;
    const reason = pulled[version];
    return {
      version,
      role,
      allocated: now.allocated - before.allocated,
      volume: now.volume - before.volume,
      // A source counts since the trial began.
      ...(now.capped === undefined ? {} : { capped: now.capped }),
      ...(reason === undefined ? {} : { pulled: reason }),
    };
  });
}
