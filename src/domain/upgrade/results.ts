import type { GatewaysView } from '../gateway-standing.ts';
import type { Block } from '../decision/block.ts';
import type { ArmEvidence, Verdict } from '../decision/decision.ts';
import type { Totals } from '../decision/evidence.ts';
import type { RuleProgress } from '../decision/rule-reading.ts';
import type { RuleVerdict } from '../decision/rule-verdict.ts';

/** A verdict of a rule; runs that began before rules had one each recorded the shorter form. */
export type AnyVerdict = Verdict | RuleVerdict;

/** What the activities bring back: small, plain JSON, recorded in the history. */

export interface PreflightResult {
  readonly fence: number;
  readonly tableVersion: number;
  /** What was checked, and what could not be. */
  readonly notes: readonly string[];
  readonly gateways?: GatewaysView;
}

/** The table version that is staged, or that every gateway acknowledged. */
export interface RoutesResult {
  readonly version: number;
  /** Who has which table, after this change. */
  readonly gateways?: GatewaysView;
}

export interface CloseResult extends RoutesResult {
  /** What the same table opened. A worker of an earlier version opens nothing, and does not say so. */
  readonly opened?: readonly string[];
}

export interface ExclusionResult {
  /** Why the controller refused it; null where the gateway is excluded. */
  readonly refused: string | null;
  readonly gateways?: GatewaysView;
}

export interface PromotionResult extends RoutesResult {
  /** A guardrail pulled the winner before the routes could change; they did not. */
  readonly pulled: { readonly release: string; readonly reason: string } | null;
}

export interface DrainResult {
  /** False where the deadline passed and the plan wants the operator asked. */
  readonly drained: boolean;
  /** Version of the table that seals the servers off. */
  readonly version: number;
  /** Business that was still in flight: cut off by force, or the reason for the pause. */
  readonly left: readonly { readonly server: string; readonly inFlight: number }[];
  readonly gateways?: GatewaysView;
}

export interface PushResult {
  readonly servers: readonly { readonly name: string; readonly version: string }[];
}

export interface ReadingResult {
  readonly at: string;
  /** Of the routes in effect then; with blocks only. */
  readonly tableVersion?: number;
  /** How long this reading took, in milliseconds: the trial's clock. */
  readonly elapsedMs: number;
  /** Up to when the data of its blocks are, by the trial's clock; absent in readings from before it was noted. */
  readonly clockMs?: number;
  /** Counters by version since the service was adopted; the first ones are the base. */
  readonly totals: Totals;
  /** Since the base; empty for the base itself. */
  readonly arms: readonly ArmEvidence[];
  readonly verdict: AnyVerdict | null;
  /** What the rule rests on: the blocks since the last reading, and where it stands with them. */
  readonly decision?: RuleProgress & {
    readonly blocks: readonly (Block & { readonly number: number })[];
    /** As below, in readings by rules of version 1. */
    readonly rulesVersion?: number;
  };
  /** `RULES_VERSION` of who made the verdict; absent in readings from before it was noted. */
  readonly rulesVersion?: number;
  /** What the verdict notes of the data beside it, one sentence each; absent: nothing. */
  readonly remarks?: readonly string[];
  readonly pulls: readonly { readonly release: string; readonly reason: string; readonly at: string }[];
  /** The trial had ended by a verdict that a pull undid, with time left: it goes on. */
  readonly goesOn?: true;
  /** The baseline breaks the guardrails too: shares stay as they are, and nobody is blamed. */
  readonly incident?: { readonly reason: string; readonly since: string };
  /** Candidates of which nothing is known: neither a pass nor a breach. */
  readonly notices?: readonly GuardrailNotice[];
}

/** A candidate whose counters are not read, or stand still though it is to get traffic. */
export interface GuardrailNotice {
  readonly release: string;
  readonly kind: 'noData' | 'stuck';
  readonly reason: string;
}

export interface FinishResult {
  readonly files: readonly string[];
}

/** A finished step with what came of it. */
export type StepResult =
  | { readonly kind: 'preflight'; readonly result: PreflightResult }
  | { readonly kind: 'closeIngress'; readonly result: CloseResult }
  | { readonly kind: 'stageRoutes' | 'applyRoutes'; readonly result: RoutesResult }
  | { readonly kind: 'promoteOptimal'; readonly result: PromotionResult }
  | { readonly kind: 'awaitDrain'; readonly result: DrainResult }
  | { readonly kind: 'pushUpgradeParams'; readonly result: PushResult }
  | { readonly kind: 'reportReady' }
  | { readonly kind: 'collectMetrics'; readonly result: ReadingResult }
  | { readonly kind: 'excludeGateway'; readonly result: ExclusionResult }
  | { readonly kind: 'finish'; readonly result: FinishResult };
