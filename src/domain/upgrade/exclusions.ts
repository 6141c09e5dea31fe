import { laggardsOf, type GatewaysView } from '../gateway-standing.ts';
import type { Plan } from '../plan/schema.ts';
import type { ExclusionResult } from './results.ts';
import { noted, type Exclusion, type UpgradeState } from './state.ts';
import type { Step } from './step.ts';

type ExclusionStep = Step & { kind: 'excludeGateway' };

/** Why a gateway cannot be declared gone; undefined where the controller may be asked to. */
export function whyNotExclude(
  plan: Plan,
  state: UpgradeState,
  { gateway, reason }: { gateway: string; reason: string },
): string | undefined {
  const names = plan.gateways.map(({ name }) => name);
  if (state.fence === 0) return 'nothing has begun yet; abort, and remove the gateway from the plan';
  if (!names.includes(gateway)) {
    return `there is no gateway ${gateway || '(none named)'} in this upgrade; there are ${names.join(', ')}`;
  }
  if (reason === '') return 'the signal has no "reason"; say why nobody shall wait for the gateway';
  const known = exclusionsThatHold(state).find((one) => one.gateway === gateway);
  if (known !== undefined) return `${gateway} was declared gone already, by ${known.by} at ${known.at}`;
  const gone = new Set(exclusionsThatHold(state).map((one) => one.gateway));
  if (names.every((name) => name === gateway || gone.has(name))) {
    return `${gateway} is the only gateway that is left: start it, or one by its name`;
  }
  return undefined;
}

/** The exclusion is on record before the controller is told. */
export function wantExclusion(state: UpgradeState, exclusion: Omit<Exclusion, 'stands'>): UpgradeState {
  const { gateway, by, at, reason } = exclusion;
  return noted(
    { ...state, exclusions: [...(state.exclusions ?? []), { ...exclusion, stands: 'wanted' }] },
    { at, by, what: `Declaring gateway ${gateway} gone: ${reason}` },
  );
}

/** The oldest exclusion that the controller has not been told of. */
export function exclusionStep({ exclusions = [] }: UpgradeState): ExclusionStep | undefined {
  const wanted = exclusions.find(({ stands }) => stands === 'wanted');
  if (wanted === undefined) return undefined;
  const { stands: _, ...exclusion } = wanted;
  return { kind: 'excludeGateway', ...exclusion };
}

export function afterExclusion(
  state: UpgradeState,
  { gateway, by, at: wantedAt }: ExclusionStep,
  { refused }: ExclusionResult,
  at: string,
): UpgradeState {
  const isThis = (one: Exclusion) => one.gateway === gateway && one.at === wantedAt;
  const told = marked(state, isThis, refused === null ? 'excluded' : 'refused');
  const what =
    refused === null
      ? `Excluded gateway ${gateway}: no step waits for it until it is back`
      : `Refused excludeGateway: ${refused}`;
  return noted(told, { at, by, what });
}

/** The state with what is known of the gateways; one that was declared gone and counts again is told. */
export function withGateways(state: UpgradeState, gateways: GatewaysView, at: string): UpgradeState {
  const back = gateways.list.filter(
    ({ name, excluded }) => excluded === undefined && isExcluded(state, name),
  );
  return back.reduce<UpgradeState>(
    (next, { name, acknowledged }) =>
      noted(
        marked(next, (one) => one.gateway === name && one.stands === 'excluded', 'back'),
        { at, what: `Gateway ${name} is back, with route table ${acknowledged}: steps wait for it again` },
      ),
    { ...state, gateways },
  );
}

/** What the query `status` says of the gateways: all of them, and by name those that a step waits for. */
export function gatewaysIn({
  gateways,
}: UpgradeState): (GatewaysView & { laggards: readonly string[] }) | null {
  if (gateways === undefined) return null;
  return { ...gateways, laggards: laggardsOf(gateways.list, gateways.wanted).map(({ name }) => name) };
}

function isExcluded({ exclusions = [], gateways }: UpgradeState, name: string): boolean {
  return (
    exclusions.some((one) => one.gateway === name && one.stands === 'excluded') ||
    gateways?.list.some((one) => one.name === name && one.excluded !== undefined) === true
  );
}

/** Of this upgrade, and of earlier ones as far as the gateway is not back since. */
function exclusionsThatHold({
  exclusions = [],
  gateways,
}: UpgradeState): readonly Pick<Exclusion, 'gateway' | 'by' | 'at'>[] {
  const own = exclusions.filter(({ stands }) => stands === 'wanted' || stands === 'excluded');
  const seen = (gateways?.list ?? []).flatMap(({ name, excluded }) =>
    excluded === undefined ? [] : [{ gateway: name, by: excluded.by, at: excluded.at }],
  );
  return [...own, ...seen];
}

function marked(
  state: UpgradeState,
  which: (exclusion: Exclusion) => boolean,
  stands: Exclusion['stands'],
): UpgradeState {
  const { exclusions = [] } = state;
  return { ...state, exclusions: exclusions.map((one) => (which(one) ? { ...one, stands } : one)) };
}
