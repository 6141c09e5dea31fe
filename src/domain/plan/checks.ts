import {
  aaTestComparesCustomersAlike,
  aaTestIsOfOneVersion,
  sameVersionSamePackage,
} from './checks/aa-test.ts';
import {
  addressesAreUnique,
  candidatesOffBaselineCluster,
  clustersAreUsed,
  clustersExist,
  gatewayNamesAreUnique,
  minServingFits,
  modesHaveClusters,
  oneCandidatePerCluster,
  rulesHaveModes,
  serverNamesAreUnique,
} from './checks/clusters.ts';
import {
  accountsAreCounted,
  decisionFitsRule,
  decisionTimesFit,
  unitsHaveOutcomes,
} from './checks/decision.ts';
import { leaderShareFits } from './checks/leader-share.ts';
import {
  haproxyComparesBounds,
  haproxyHasOtherName,
  haproxyKeepsWindows,
  haproxyReadsNoBaggage,
} from './checks/gateways.ts';
import {
  errorsAreOfLikeCustomers,
  guardrailsHaveBaseline,
  lossIsOfLikeCustomers,
} from './checks/guardrails.ts';
import { groupsAreCountedApart, groupsHaveAccounts, groupsHaveAllCandidates } from './checks/groups.ts';
import { candidatesGetTraffic, policyIsTotal, policyVersionsExist } from './checks/policy.ts';
import { sourceFitsKind, sourceNamesVersions, sourceSettlesInTrial } from './checks/source.ts';
import {
  amountHasHeader,
  baselineShareLeavesTraffic,
  readingsFitStages,
  stagesDrawTraffic,
  stagesGrow,
} from './checks/trial.ts';
import {
  onePackagePerOs,
  packagePathsAreReadable,
  packagesCoverFleet,
  versionsAreUnique,
  withoutKeyExists,
} from './checks/versions.ts';
import type { PlanDraft } from './draft.ts';
import type { PlanProblem } from './problem.ts';

/** What no field can say alone. Each is about one thing, and silent where it does not understand enough. */
const CHECKS: readonly ((plan: PlanDraft) => PlanProblem[])[] = [
  versionsAreUnique,
  aaTestIsOfOneVersion,
  aaTestComparesCustomersAlike,
  sameVersionSamePackage,
  packagesCoverFleet,
  onePackagePerOs,
  packagePathsAreReadable,
  modesHaveClusters,
  rulesHaveModes,
  oneCandidatePerCluster,
  clustersExist,
  candidatesOffBaselineCluster,
  clustersAreUsed,
  serverNamesAreUnique,
  addressesAreUnique,
  gatewayNamesAreUnique,
  haproxyHasOtherName,
  haproxyComparesBounds,
  haproxyReadsNoBaggage,
  haproxyKeepsWindows,
  minServingFits,
  policyIsTotal,
  policyVersionsExist,
  candidatesGetTraffic,
  groupsHaveAllCandidates,
  groupsHaveAccounts,
  groupsAreCountedApart,
  withoutKeyExists,
  stagesDrawTraffic,
  stagesGrow,
  readingsFitStages,
  baselineShareLeavesTraffic,
  amountHasHeader,
  sourceNamesVersions,
  sourceFitsKind,
  sourceSettlesInTrial,
  decisionFitsRule,
  leaderShareFits,
  decisionTimesFit,
  unitsHaveOutcomes,
  accountsAreCounted,
  guardrailsHaveBaseline,
  errorsAreOfLikeCustomers,
  lossIsOfLikeCustomers,
];

export function checkPlan(plan: PlanDraft): PlanProblem[] {
  return CHECKS.flatMap((check) => check(plan));
}
