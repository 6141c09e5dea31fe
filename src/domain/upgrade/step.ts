import type { Transition } from '../routes/transitions.ts';

/** Why the routes are changed; decides how the result is read. */
export type RoutesPurpose =
  /** The trial begins: candidates open, traffic is drawn to them. */
  | 'trial'
  /** The next stage of the trial. */
  | 'stage'
  /** Candidates that are beaten get no more traffic. */
  | 'drop'
  /** Candidates are tried on, since what had beaten them was pulled. */
  | 'restore'
  /** Another candidate is in front, and gets the leader's share. */
  | 'lead'
  /** Servers that run what they should take business again. */
  | 'open'
  /** All traffic back to the baseline. */
  | 'retreat'
  /** Servers that were left out no longer belong to the service. */
  | 'remove';

/** What an upgrade does next. A step may be taken up again after an interruption, with the effect of once. */
export type Step =
  | { readonly kind: 'preflight' }
  | {
      readonly kind: 'closeIngress';
      readonly servers: readonly string[];
      /** Servers of the batch before, which take business again by the same table. */
      readonly opening?: { readonly servers: readonly string[]; readonly transitions: readonly Transition[] };
    }
  | { readonly kind: 'awaitDrain'; readonly servers: readonly string[] }
  | { readonly kind: 'stageRoutes'; readonly transitions: readonly Transition[] }
  | {
      readonly kind: 'pushUpgradeParams';
      readonly servers: readonly {
        readonly name: string;
        readonly version: string;
        readonly retry: number;
      }[];
    }
  | { readonly kind: 'reportReady'; readonly servers: readonly string[] }
  | {
      readonly kind: 'applyRoutes';
      readonly purpose: RoutesPurpose;
      readonly servers: readonly string[];
      readonly transitions: readonly Transition[];
      /** Exactly these transitions were staged before. */
      readonly staged: boolean;
      /** For `lead`: who is in front. */
      readonly leader?: string;
    }
  | {
      readonly kind: 'collectMetrics';
      /** `snapshot`: counters before the trial; `trial`: a reading of it; `watch`: while the operator is awaited. */
      readonly purpose: 'snapshot' | 'trial' | 'watch';
      readonly waitMs: number;
      /** Whether the trial is over with this reading, so that a verdict is due. */
      readonly final: boolean;
      readonly reading: number;
    }
  | { readonly kind: 'promoteOptimal'; readonly winner: string; readonly transitions: readonly Transition[] }
  /** An operator declared a gateway gone. */
  | {
      readonly kind: 'excludeGateway';
      readonly gateway: string;
      readonly by: string;
      readonly reason: string;
      readonly at: string;
    }
  /** Until the operator resumes, mends what is wrong, or accepts that servers are left out. */
  | { readonly kind: 'wait'; readonly until: 'resumed' | 'mended' | 'accepted'; readonly reason: string }
  | { readonly kind: 'finish' }
  | { readonly kind: 'done' };

export type StepKind = Step['kind'];

/** The same step, taken up again, has the same identity. */
export function identityOf(step: Step): string {
  return JSON.stringify(step);
}
