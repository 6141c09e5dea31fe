import type { Verdict } from '../../../src/domain/decision/decision.ts';
import type { Plan } from '../../../src/domain/plan/schema.ts';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import { applyTransitions, type Transition } from '../../../src/domain/routes/transitions.ts';
import { beginStep } from '../../../src/domain/upgrade/begin-step.ts';
import { completeStep } from '../../../src/domain/upgrade/complete-step.ts';
import { nextStep } from '../../../src/domain/upgrade/next-step.ts';
import type { StepResult } from '../../../src/domain/upgrade/results.ts';
import { initialState, type UpgradeState } from '../../../src/domain/upgrade/state.ts';
import { identityOf, type Step } from '../../../src/domain/upgrade/step.ts';
import { baselineRoutes } from '../../support/baseline-routes.ts';

const AT = '2026-01-01T00:00:00.000Z';

/** Controller and fleet in memory, checked against the invariants at every change; what the domain drives. */
export class SimulatedWorld {
  state: UpgradeState;
  table: RouteTable;
  readonly software: Map<string, string>;
  readonly steps: string[] = [];
  staged: readonly Transition[] = [];
  verdict: (final: boolean) => Verdict;
  /** False: the worker is of an earlier version, which closes a batch and opens none by the same table. */
  opensAlong = true;
  private readonly plan: Plan;

  /** @param began what runs of an earlier version of the workflow began with */
  constructor(plan: Plan, verdict: (final: boolean) => Verdict, began: { opensWithNext?: boolean } = {}) {
    this.plan = plan;
    this.verdict = verdict;
    this.state = initialState(plan, { upgradeId: 'upgrade-1', at: AT, ...began });
    this.table = baselineRoutes(plan);
    this.software = new Map(this.table.servers.map(({ name }) => [name, plan.baseline.version]));
  }

  /** The next step, marked as under way; the mark must not change what is next. */
  begin(): Step {
    const step = nextStep(this.plan, this.state);
    this.state = beginStep(this.state, step, AT);
    const again = nextStep(this.plan, this.state);
    if (identityOf(again) !== identityOf(step)) {
      throw new Error(`not stable under its mark: ${identityOf(step)} became ${identityOf(again)}`);
    }
    return step;
  }

  /** The effect on the world, without the run being told: as if the worker died right after it. */
  effect(step: Step): StepResult | undefined {
    switch (step.kind) {
      case 'preflight':
        return { kind: step.kind, result: { fence: 1, tableVersion: this.table.version, notes: [] } };
      case 'closeIngress':
        return {
          kind: step.kind,
          result: {
            ...this.apply([...(step.opening?.transitions ?? []), { kind: 'close', servers: step.servers }]),
            ...(step.opening === undefined || !this.opensAlong ? {} : { opened: step.opening.servers }),
          },
        };
      case 'awaitDrain': {
        const { version } = this.apply([{ kind: 'seal', servers: step.servers }]);
        return { kind: step.kind, result: { drained: true, version, left: [] } };
      }
      case 'stageRoutes':
        this.staged = step.transitions;
        return { kind: step.kind, result: { version: this.table.version + 1 } };
      case 'pushUpgradeParams':
        for (const { name, version } of step.servers) this.change(name, version);
        return { kind: step.kind, result: { servers: step.servers } };
      case 'reportReady':
        return { kind: step.kind };
      case 'applyRoutes':
        return { kind: step.kind, result: this.apply(step.staged ? this.staged : step.transitions) };
      case 'collectMetrics':
        return { kind: step.kind, result: this.reading(step) };
      case 'promoteOptimal':
        return { kind: step.kind, result: { ...this.apply(step.transitions), pulled: null } };
      case 'excludeGateway':
        return { kind: step.kind, result: { refused: null } };
      case 'finish':
        return { kind: step.kind, result: { files: [] } };
      case 'wait':
      case 'done':
        return undefined;
    }
  }

  /** Takes one step to its end; false when the run is over or waits for the operator. */
  take(): boolean {
    const step = this.begin();
    this.steps.push(nameOf(step));
    const done = this.effect(step);
    if (done === undefined) return false;
    this.state = completeStep(this.plan, this.state, step, done, { at: AT, overtaken: false });
    return true;
  }

  run(limit = 500): void {
    for (let count = 0; count < limit; count += 1) if (!this.take()) return;
    throw new Error(`no end after ${limit} steps: ${this.steps.slice(-8).join(' ')}`);
  }

  private reading(step: Step & { kind: 'collectMetrics' }) {
    const verdict = step.purpose === 'snapshot' ? null : this.verdict(step.final);
    return { at: AT, elapsedMs: step.waitMs, totals: {}, arms: [], verdict, pulls: [] };
  }

  private apply(transitions: readonly Transition[]): { version: number } {
    const next = applyTransitions(this.table, transitions, this.table.version + 1);
    for (const server of next.servers) {
      // Invariant 1: what is routed to runs what the routes say.
      if (server.ingress === 'open' && this.software.get(server.name) !== server.release) {
        throw new Error(
          `invariant 1: ${server.name} is open as ${server.release}, runs ${this.software.get(server.name)}`,
        );
      }
    }
    const open = next.servers.filter((one) => one.ingress === 'open' && one.release === next.mainRelease);
    if (open.length < 3) throw new Error(`invariant 3: only ${open.length} open for ${next.mainRelease}`);
    this.table = next;
    return { version: next.version };
  }

  private change(name: string, version: string): void {
    const server = this.table.servers.find((one) => one.name === name);
    // Invariant 2: a server's software changes only when the routes send it nothing.
    if (this.software.get(name) !== version && server?.ingress !== 'closed') {
      throw new Error(`invariant 2: ${name} is changed while ${server?.ingress}`);
    }
    this.software.set(name, version);
  }
}

function nameOf(step: Step): string {
  if (step.kind === 'applyRoutes') return `${step.kind}:${step.purpose}`;
  return step.kind === 'closeIngress' && step.opening !== undefined ? `${step.kind}:opening` : step.kind;
}
