import type { KeyDecision } from '../domain/policy/route-key.ts';
import { joinedBaggage, KEY_MEMBER, memberValue, ownMember, routeMember, withoutMember } from './baggage.ts';
import type { CompiledRoutes } from './compiled-routes.ts';
import type { RequestHead } from './request-head.ts';
import { NO_STAMP, noCounts, type RoutingContext, type Stamp } from './routing-context.ts';

/** Bucket of requests that the context sent elsewhere than the policy does now: they are no evidence. */
const CONTEXT = 'context';

/**
 * The sidecar of an inner service's clients. It trusts the context of its callers: what was decided for its service at
 * the edge holds as long as the table can serve it. Without, or where it no longer can, the policy decides.
 */
export class SidecarContext implements RoutingContext {
  readonly writes = true;
  readonly counts = noCounts();
  readonly innerVersions = {};
  readonly #route: string;

  constructor(service: string) {
    this.#route = routeMember(service);
  }

  arrived(head: RequestHead): void {
    if (memberValue(head.baggage, this.#route) === undefined) this.counts.missing += 1;
  }

  decide(
    head: RequestHead,
    routes: CompiledRoutes,
    { serves, again }: { serves: (release: string) => boolean; again: boolean },
  ): KeyDecision {
    const policy = routes.decideKey(this.keyOf(head, routes), head);
    const stamped = memberValue(head.baggage, this.#route);
    // Where both say the same, the request counts as allotted by the policy, so that efficacy is measured as ever.
    if (stamped === undefined || stamped === policy.release) return policy;
    // A release that a guardrail pulled takes no new business, whoever decided for it before.
    const pulled = routes.table.split?.pulled.includes(stamped) === true;
    if (!pulled && serves(stamped)) return { release: stamped, bucket: CONTEXT };
    if (!again) this.counts.outdated += 1;
    return policy;
  }

  keyOf(head: RequestHead, { findKey }: CompiledRoutes): string | undefined {
    const found = findKey(head);
    return found === undefined || found === '' ? memberValue(head.baggage, KEY_MEMBER) : found;
  }

  stamp(): Stamp {
    return NO_STAMP;
  }

  /** As it came, with this service's decision. */
  outgoing(head: RequestHead, _routes: CompiledRoutes, { release }: { release: string }): string {
    const { baggage } = head;
    if (memberValue(baggage, this.#route) === release) return baggage;
    const joined = joinedBaggage([ownMember(this.#route, release)], withoutMember(baggage, this.#route));
    if (joined !== null) return joined;
    this.counts.dropped += 1;
    return baggage;
  }
}
