import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  Trigger,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { completed } from '../domain/plan/recorded-plan.ts';
import type { Plan } from '../domain/plan/schema.ts';
import { buildReport, type UpgradeReport } from '../domain/report/report.ts';
import type { Action } from '../domain/upgrade/actions.ts';
import { beginStep } from '../domain/upgrade/begin-step.ts';
import { completeStep } from '../domain/upgrade/complete-step.ts';
import { nextStep } from '../domain/upgrade/next-step.ts';
import { receive, withProblems, type ProblemsPayload } from '../domain/upgrade/signals.ts';
import { noted, type TimelineEntry, type UpgradeState } from '../domain/upgrade/state.ts';
import {
  efficacyOf,
  routesOf,
  statusOf,
  type EfficacyAnswer,
  type RoutesView,
  type UpgradeStatus,
} from '../domain/upgrade/status.ts';
import { identityOf, type Step } from '../domain/upgrade/step.ts';
import { CANDIDATES_ATTRIBUTE, OUTCOME_ATTRIBUTE, PHASE_ATTRIBUTE, SERVICE_ATTRIBUTE } from './messages.ts';
import { performStep, type ActivityStep } from './perform-step.ts';

/** What continue-as-new hands on: the plan as it was understood, and where the upgrade stands. */
export interface CarriedOver {
  readonly plan: Plan;
  readonly state: UpgradeState;
}

/**
 * One run of the chain: takes the step that the domain names, lets signals change the state meanwhile, and interrupts
 * the step exactly when they changed what is to be done next.
 */
export class UpgradeRun {
  private current: CarriedOver | undefined;
  /** Signals that came before the plan was read. */
  private early: { action: Action; payload: unknown }[] = [];
  private underWay: { identity: string; interrupt: () => void } | undefined;
  private toldPhase = '';

  begin({ plan, state }: CarriedOver): void {
    this.current = { plan: completed(plan), state };
    for (const { action, payload } of this.early) this.receive(action, payload);
    this.early = [];
    this.tell();
  }

  receive(action: Action, payload: unknown): void {
    if (this.current === undefined) {
      this.early.push({ action, payload });
      return;
    }
    const { plan, state } = this.current;
    const heard = receive(plan, state, action, payload, now());
    this.become(heard);
    const next = identityOf(nextStep(plan, heard));
    if (this.underWay !== undefined && this.underWay.identity !== next) this.underWay.interrupt();
  }

  noteProblems(payload: ProblemsPayload): void {
    if (this.current !== undefined) this.become(withProblems(this.current.state, payload, now()));
  }

  /** Takes the next step, or is interrupted in it; false once the upgrade is done. */
  async takeStep(): Promise<boolean> {
    const { plan, state } = this.carryOver();
    const step = nextStep(plan, state);
    this.become(beginStep(state, step, now()));
    this.tell();
    switch (step.kind) {
      case 'done':
        return false;
      case 'wait':
        await this.wait(step);
        return true;
      default:
        await this.perform(step);
        return true;
    }
  }

  carryOver(): CarriedOver {
    if (this.current === undefined)
      throw ApplicationFailure.create({ message: 'The plan is being checked; ask again.' });
    return this.current;
  }

  status(): UpgradeStatus {
    const { plan, state } = this.carryOver();
    return statusOf(plan, state);
  }

  efficacy(): EfficacyAnswer {
    const { plan, state } = this.carryOver();
    return efficacyOf(plan, state);
  }

  routes(): RoutesView {
    const { plan, state } = this.carryOver();
    return routesOf(plan, state);
  }

  timeline(): readonly TimelineEntry[] {
    return this.carryOver().state.timeline;
  }

  report(): UpgradeReport {
    const { plan, state } = this.carryOver();
    return buildReport(plan, state, state.timeline.at(-1)?.at ?? state.startedAt);
  }

  private become(state: UpgradeState): void {
    this.current = { ...this.carryOver(), state };
  }

  private async wait(step: Step): Promise<void> {
    const changed = new Trigger<void>();
    this.underWay = { identity: identityOf(step), interrupt: () => changed.resolve() };
    await changed;
    this.underWay = undefined;
  }

  private async perform(step: ActivityStep): Promise<void> {
    const { plan, state } = this.carryOver();
    const scope = new CancellationScope();
    this.underWay = { identity: identityOf(step), interrupt: () => scope.cancel() };
    try {
      const done = await scope.run(() => performStep(plan, state, step));
      const present = this.carryOver().state;
      this.become(
        completeStep(plan, present, step, done, { at: now(), overtaken: scope.consideredCancelled }),
      );
    } catch (error) {
      // An interrupted attempt may also end by a failure of its own, or by a time-out where its worker was killed: what
      // comes next is decided anew, and meets the same failure if it still matters.
      const wasInterrupted =
        scope.consideredCancelled && (isCancellation(error) || error instanceof ActivityFailure);
      if (!wasInterrupted) this.fail(step, error);
    } finally {
      this.underWay = undefined;
    }
  }

  /** A failure that retrying cannot mend: before anything was changed it ends the run, later the operator is asked. */
  private fail(step: Step, error: unknown): void {
    if (!(error instanceof ActivityFailure)) throw error;
    const { cause } = error;
    const code = cause instanceof ApplicationFailure ? (cause.type ?? 'Internal') : 'Internal';
    const message = cause?.message ?? error.message;
    if (step.kind === 'preflight')
      throw ApplicationFailure.create({ type: code, message, nonRetryable: true });
    log.warn('step needs the operator', { step: step.kind, code, message });
    const at = now();
    const reason = `${code}: ${message} ${hintFor(code)}`;
    const paused = { ...this.carryOver().state, paused: { by: 'changeover', at, reason } };
    this.become(noted(paused, { at, what: `Paused: ${reason}` }));
  }

  /** Search attributes, so that operators find runs by service, phase, candidates and outcome. */
  private tell(): void {
    const { plan, state } = this.carryOver();
    const telling = `${state.phase} ${state.outcome ?? ''}`;
    if (telling === this.toldPhase) return;
    const isFirst = this.toldPhase === '';
    this.toldPhase = telling;
    upsertSearchAttributes([
      { key: PHASE_ATTRIBUTE, value: state.phase },
      ...(isFirst
        ? [
            { key: SERVICE_ATTRIBUTE, value: plan.service },
            { key: CANDIDATES_ATTRIBUTE, value: plan.candidates.map(({ version }) => version) },
          ]
        : []),
      ...(state.outcome === null ? [] : [{ key: OUTCOME_ATTRIBUTE, value: state.outcome }]),
    ]);
  }
}

/** What helps depends on the failure: resuming repeats the same step. */
function hintFor(code: string): string {
  return code === 'Fenced'
    ? 'Somebody else has changed the service or its servers: find out who; retry-server, skip-server or abort'
    : 'Resume to try again, or abort';
}

function now(): string {
  return new Date().toISOString();
}
