import type { GatewaysView } from '../gateway-standing.ts';
import type { ArmEvidence } from '../decision/decision.ts';
import type { Totals } from '../decision/evidence.ts';
import type { RuleProgress } from '../decision/rule-reading.ts';
import type { Plan } from '../plan/schema.ts';
import type { Transition } from '../routes/transitions.ts';
import type { AnyVerdict, GuardrailNotice, ReadingResult } from './results.ts';
import type { Outcome, Phase } from './phase.ts';

/**
 * Where one server stands in being changed. The mark is set before the act, so that whatever happens next knows what
 * may have been done already.
 *
 * open → closing → draining → drained → changing → changed → ready → opening → open
 *
 * `out`: skipped by the operator, sealed off from traffic. `removed`: no longer part of the service, as the operator
 * accepted.
 */
export type ServerStage =
  | 'open'
  | 'closing'
  | 'draining'
  | 'drained'
  | 'changing'
  | 'changed'
  | 'ready'
  | 'opening'
  | 'out'
  | 'removed';

export interface ServerState {
  readonly cluster: string;
  readonly stage: ServerStage;
  /** The version it runs, or ran before the change that is under way. */
  readonly release: string;
  /** A change was begun and is not known to be complete: it may run either version, or none. */
  readonly dirty?: true;
  /** The operator wants it left out. */
  readonly skipped?: { readonly by: string; readonly at: string };
  /** Step that began the present change; with `retry` it names the attempt to the agent. */
  readonly changeStep?: number;
  /** How often the operator asked to try it again. */
  readonly retry?: number;
}

/** Something that an operator can mend: what is wrong, where, since when. */
export interface Problem {
  readonly where: string;
  readonly code: string;
  readonly message: string;
  readonly since: string;
}

/** An operator declared a gateway gone, and what became of that. */
export interface Exclusion {
  readonly gateway: string;
  readonly by: string;
  readonly at: string;
  readonly reason: string;
  /**
   * `wanted`: the controller has not been told yet. `excluded`: nobody waits for it. `refused`: it is not gone. `back`: it
   * has acknowledged the current routes, and is waited for again.
   */
  readonly stands: 'wanted' | 'excluded' | 'refused' | 'back';
}

export interface TimelineEntry {
  readonly at: string;
  readonly phase: Phase;
  readonly what: string;
  readonly by?: string;
}

/** Who decided, on which numbers. */
export interface Approval {
  readonly by: string;
  readonly at: string;
  readonly candidate: string;
  readonly comment?: string;
  readonly verdict: AnyVerdict;
}

export interface TrialState {
  readonly stage: number;
  readonly stageElapsedMs: number;
  readonly elapsedMs: number;
  readonly readings: number;
  /** Counters when the trial began, by version; null before. */
  readonly base: Totals | null;
  /** When it began. */
  readonly since?: string;
  readonly arms: readonly ArmEvidence[];
  readonly verdict: AnyVerdict | null;
  /** Where the plan's rule stands; absent before the first reading, and where it goes by totals. */
  readonly decision?: RuleProgress;
  /** Candidates that are beaten, and whose traffic the routes have taken away. */
  readonly dropped?: readonly string[];
  /** What the last reading said of the environment, and of candidates without data. */
  readonly incident?: NonNullable<ReadingResult['incident']>;
  readonly notices?: readonly (GuardrailNotice & { readonly since: string })[];
  /** Candidate in front, whom the routes give the plan's leader share. */
  readonly leader?: string;
  /** The verdict is final: the trial ended. */
  readonly ended: boolean;
  readonly pulled: Readonly<Record<string, string>>;
  /** Length by which operators extended the last stage, in milliseconds. */
  readonly extendedMs: number;
}

/** All that a run carries over continue-as-new: plain JSON. */
export interface UpgradeState {
  readonly upgradeId: string;
  readonly startedAt: string;
  readonly phase: Phase;
  readonly goal: 'trial' | 'promote' | 'rollback';
  /** Fencing token of the service's lock; 0 before it is held. */
  readonly fence: number;
  /** Step that is under way or was last, with its identity: the same step taken up again keeps its number. */
  readonly step: {
    readonly number: number;
    readonly identity: string;
    readonly what: string;
    readonly since: string;
  };
  readonly servers: Readonly<Record<string, ServerState>>;
  /** Where the routes draw traffic; `applied` is false from before the change until all gateways acknowledged. */
  readonly routes: {
    readonly mode: 'baseline' | 'trial' | 'winner';
    readonly share: number;
    readonly applied: boolean;
    readonly version: number;
    /** What is staged at the controller; null where nothing is, or nobody can say. */
    readonly staged: readonly Transition[] | null;
  };
  readonly trial: TrialState;
  readonly winner: string | null;
  readonly approval: Approval | null;
  readonly aborted: { readonly by: string; readonly at: string; readonly reason: string } | null;
  readonly paused: { readonly by: string; readonly at: string; readonly reason: string } | null;
  /** The operator accepted that servers were left out. */
  readonly accepted: { readonly by: string; readonly at: string } | null;
  readonly problems: readonly Problem[];
  readonly timeline: readonly TimelineEntry[];
  /** Business cut by a drain that the plan wanted forced. */
  readonly forced: readonly { readonly server: string; readonly inFlight: number; readonly at: string }[];
  readonly notes: readonly string[];
  readonly outcome: Outcome | null;
  /** Absent in runs that began under an earlier version of the workflow: they stage the opening of every batch. */
  readonly stagesTrialOnly?: true;
  /** Absent in runs that began under an earlier version of the workflow: a batch opens before the next one closes. */
  readonly opensWithNext?: true;
  /** Every gateway as the last change of the routes saw it. */
  readonly gateways?: GatewaysView;
  readonly exclusions?: readonly Exclusion[];
}

/** Entries of the timeline that are kept in the state; the whole of it is in the history. */
const TIMELINE_LIMIT = 300;

/** @param run `stagesTrialOnly`, `opensWithNext`: false while a run of an earlier version of the workflow is replayed */
export function initialState(
  plan: Plan,
  run: { upgradeId: string; at: string; stagesTrialOnly?: boolean; opensWithNext?: boolean },
): UpgradeState {
  const servers: Record<string, ServerState> = {};
  for (const [cluster, { servers: members }] of Object.entries(plan.clusters)) {
    for (const { name } of members)
      servers[name] = { cluster, stage: 'open', release: plan.baseline.version };
  }
  return {
    upgradeId: run.upgradeId,
    startedAt: run.at,
    phase: 'preflight',
    goal: 'trial',
    fence: 0,
    step: { number: 0, identity: '', what: 'starting', since: run.at },
    servers,
    routes: { mode: 'baseline', share: 0, applied: true, version: 0, staged: null },
    trial: {
      stage: 0,
      stageElapsedMs: 0,
      elapsedMs: 0,
      readings: 0,
      base: null,
      arms: [],
      verdict: null,
      ended: false,
      pulled: {},
      extendedMs: 0,
    },
    winner: null,
    approval: null,
    aborted: null,
    paused: null,
    accepted: null,
    problems: [],
    timeline: [
      {
        at: run.at,
        phase: 'preflight',
        what: `Upgrade of ${plan.service} from ${plan.baseline.version} began`,
      },
    ],
    forced: [],
    notes: [],
    outcome: null,
    ...(run.stagesTrialOnly === false ? {} : { stagesTrialOnly: true }),
    ...(run.opensWithNext === false ? {} : { opensWithNext: true }),
  };
}

/** The state with one more line in its timeline, the oldest dropped past the limit. */
export function noted(state: UpgradeState, entry: { at: string; what: string; by?: string }): UpgradeState {
  return {
    ...state,
    timeline: [...state.timeline, { ...entry, phase: state.phase }].slice(-TIMELINE_LIMIT),
  };
}
