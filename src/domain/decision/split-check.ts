import { goesByUnits } from './counting-of.ts';
import type { Plan } from '../plan/schema.ts';
import { sourceOf } from '../plan/source-of.ts';
import { dealtGroups, versionsNamedBy } from '../policy/groups.ts';
import type { RuleSpec, SplitCheck } from './rule-spec.ts';
import type { RuleState } from './rule-state.ts';

/** What can be checked of a plan's split. */
export function splitCheckOf({ decision, measure, traffic, trial, baseline }: Plan): SplitCheck {
  const isElsewhere = sourceOf(measure).from !== 'gateways';
  if (decision.rule === 'max-efficacy' && (isElsewhere || !goesByUnits(decision))) return 'totals';
  if (decision.unit === 'request') return isElsewhere ? 'sourceRequests' : 'requestsDepend';
  const { policy, key } = traffic;
  if (dealtGroups(policy).length > 0) return isElsewhere ? 'sourceGroups' : 'groups';
  // Units are accounts: of a gateway, what tails and hashes look up is the account itself.
  const isOneByOne = policy.kind === 'tail' || policy.kind === 'hash';
  if (key.lookup !== undefined && (isElsewhere || !isOneByOne)) return 'lookedUp';
  if (policy.kind === 'hash') return isElsewhere ? 'sourceAccounts' : 'accounts';
  if (trial.baselineShare === 0 || versionsNamedBy(policy).includes(baseline.version)) return 'customersOwn';
  return isElsewhere ? 'sourceHeldBack' : 'heldBack';
}

const SOURCE =
  'until the shares change for the first time, as a source may count an account that moves twice';

const NOTES: Readonly<Record<SplitCheck, string>> = {
  accounts: 'Checked: the accounts that came to each version, against the shares that were asked for.',
  heldBack:
    'Checked: the accounts of all candidates together, against those that the stage holds back of them. How many come to which candidate is up to the customers, and not checked.',
  groups:
    'Checked: the accounts that came to each version in each group, against the shares that were asked for.',
  sourceGroups:
    'Not checked: whether the traffic was split as asked. Accounts are dealt inside groups, and the source counts all groups together.',
  sourceRequests:
    'Checked: the requests that the source counts of each version, against those that the gateways allotted to it; what else comes to its servers must not be counted.',
  sourceAccounts: `Checked: the accounts that the source counts of each version, against the shares that were asked for, ${SOURCE}.`,
  sourceHeldBack: `Checked: the accounts that the source counts of all candidates together, against those that the stage holds back of them, ${SOURCE}. How many come to which candidate is up to the customers, and not checked.`,
  requestsDepend:
    'Not checked: whether the traffic was split as asked. Requests of one customer come together, and their numbers say nothing of it; count by account to have it checked.',
  customersOwn:
    'Not checked: whether the traffic was split as asked. How many customers the policy allots to which version is up to them; a baseline share that no rule of the policy adds to would be checked.',
  lookedUp:
    'Not checked: whether the traffic was split as asked. Accounts are dealt by what they are looked up to, many of them together.',
  totals: 'Not checked: whether the traffic was split as asked. This rule goes by totals.',
};

const UNCHECKED =
  'The split was checked until requests were moved by failover, or a version that had been dropped took part again: the source does not tell which accounts were turned away, and without them nobody knows whether all others came as asked. Such an account may enter when it comes again, which the promised error rate does not cover.';

/** Of accounts; those of requests depend on each other. */
function isChecked(split: SplitCheck | undefined): boolean {
  return split !== undefined && NOTES[split].startsWith('Checked: the accounts');
}

/** What is said of it in a verdict; nothing in runs that began before it was. */
export function splitNotes(
  { split }: Pick<RuleSpec, 'split'>,
  { unchecked }: Pick<RuleState, 'unchecked'>,
): readonly string[] {
  return [
    ...(split === undefined ? [] : [NOTES[split]]),
    ...(unchecked === true && isChecked(split) ? [UNCHECKED] : []),
  ];
}

/** What is wrong when the check alarms. */
export function splitAlarm({ split }: Pick<RuleSpec, 'split'>): string {
  switch (split) {
    case 'sourceRequests':
      return 'The source does not count the requests that the gateways allotted';
    case 'sourceAccounts':
    case 'sourceHeldBack':
      return 'The source’s accounts are not split as they were dealt: it misses some, counts others, or counts requests, of which the plan has to say decision.unit: request';
    default:
      return 'The traffic was not split as asked';
  }
}
