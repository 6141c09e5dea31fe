import { comparisonOf } from '../../decision/comparison-of.ts';
import { versionsOf, type PackagesDraft, type PlanDraft } from '../draft.ts';
import { planProblem, type PlanProblem } from '../problem.ts';

/** An A/A test: the same version on two clusters or more, all of them compared. */

export function aaTestIsOfOneVersion({ decision, trial, baseline, candidates }: PlanDraft): PlanProblem[] {
  if (decision?.aaTest !== true || candidates === undefined) return [];
  const hasControl = (trial?.baselineShare ?? 0) > 0;
  const [first] = candidates;
  const wanted = hasControl ? baseline?.version : first?.version;
  const owner = hasControl ? 'the baseline, of which trial.baselineShare keeps a part' : 'candidate 1';
  const differing = candidates.flatMap((candidate, index) => {
    const version = candidate?.version;
    if (version === undefined || wanted === undefined || version === wanted) return [];
    const message = `must be ${wanted}, as that of ${owner}: decision.aaTest compares a version with itself`;
    return [planProblem({ path: ['candidates', index, 'version'], value: version, message })];
  });
  if (differing.length > 0 || candidates.length + (hasControl ? 1 : 0) > 1) return differing;
  const message =
    'must have two clusters to compare: give a second candidate the same version, or keep a trial.baselineShare of it';
  return [planProblem({ path: ['decision', 'aaTest'], value: true, message })];
}

/** Groups of customers differ by themselves: nobody could tell that from what the measuring does. */
export function aaTestComparesCustomersAlike(plan: PlanDraft): PlanProblem[] {
  const { policy, key } = plan.traffic ?? {};
  if (plan.decision?.aaTest !== true || policy === undefined) return [];
  if (comparisonOf({ policy, key }) !== 'segment') return [];
  const names = versionsOf(plan)?.candidates ?? [];
  const weights = names.map((name) => `${name}: ${Math.round(100 / names.length)}`).join(', ');
  const message = `must not be there where traffic.policy is ${policy.kind} and gives each group of customers one cluster: a difference would come from the groups. Deal each group at random, \`to: { ${weights} }\`, or take a policy by tail or hash`;
  return [planProblem({ path: ['decision', 'aaTest'], value: true, message })];
}

/** One version is one package per OS type, wherever it runs. */
export function sameVersionSamePackage({ decision, baseline, candidates }: PlanDraft): PlanProblem[] {
  if (decision?.aaTest !== true) return [];
  const known = new Map<string, { readonly packages: PackagesDraft; readonly owner: string }>();
  if (baseline?.version !== undefined && baseline.packages !== undefined) {
    known.set(baseline.version, { packages: baseline.packages, owner: 'the baseline' });
  }
  return (candidates ?? []).flatMap((candidate, index) => {
    const { version, packages } = candidate ?? {};
    if (version === undefined || packages === undefined) return [];
    const first = known.get(version);
    if (first === undefined) {
      known.set(version, { packages, owner: `candidate ${index + 1}` });
      return [];
    }
    return packages.flatMap((own, at) => {
      const other = first.packages.find((one) => one?.os === own?.os);
      if (own?.sha256 === undefined || other?.sha256 === undefined || own.sha256 === other.sha256) return [];
      const message = `must be ${other.sha256}, as in the package of ${version} that ${first.owner} has: one version is one package`;
      const path = ['candidates', index, 'packages', at, 'sha256'];
      return [planProblem({ path, value: own.sha256, message })];
    });
  });
}
