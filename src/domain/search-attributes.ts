/** By what runs are found in Temporal (UI, `temporal workflow list`); names that outsiders rely on. Name → type. */
export const SEARCH_ATTRIBUTES = {
  ChangeoverService: 'KEYWORD',
  ChangeoverPhase: 'KEYWORD',
  /** Versions that compete. */
  ChangeoverCandidates: 'KEYWORD_LIST',
  /** Empty while the run goes on. */
  ChangeoverOutcome: 'KEYWORD',
} as const;

export type SearchAttributeName = keyof typeof SEARCH_ATTRIBUTES;
