import type { Logger } from 'pino';
import type { z } from 'zod';
import { NO_OUTCOMES, assessGuardrails, outcomesSince, type ReleaseOutcomes } from '../domain/guardrails.ts';
import type { guardrailsRequestSchema } from '../protocol/controller.ts';
import { applyOnce } from './fencing.ts';
import type { Observatory } from './observatory.ts';
import { pullRelease } from './route-changes.ts';
import type { ServiceState } from './service-state.ts';
import type { ServiceStore } from './service-store.ts';
import { outcomesByRelease } from './traffic-totals.ts';

export interface GuardrailWatch {
  /** Arms the guardrails from now on, or disarms them where no release or no rule is given. Safe to repeat. */
  arm(service: string, request: z.infer<typeof guardrailsRequestSchema>): Promise<void>;
  /** Judges by the totals read last, and pulls what broke a guardrail. */
  judge(service: string): Promise<void>;
}

export function createGuardrailWatch(deps: {
  store: ServiceStore;
  observatory: Observatory;
  logger: Logger;
}): GuardrailWatch {
  const { store, observatory, logger } = deps;

  return {
    async arm(service, request) {
      await observatory.read(service);
      // The counts at arming are kept with the routes: those they are compared with must not be older after a crash.
      await observatory.persist();
      const before = outcomesByRelease(observatory.totals(service));
      const armedAt = new Date().toISOString();
      await store.update(service, (state) =>
        applyOnce(state, { ...request, kind: 'guardrails' }, (current) => ({
          ...current,
          guardrails: armed(request, before, armedAt),
        })),
      );
    },

    async judge(service) {
      const { guardrails } = store.get(service);
      if (guardrails === null) return;
      const now = outcomesByRelease(observatory.totals(service));
      for (const release of releasesToJudge(store.get(service))) {
        const before = guardrails.before[release] ?? NO_OUTCOMES;
        const verdict = assessGuardrails(
          outcomesSince(before, now[release] ?? NO_OUTCOMES),
          guardrails.rules,
        );
        if (verdict.kind !== 'breach') continue;
        const { reason } = verdict;
        const at = new Date().toISOString();
        const pulled = await store.update(service, (state) =>
          // Disarmed or armed anew meanwhile: the numbers are of another trial.
          state.guardrails === guardrails
            ? pullRelease(state, { release, reason, at })
            : { state, answer: false },
        );
        if (pulled) logger.warn({ service, release, reason }, 'a guardrail pulled a candidate');
      }
    },
  };
}

function armed(
  { releases, guardrails: rules }: z.infer<typeof guardrailsRequestSchema>,
  before: Readonly<Record<string, ReleaseOutcomes>>,
  armedAt: string,
): ServiceState['guardrails'] {
  const disarmed = releases.length === 0 || (rules.errorRate === undefined && rules.slow === undefined);
  return disarmed ? null : { releases, rules, armedAt, before };
}

/** Those whose traffic can go elsewhere: without a split there is nothing to pull from, and the baseline is the refuge. */
function releasesToJudge({ guardrails, active }: ServiceState): readonly string[] {
  const { split } = active;
  if (guardrails === null || split === null) return [];
  return guardrails.releases.filter(
    (release) => release !== split.baseline && !split.pulled.includes(release),
  );
}
