import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { UpgradeReport } from '../domain/report/report.ts';
import { SEARCH_ATTRIBUTES } from '../domain/search-attributes.ts';
import type {
  AbortPayload,
  ApprovePayload,
  ByPayload,
  ExtendPayload,
  GatewayPayload,
  ProblemsPayload,
  ServerPayload,
} from '../domain/upgrade/signals.ts';
import type { EfficacyAnswer, RoutesView, UpgradeStatus } from '../domain/upgrade/status.ts';
import type { TimelineEntry } from '../domain/upgrade/state.ts';

/** What outsiders say to an upgrade and ask of it. Names and payloads are a promise (DESIGN: outside names). */

export const TASK_QUEUE = 'changeover';
export const WORKFLOW_TYPE = 'upgradeWorkflow';

/** Id of the run of a service, unless another one is given. */
export function workflowIdOf(service: string): string {
  return `upgrade-${service}`;
}

export const approveSignal = defineSignal<[ApprovePayload]>('approve');
export const extendSignal = defineSignal<[ExtendPayload]>('extend');
export const abortSignal = defineSignal<[AbortPayload]>('abort');
export const pauseSignal = defineSignal<[ByPayload]>('pause');
export const resumeSignal = defineSignal<[ByPayload]>('resume');
export const retryServerSignal = defineSignal<[ServerPayload]>('retryServer');
export const skipServerSignal = defineSignal<[ServerPayload]>('skipServer');
export const excludeGatewaySignal = defineSignal<[GatewayPayload]>('excludeGateway');
/** Internal: activities tell what is wrong. */
export const problemsSignal = defineSignal<[ProblemsPayload]>('problems');

export const statusQuery = defineQuery<UpgradeStatus>('status');
export const efficacyQuery = defineQuery<EfficacyAnswer>('efficacy');
export const routesQuery = defineQuery<RoutesView>('routes');
export const timelineQuery = defineQuery<readonly TimelineEntry[]>('timeline');
/** The report as it stands; final once the run is done. */
export const reportQuery = defineQuery<UpgradeReport>('report');

export const SERVICE_ATTRIBUTE = defineSearchAttributeKey(
  'ChangeoverService',
  SEARCH_ATTRIBUTES.ChangeoverService,
);
export const PHASE_ATTRIBUTE = defineSearchAttributeKey('ChangeoverPhase', SEARCH_ATTRIBUTES.ChangeoverPhase);
export const CANDIDATES_ATTRIBUTE = defineSearchAttributeKey(
  'ChangeoverCandidates',
  SEARCH_ATTRIBUTES.ChangeoverCandidates,
);
export const OUTCOME_ATTRIBUTE = defineSearchAttributeKey(
  'ChangeoverOutcome',
  SEARCH_ATTRIBUTES.ChangeoverOutcome,
);
