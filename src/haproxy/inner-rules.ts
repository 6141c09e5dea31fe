import { ChangeoverError } from '../domain/errors.ts';
import { isHaproxyBound } from '../domain/plan/checks/gateways.ts';
import { dealtGroups } from '../domain/policy/groups.ts';
import type { KeySource, TrafficPolicy } from '../domain/policy/policy.ts';
import { KEY_MEMBER, routeMember } from '../gateway/baggage.ts';
import { NOT_WAITING } from './baggage-rules.ts';
import { sectionsOf } from './config-sections.ts';
import { encoded, type Files, plain, type RuleParts } from './layout.ts';
import { decisionRules, keyFetch } from './rules.ts';
import { releaseBy } from './unit-rules.ts';

/** A service behind the one that HAProxy serves: how its routes decide is rules, what they decide is in a map of its own. */
export interface InnerService {
  readonly service: string;
  readonly key: KeySource;
  readonly policy: RuleParts['policy'];
}

/** A plan, as far as it says how a service decides. */
export interface InnerPlan {
  readonly service: string;
  readonly traffic: { readonly key: KeySource; readonly policy: TrafficPolicy };
}

/** @throws ChangeoverError `InvalidRequest` for what HAProxy cannot decide by. */
export function innerServicesOf(plans: readonly InnerPlan[]): InnerService[] {
  return plans.map(({ service, traffic: { key, policy } }) => {
    if (key.lookup !== undefined) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy looks up no keys for the services behind it, and the plan of ${service} wants ${key.lookup}: leave ${service} out of --context-for, so that its sidecars decide, or use embedded gateways.`,
      );
    }
    if (key.from === 'baggage' && key.name !== KEY_MEMBER) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy cannot read the member ${key.name} of W3C baggage, by which ${service} decides: leave ${service} out of --context-for, or take its key from ${KEY_MEMBER}, a header or a cookie.`,
      );
    }
    if (dealtGroups(policy).length > 0) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy deals no groups of customers for the services behind it, and the plan of ${service} does: leave ${service} out of --context-for, so that its sidecars decide, or use embedded gateways.`,
      );
    }
    const bounds = policy.kind === 'range' ? policy.rules.flatMap(({ from, below }) => [from, below]) : [];
    const odd = bounds.find((bound) => bound !== undefined && !isHaproxyBound(bound));
    if (odd !== undefined) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy compares whole numbers of at most 15 digits, and the plan of ${service} has the bound ${odd}: leave ${service} out of --context-for, so that its sidecars decide, or use embedded gateways.`,
      );
    }
    return { service, key, policy: policy.kind };
  });
}

/** Variable of the environment that says which rules decide for the service. */
export function innerMark(service: string): string {
  return `CHANGEOVER_INNER_${service.replaceAll('-', '_').toUpperCase()}`;
}

/** What it holds. */
export function innerMarkOf({ key, policy }: Pick<InnerService, 'key' | 'policy'>): string {
  return plain({ key, policy });
}

export function innerMarkLines(inner: readonly InnerService[]): string[] {
  return inner.map((each) => `    setenv ${innerMark(each.service)} ${encoded(innerMarkOf(each))}`);
}

/** Of each service for which a haproxy.cfg decides, what says by which rules, as it is written there; in their order. */
export function innerMarksIn(config: string): ReadonlyMap<string, string> {
  const lines = sectionsOf(config).flatMap(({ kind, lines }) => (kind === 'global' ? lines : []));
  return new Map(
    lines.flatMap(({ words }) => {
      const [, name, mark] = /^setenv (CHANGEOVER_INNER_\w+) (\S+)$/.exec(words) ?? [];
      return name === undefined || mark === undefined ? [] : [[name, mark] as const];
    }),
  );
}

/**
 * What the routes of services behind this one decide for the request, as further members of W3C baggage; nothing of a
 * service whose routes are not known. Their key is where their plans say, else it is that of this service.
 */
export function innerRules(
  inner: readonly InnerService[],
  { parts, files }: { parts: RuleParts; files: Files },
): string[] {
  const { account: _, ...undealt } = parts;
  const ownKey = parts.key.lookup === undefined ? 'txn.key' : 'txn.raw';
  return inner.flatMap(({ service, key, policy }, index) => {
    const scope = `in${index + 1}_`;
    const theirs: RuleParts = { ...undealt, key, policy };
    const isOwn = key.from === 'baggage' || plain(key) === plain({ ...parts.key, lookup: undefined });
    const routes = files.inner(service);
    const rules = decisionRules(theirs, { ...files, routes });
    return [
      `# What the routes of ${service} decide.`,
      ...(isOwn ? [] : [`http-request set-var(txn.${scope}key) ${keyFetch(key)}`]),
      `http-request set-var(txn.${scope}key) var(${ownKey})${isOwn ? '' : ` if !{ var(txn.${scope}key) -m found }`}`,
      ...rules.map((rule) => onOwnNames(rule, scope)),
      `http-request add-header baggage ${routeMember(service)}=%[${releaseBy(routes, `txn.${scope}go`)}] if { var(txn.${scope}go) -m found }${NOT_WAITING}`,
    ];
  });
}

/** The rules of the service itself, on variables and conditions of their own. */
function onOwnNames(rule: string, scope: string): string {
  return rule
    .replace(/\btxn\.(?=[a-z])/g, `txn.${scope}`)
    .replace(/\b(is_number|is_negative|is_far|rounds_down)\b/g, `${scope}$1`);
}
