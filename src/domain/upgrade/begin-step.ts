import { withStage } from './fleet.ts';
import type { Phase } from './phase.ts';
import { noted, type UpgradeState } from './state.ts';
import { identityOf, type RoutesPurpose, type Step } from './step.ts';

/**
 * Marks a step as under way, before the act: whatever happens to the act, the state says what may have been done. The
 * same step, taken up again after an interruption, keeps its number, so that its effect is that of once (invariant 9).
 */
export function beginStep(state: UpgradeState, step: Step, at: string): UpgradeState {
  const identity = identityOf(step);
  if (state.step.identity === identity) return state;
  const phase = phaseOf(step, state);
  const what = describeStep(step);
  const begun: UpgradeState = {
    ...state,
    phase,
    problems: [],
    step: { number: state.step.number + 1, identity, what, since: at },
  };
  return mark(isWorthALine(step, state) ? noted(begun, { at, what }) : begun, step);
}

function mark(state: UpgradeState, step: Step): UpgradeState {
  switch (step.kind) {
    case 'closeIngress':
      return withStage(
        withStage(state, step.opening?.servers ?? [], (server) => ({ ...server, stage: 'opening' })),
        step.servers,
        (server) => ({ ...server, stage: 'closing' }),
      );
    case 'pushUpgradeParams':
      return withStage(
        state,
        step.servers.map(({ name }) => name),
        (server) => ({
          ...server,
          stage: 'changing',
          dirty: true,
          changeStep:
            server.stage === 'changing' ? (server.changeStep ?? state.step.number) : state.step.number,
        }),
      );
    case 'applyRoutes':
      return markRoutes(state, step);
    case 'promoteOptimal':
      return { ...state, routes: { ...state.routes, mode: 'winner', applied: false } };
    case 'stageRoutes':
      // Until it is done, nobody can say what is staged.
      return { ...state, routes: { ...state.routes, staged: null } };
    case 'preflight':
    case 'awaitDrain':
    case 'reportReady':
    case 'collectMetrics':
    case 'excludeGateway':
    case 'wait':
    case 'finish':
    case 'done':
      return state;
  }
}

function markRoutes(state: UpgradeState, step: Step & { kind: 'applyRoutes' }): UpgradeState {
  const opening = withStage(state, step.servers, (server) => ({ ...server, stage: 'opening' }));
  switch (step.purpose) {
    case 'trial':
      return { ...opening, routes: { ...opening.routes, mode: 'trial', applied: false } };
    case 'stage':
      return {
        ...opening,
        routes: { ...opening.routes, applied: false },
        // Taken up again after it was interrupted (paused, a gateway excluded) it is the same stage.
        trial: {
          ...opening.trial,
          stage: opening.trial.stage + (opening.routes.applied ? 1 : 0),
          stageElapsedMs: 0,
        },
      };
    case 'retreat':
      return { ...opening, routes: { ...opening.routes, mode: 'baseline', applied: false } };
    case 'drop':
    case 'restore':
    case 'lead':
      return { ...opening, routes: { ...opening.routes, applied: false } };
    case 'open':
      return opening;
    case 'remove':
      return state;
  }
}

const IN_TRIAL: readonly RoutesPurpose[] = ['stage', 'drop', 'restore', 'lead'];

/** The phase that a step belongs to. */
function phaseOf(step: Step, state: UpgradeState): Phase {
  if (step.kind === 'finish') return 'finishing';
  if (step.kind === 'done') return 'done';
  if (step.kind === 'excludeGateway') return state.phase;
  if (step.kind === 'wait') return step.until === 'resumed' ? state.phase : 'awaitingOperator';
  if (state.goal === 'rollback') return 'rollingBack';
  if (state.goal === 'promote') return 'promoting';
  switch (step.kind) {
    case 'preflight':
      return 'preflight';
    case 'closeIngress':
      return 'closingIngress';
    case 'awaitDrain':
      return 'draining';
    case 'stageRoutes':
      return 'staging';
    case 'pushUpgradeParams':
      return 'deploying';
    case 'reportReady':
      return 'reportingReady';
    case 'applyRoutes':
      return IN_TRIAL.includes(step.purpose) ? 'trial' : 'applyingRoutes';
    case 'collectMetrics':
      if (step.purpose === 'snapshot') return 'applyingRoutes';
      if (step.purpose === 'trial') return 'trial';
      return isProposal(state) ? 'awaitingApproval' : 'awaitingDecision';
    case 'promoteOptimal':
      return 'promoting';
  }
}

function isProposal({ trial: { verdict } }: UpgradeState): boolean {
  return verdict?.kind === 'winner' || verdict?.kind === 'equivalent';
}

/** One line for the timeline and for `status`. */
function describeStep(step: Step): string {
  switch (step.kind) {
    case 'preflight':
      return 'Checking the plan, agents, gateways, packages and capacity';
    case 'closeIngress':
      return `${step.opening === undefined ? '' : `Opening ${list(step.opening.servers)}; `}Closing the ingress of ${list(step.servers)}`;
    case 'awaitDrain':
      return `Awaiting the drain of ${list(step.servers)}`;
    case 'stageRoutes':
      return 'Staging the routes';
    case 'pushUpgradeParams':
      return `Upgrading ${list(step.servers.map(({ name, version }) => `${name} to ${version}`))}`;
    case 'reportReady':
      return `Reporting ready: ${list(step.servers)}`;
    case 'applyRoutes':
      return describeRoutes(step);
    case 'collectMetrics':
      if (step.purpose === 'snapshot') return 'Noting the counters before the trial';
      return step.purpose === 'trial'
        ? 'Measuring efficacy'
        : 'Awaiting the operator; efficacy and guardrails stay live';
    case 'promoteOptimal':
      return `Promoting ${step.winner}: all traffic to it`;
    case 'excludeGateway':
      return `Excluding gateway ${step.gateway}`;
    case 'wait':
      return `Waiting: ${step.reason}`;
    case 'finish':
      return 'Writing the report and releasing the lock';
    case 'done':
      return 'Done';
  }
}

function describeRoutes(step: Step & { kind: 'applyRoutes' }): string {
  switch (step.purpose) {
    case 'trial':
      return 'Putting the routes of the trial into effect';
    case 'stage': {
      const share = step.transitions[0]?.kind === 'share' ? step.transitions[0].share : 0;
      return `Next stage of the trial: ${Math.round(share * 1000) / 10} % of what the policy allots`;
    }
    case 'drop': {
      const gone = step.transitions.flatMap((one) => (one.kind === 'pull' ? [one.release] : []));
      return `Taking beaten candidates out of traffic: ${list(gone)}`;
    }
    case 'restore': {
      const back = step.transitions.flatMap((one) => (one.kind === 'restore' ? [one.release] : []));
      return `Taking candidates into the trial again: ${list(back)}`;
    }
    case 'lead':
      return 'Giving the candidate in front the leader’s share';
    case 'open':
      return `Opening ${list(step.servers)}`;
    case 'retreat':
      return 'Taking all traffic back to the baseline';
    case 'remove':
      return `Leaving out for good: ${list(step.servers)}`;
  }
}

function list(names: readonly string[]): string {
  return names.length <= 6
    ? names.join(', ')
    : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}

/** Readings would drown the timeline: only the first of a row is told. An exclusion was told when it was asked for. */
function isWorthALine(step: Step, state: UpgradeState): boolean {
  if (step.kind === 'done' || step.kind === 'excludeGateway') return false;
  if (step.kind !== 'collectMetrics') return true;
  return state.step.what !== describeStep(step);
}
