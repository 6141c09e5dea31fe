import type { Plan } from '../plan/schema.ts';
import { outcomeOf } from '../report/report.ts';
import { outAfter, tellCompetition } from './competition.ts';
import { afterExclusion, withGateways } from './exclusions.ts';
import { withStage } from './fleet.ts';
import type { RuleProgress } from '../decision/rule-reading.ts';
import { noticesSince, tellIncident } from './incident.ts';
import { promotable } from './promotable.ts';
import type {
  AnyVerdict,
  DrainResult,
  PromotionResult,
  ReadingResult,
  RoutesResult,
  StepResult,
} from './results.ts';
import { noted, type ServerStage, type ServerState, type UpgradeState } from './state.ts';
import type { Step } from './step.ts';

/**
 * The state after a step was done. Pure; the step is the one that `beginStep` marked. Where signals changed meanwhile
 * what is wanted (`overtaken`), what was done is still noted, but decides nothing.
 */
export function completeStep(
  plan: Plan,
  state: UpgradeState,
  step: Step,
  done: StepResult,
  { at, overtaken }: { at: string; overtaken: boolean },
): UpgradeState {
  const seen = 'result' in done && 'gateways' in done.result ? done.result.gateways : undefined;
  const mended: UpgradeState = { ...state, problems: [] };
  const settled = seen === undefined ? mended : withGateways(mended, seen, at);
  switch (done.kind) {
    case 'preflight':
      return {
        ...settled,
        fence: done.result.fence,
        routes: { ...settled.routes, version: done.result.tableVersion },
        notes: [...settled.notes, ...done.result.notes],
      };
    case 'closeIngress':
      return afterRoutes(
        withStage(opened(settled, done.result.opened ?? []), serversOf(step), (server) => ({
          ...server,
          stage: 'draining',
        })),
        done.result,
      );
    case 'awaitDrain':
      return overtaken && !done.result.drained
        ? settled
        : afterDrain(settled, serversOf(step), done.result, at);
    case 'stageRoutes':
      return {
        ...settled,
        routes: { ...settled.routes, staged: step.kind === 'stageRoutes' ? step.transitions : null },
      };
    case 'pushUpgradeParams':
      return done.result.servers.reduce(
        (next, { name, version }) =>
          withStage(next, [name], ({ dirty: _done, ...server }) => ({
            ...server,
            stage: unlessOut(server, 'changed'),
            release: version,
          })),
        settled,
      );
    case 'reportReady':
      return withStage(settled, serversOf(step), (server) => ({
        ...server,
        stage: unlessOut(server, 'ready'),
      }));
    case 'applyRoutes':
      return afterApply(settled, step, done.result);
    case 'promoteOptimal':
      return afterPromotion(settled, done.result, at);
    case 'collectMetrics':
      return afterReading(plan, settled, step, done.result, { at, overtaken });
    case 'excludeGateway':
      return step.kind === 'excludeGateway' ? afterExclusion(settled, step, done.result, at) : settled;
    case 'finish':
      return finished(settled, done.result.files, at);
  }
}

/** Skipped while the step was under way: it stays out. */
function unlessOut({ stage }: ServerState, next: ServerStage): ServerStage {
  return stage === 'out' ? 'out' : next;
}

function serversOf(step: Step): readonly string[] {
  switch (step.kind) {
    case 'closeIngress':
    case 'awaitDrain':
    case 'reportReady':
    case 'applyRoutes':
      return step.servers;
    default:
      return [];
  }
}

function afterRoutes(state: UpgradeState, result: RoutesResult): UpgradeState {
  return { ...state, routes: { ...state.routes, version: result.version } };
}

/** Their change is over. */
function opened(state: UpgradeState, servers: readonly string[]): UpgradeState {
  return withStage(state, servers, ({ changeStep: _past, ...server }) => ({
    ...server,
    stage: unlessOut(server, 'open'),
  }));
}

function afterApply(state: UpgradeState, step: Step, result: RoutesResult): UpgradeState {
  const moved =
    step.kind === 'applyRoutes' && step.purpose === 'remove'
      ? withStage(state, step.servers, ({ changeStep: _past, ...server }) => ({
          ...server,
          stage: 'removed',
        }))
      : opened(state, serversOf(step));
  const share = step.kind === 'applyRoutes' ? shareIn(step) : undefined;
  const out = step.kind === 'applyRoutes' ? outAfter(moved.trial.dropped, step) : undefined;
  const leader = step.kind === 'applyRoutes' ? step.leader : undefined;
  return {
    ...moved,
    trial: {
      ...moved.trial,
      ...(out === undefined ? {} : { dropped: out }),
      ...(leader === undefined ? {} : { leader }),
    },
    routes: {
      ...moved.routes,
      applied: true,
      version: result.version,
      staged: null,
      share: share ?? (moved.routes.mode === 'trial' ? moved.routes.share : 0),
    },
  };
}

/** A candidate that a guardrail pulled before the routes could change is not promoted: the trial has the word again. */
function afterPromotion(state: UpgradeState, result: PromotionResult, at: string): UpgradeState {
  if (result.pulled === null) {
    return { ...state, routes: { ...state.routes, applied: true, version: result.version } };
  }
  const { release, reason } = result.pulled;
  const back: UpgradeState = {
    ...state,
    goal: state.goal === 'promote' ? 'trial' : state.goal,
    winner: null,
    approval: null,
    routes: { ...state.routes, mode: 'trial', applied: true, version: result.version },
    trial: { ...state.trial, verdict: null, pulled: { ...state.trial.pulled, [release]: reason } },
  };
  return noted(back, { at, what: `Not promoted: a guardrail pulled ${release}: ${reason}`, by: 'guardrail' });
}

function shareIn(step: Step & { kind: 'applyRoutes' }): number | undefined {
  for (const transition of step.transitions) {
    if (transition.kind === 'share') return transition.share;
    if (transition.kind === 'split') return transition.split.share;
  }
  return undefined;
}

function afterDrain(
  state: UpgradeState,
  servers: readonly string[],
  result: DrainResult,
  at: string,
): UpgradeState {
  if (!result.drained) {
    const left = result.left.map(({ server, inFlight }) => `${inFlight} on ${server}`).join(', ');
    const reason = `the drain's deadline passed with business in flight: ${left}. Resume to wait on, or abort`;
    return noted({ ...state, paused: { by: 'changeover', at, reason } }, { at, what: `Paused: ${reason}` });
  }
  const next = withStage(state, servers, (server) => ({
    ...server,
    stage: server.skipped === undefined ? 'drained' : 'out',
  }));
  const forced = result.left.map((one) => ({ ...one, at }));
  const told =
    forced.length === 0
      ? next
      : noted(next, {
          at,
          what: `Drain forced: ${forced.map(({ server, inFlight }) => `${inFlight} cut on ${server}`).join(', ')}`,
        });
  return {
    ...told,
    routes: { ...told.routes, version: result.version },
    forced: [...told.forced, ...forced],
  };
}

function afterReading(
  plan: Plan,
  state: UpgradeState,
  step: Step,
  result: ReadingResult,
  { at, overtaken }: { at: string; overtaken: boolean },
): UpgradeState {
  if (step.kind !== 'collectMetrics') return state;
  if (step.purpose === 'snapshot') {
    return { ...state, trial: { ...state.trial, base: result.totals, since: result.at } };
  }

  const pulled: Record<string, string> = { ...state.trial.pulled };
  const fresh = result.pulls.filter(({ release }) => !Object.hasOwn(pulled, release));
  for (const { release, reason } of fresh) pulled[release] = reason;
  // While the operator is awaited the verdict stays as it was given, unless a guardrail changed who is left, or the data
  // turn out not to be what they seemed.
  const stands = step.purpose === 'watch' && fresh.length === 0 ? state.trial.verdict : null;
  const isUntrusted = result.verdict?.kind === 'untrustedData';
  const verdict = isUntrusted ? result.verdict : (stands ?? result.verdict);
  const decision = result.decision === undefined ? {} : { decision: progressOf(result.decision) };
  const { incident: before, notices: heard = [], ...trial } = state.trial;
  const { incident } = result;
  // While the environment is ill, or the operator is awaited, the trial's clock stands still.
  const passedMs = step.purpose === 'trial' && incident === undefined ? result.elapsedMs : 0;
  const notices = noticesSince(heard, result.notices, at);
  const read: UpgradeState = {
    ...state,
    trial: {
      ...trial,
      ...(incident === undefined ? {} : { incident }),
      ...(notices.length === 0 ? {} : { notices }),
      pulled,
      arms: result.arms,
      verdict,
      ...decision,
      readings: state.trial.readings + 1,
      elapsedMs: trial.elapsedMs + passedMs,
      stageElapsedMs: trial.stageElapsedMs + passedMs,
      ended: trial.ended && !(result.goesOn === true && state.goal === 'trial'),
    },
  };
  const told = fresh.reduce(
    (next, { release, reason }) =>
      noted(next, { at, what: `Guardrail pulled ${release}: ${reason}`, by: 'guardrail' }),
    read,
  );
  const informed = tellIncident(tellCompetition(told, state, at), before, at);
  if ((incident !== undefined || overtaken) && verdict?.kind !== 'pulled') return informed;
  return decide(plan, informed, step.final, at);
}

function progressOf({ state, after, source }: RuleProgress): RuleProgress {
  return { state, after, ...(source === undefined ? {} : { source }) };
}

/** What a verdict leads to. Only a final one decides, and the loss of the last candidate. */
function decide(plan: Plan, state: UpgradeState, final: boolean, at: string): UpgradeState {
  const { verdict } = state.trial;
  // A reading that comes in after the operator decided, or aborted, decides nothing.
  if (state.goal !== 'trial' || verdict === null || verdict.kind === 'collecting') return state;
  if (verdict.kind === 'pulled' || verdict.kind === 'keepBaseline' || keepsBaseline(plan, verdict)) {
    return noted({ ...state, goal: 'rollback' }, { at, what: `Rolling back: ${verdict.sentence}` });
  }
  // A rule that looks at every reading says by itself when it is enough; the others decide at the end.
  if (!final && plan.decision.rule === 'max-efficacy') return state;
  const ended: UpgradeState = { ...state, trial: { ...state.trial, ended: true } };
  const told = state.trial.ended ? ended : noted(ended, { at, what: verdict.sentence });
  const winner = promotable(plan, verdict);
  if (winner !== undefined && plan.approval === 'automatic') {
    const approval = { by: 'plan', at, candidate: winner, comment: 'approval: automatic', verdict };
    return { ...told, goal: 'promote', winner, approval };
  }
  return told;
}

/** No difference worth acting on keeps what is there; so does an A/A test, whatever it shows. */
function keepsBaseline(plan: Plan, verdict: AnyVerdict): boolean {
  return verdict.kind === 'equivalent' && promotable(plan, verdict) === undefined;
}

function finished(state: UpgradeState, files: readonly string[], at: string): UpgradeState {
  const outcome = outcomeOf(state);
  const done: UpgradeState = { ...state, phase: 'done', outcome };
  const where = files.length === 0 ? '' : `; report: ${files.join(', ')}`;
  return noted(done, { at, what: `Ended: ${outcome}${where}` });
}
