import type { Plan } from '../plan/schema.ts';
import { changeCycle } from './change-cycle.ts';
import { competitionStep } from './competition.ts';
import {
  candidateOfCluster,
  clusterOfCandidate,
  inStage,
  leftOut,
  members,
  minServing,
  needsChange,
  reopenable,
} from './fleet.ts';
import { isStaged, isTrialAhead, openTransitions, splitTransitions } from './route-changes.ts';
import { exclusionStep } from './exclusions.ts';
import type { UpgradeState } from './state.ts';
import type { Step } from './step.ts';
import { shareOfStage, stageLeftMs, trialLeftMs } from './trial-stages.ts';

/**
 * What the upgrade does next, from the plan and where it stands: the whole order of an upgrade and of its rollback.
 *
 * Pure, and stable while a step is under way: after `beginStep(state, step)` it names the same step again. That is what
 * makes every step resumable, and lets a signal interrupt exactly when it changes what is to be done.
 */
export function nextStep(plan: Plan, state: UpgradeState): Step {
  if (state.phase === 'done') return { kind: 'done' };
  // Also while it is paused: the operator said so, and no server is touched.
  const exclusion = exclusionStep(state);
  if (exclusion !== undefined) return exclusion;
  if (state.paused !== null) return { kind: 'wait', until: 'resumed', reason: state.paused.reason };
  if (state.goal === 'rollback') return towardsBaseline(plan, state);
  if (state.fence === 0) return { kind: 'preflight' };
  return state.goal === 'trial' ? towardsTrial(plan, state) : towardsWinner(plan, state);
}

/** Steps 2 to 6: candidates out of traffic, upgraded, and tried. */
function towardsTrial(plan: Plan, state: UpgradeState): Step {
  const cycle = changeCycle(plan, state);
  if (cycle !== undefined) return cycle;
  if (state.trial.base === null) {
    return { kind: 'collectMetrics', purpose: 'snapshot', waitMs: 0, final: false, reading: 0 };
  }
  const lost = plan.candidates.find(
    (one) => readyServers(state, clusterOfCandidate(plan, one.version)).length === 0,
  );
  if (lost !== undefined && state.routes.mode === 'baseline') {
    return {
      kind: 'wait',
      until: 'mended',
      reason: `${lost.version} has no server left to be tried on: retry one of them, or abort`,
    };
  }
  if (isTrialAhead(state)) {
    const transitions = splitTransitions(plan, state);
    return {
      kind: 'applyRoutes',
      purpose: 'trial',
      servers: candidateServers(plan, state),
      transitions,
      staged: isStaged(state, transitions),
    };
  }
  const competition = competitionStep(plan, state);
  if (competition !== undefined) return competition;
  if (!state.routes.applied) return stageStep(plan, state);
  // A server that was skipped, mended and upgraded since takes part from now on.
  const late = openStep(plan, state);
  if (late !== undefined) return late;
  return state.trial.ended ? watch(plan, state) : trialStep(plan, state);
}

function trialStep(plan: Plan, state: UpgradeState): Step {
  const { stages, readEveryMs } = plan.trial;
  const isLast = state.trial.stage >= stages.length - 1;
  const ofStageMs = stageLeftMs(plan, state);
  if (ofStageMs <= 0 && !isLast) return stageStep(plan, state);
  const leftMs = trialLeftMs(plan, state);
  const dueMs = isLast ? leftMs : Math.min(leftMs, ofStageMs);
  // Time that is over and decided nothing (the environment is ill, a gateway's counters are missing): look again later.
  const waitMs = dueMs > 0 ? Math.min(readEveryMs, dueMs) : readEveryMs;
  return {
    kind: 'collectMetrics',
    purpose: 'trial',
    waitMs,
    final: leftMs <= waitMs,
    reading: state.trial.readings,
  };
}

function stageStep(plan: Plan, state: UpgradeState): Step {
  // While the change is under way `beginStep` has moved the stage on already.
  const stage = state.routes.applied ? state.trial.stage + 1 : state.trial.stage;
  return {
    kind: 'applyRoutes',
    purpose: 'stage',
    servers: [],
    transitions: [{ kind: 'share', share: shareOfStage(plan, stage) }],
    staged: false,
  };
}

/** Pace of the readings while the operator is awaited, in milliseconds; the plan's where that is slower. */
const WATCH_MS = 60_000;

/** While the operator decides, guardrails hold and efficacy stays live, at a pace that keeps the history small. */
function watch(plan: Plan, state: UpgradeState): Step {
  // Without a verdict (the winner was pulled before it could be promoted) one is due at once.
  const waitMs = state.trial.verdict === null ? 0 : Math.max(plan.trial.readEveryMs, WATCH_MS);
  // Decided early: where that is undone by a pull, the time that is left is there to decide anew.
  const final = plan.decision.rule === 'max-efficacy' || trialLeftMs(plan, state) <= 0;
  return { kind: 'collectMetrics', purpose: 'watch', waitMs, final, reading: state.trial.readings };
}

/** Step 7: all traffic to the winner, then every other server, losers first and the baseline cluster last. */
function towardsWinner(plan: Plan, state: UpgradeState): Step {
  const winner = state.winner ?? plan.baseline.version;
  if (state.routes.mode !== 'winner' || !state.routes.applied) {
    const serving = members(state)
      .filter(inStage('open'))
      .filter(([, server]) => server.release === winner).length;
    if (serving < minServing(plan)) {
      const mended = changeCycle(plan, state, { begun: true }) ?? openStep(plan, state);
      if (mended !== undefined) return mended;
      return {
        kind: 'wait',
        until: 'mended',
        reason: `${serving} servers of ${winner} are open, ${minServing(plan)} are needed to carry all business: retry the others, or abort`,
      };
    }
    return { kind: 'promoteOptimal', winner, transitions: [{ kind: 'main', release: winner }] };
  }
  return openAndChange(plan, state) ?? conclude(plan, state);
}

/** What is ready opens no later than the next batch leaves: that is never more than one. */
function openAndChange(plan: Plan, state: UpgradeState): Step | undefined {
  const open = openStep(plan, state);
  const cycle = changeCycle(plan, state);
  if (open === undefined) return cycle;
  if (cycle?.kind !== 'closeIngress' || state.opensWithNext !== true) return open;
  // One table does both, at each gateway in one moment.
  return { ...cycle, opening: { servers: open.servers, transitions: open.transitions } };
}

/** The rollback: traffic to servers that run the baseline, everything else back to it. */
function towardsBaseline(plan: Plan, state: UpgradeState): Step {
  if (state.fence === 0) return { kind: 'finish' };
  if (state.routes.mode !== 'baseline' || !state.routes.applied) {
    const able = members(state).filter(
      ([, server]) => server.skipped === undefined && !needsChange(plan, state, server),
    );
    const ready = able.filter(inStage('open', 'closing', 'draining', 'drained', 'ready', 'opening'));
    // Mid-promotion the winner goes on serving until enough servers run the baseline again (invariant 3).
    if (ready.length < minServing(plan)) {
      const restore = openStep(plan, state) ?? changeCycle(plan, state);
      if (restore !== undefined) return restore;
      return {
        kind: 'wait',
        until: 'mended',
        reason: `${ready.length} servers run ${plan.baseline.version}, ${minServing(plan)} are needed before traffic can go back: retry the others`,
      };
    }
    const servers = reopenable(plan, state);
    return {
      kind: 'applyRoutes',
      purpose: 'retreat',
      servers,
      transitions: [
        ...openTransitions(plan, state, servers),
        { kind: 'main', release: plan.baseline.version },
      ],
      staged: false,
    };
  }
  return openStep(plan, state) ?? changeCycle(plan, state) ?? conclude(plan, state);
}

/** Servers that run what they should and are out of traffic are opened. */
function openStep(plan: Plan, state: UpgradeState): (Step & { kind: 'applyRoutes' }) | undefined {
  const servers = reopenable(plan, state);
  if (servers.length === 0) return undefined;
  const transitions = openTransitions(plan, state, servers);
  return {
    kind: 'applyRoutes',
    purpose: 'open',
    servers,
    transitions,
    staged: isStaged(state, transitions),
  };
}

function conclude(plan: Plan, state: UpgradeState): Step {
  const left = leftOut(state);
  if (left.length === 0) return { kind: 'finish' };
  if (state.accepted === null) {
    const target = state.goal === 'promote' ? state.winner : plan.baseline.version;
    return {
      kind: 'wait',
      until: 'accepted',
      reason: `not on ${target}, left out: ${left.join(', ')}. Retry them, or resume to end without them`,
    };
  }
  return {
    kind: 'applyRoutes',
    purpose: 'remove',
    servers: left,
    transitions: [{ kind: 'remove', servers: left }],
    staged: false,
  };
}

function readyServers(state: UpgradeState, cluster: string): readonly string[] {
  return members(state)
    .filter(inStage('ready', 'opening', 'open'))
    .filter(([, server]) => server.cluster === cluster)
    .map(([name]) => name);
}

function candidateServers(plan: Plan, state: UpgradeState): readonly string[] {
  return members(state)
    .filter(inStage('ready', 'opening'))
    .filter(([, server]) => candidateOfCluster(plan, server.cluster) !== undefined)
    .map(([name]) => name);
}
