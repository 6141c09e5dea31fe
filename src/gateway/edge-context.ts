import { randomUUID } from 'node:crypto';
import { MAX_KEY_OCTETS, type KeyDecision } from '../domain/policy/route-key.ts';
import type { KeySource } from '../domain/policy/policy.ts';
import { isUtf8, joinedBaggage, KEY_MEMBER, ownMember, routeMember, TRANSACTION_MEMBER } from './baggage.ts';
import type { CompiledRoutes } from './compiled-routes.ts';
import type { InnerRoutes } from './inner-routes.ts';
import type { RequestHead } from './request-head.ts';
import { compileKeySource, type FindKey } from './request-key.ts';
import { noCounts, type RoutingContext, type Stamp } from './routing-context.ts';

/** Longer ids belong to no transaction anywhere. */
const MAX_ID_OCTETS = 256;

/**
 * The edge decides for inner services as well when business begins, by their policies, so that one business transaction
 * meets one set of versions all the way down, however their tables change meanwhile.
 */
export class EdgeContext implements RoutingContext {
  readonly writes = true;
  readonly counts = noCounts();
  readonly #route: string;
  readonly #inner: readonly InnerRoutes[];
  readonly #configuredKey: FindKey | null;
  /** Not to be guessed: who knows another one's id is sent where that one is. */
  readonly #idPrefix = randomUUID();
  #requests = 0;

  constructor(parts: { service: string; key: KeySource | undefined; inner: readonly InnerRoutes[] }) {
    this.#route = routeMember(parts.service);
    this.#inner = parts.inner;
    this.#configuredKey = parts.key === undefined ? null : compileKeySource(parts.key, { watched: false });
  }

  get innerVersions(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.#inner.map(({ service, routes }) => [service, routes?.table.version ?? 0]),
    );
  }

  arrived(): void {
    // Nothing to expect of clients.
  }

  decide(head: RequestHead, routes: CompiledRoutes): KeyDecision {
    return routes.decide(head);
  }

  keyOf(head: RequestHead, routes: CompiledRoutes): string | undefined {
    return routes.findKey(head);
  }

  stamp(head: RequestHead, routes: CompiledRoutes, id: string | undefined): Stamp {
    const own = this.#ownKey(head, routes);
    const decided = this.#inner.flatMap(({ service, routes: inner, findKey }) => {
      if (inner === null) return [];
      // As its own clients would find it; else the key of the outer service.
      const key = this.#configuredKey?.(head) ?? findKey(head) ?? own;
      return [ownMember(routeMember(service), inner.decideKey(key, head).release)];
    });
    return { id: isUsable(id, MAX_ID_OCTETS) ? id : this.#newId(), routes: decided.join(',') };
  }

  outgoing(
    head: RequestHead,
    routes: CompiledRoutes,
    { release, stamp }: { readonly release: string; readonly stamp: Stamp },
  ): string {
    const key = this.#ownKey(head, routes) ?? this.#firstInnerKey(head);
    const own = [
      ...(isUsable(key, MAX_KEY_OCTETS) ? [ownMember(KEY_MEMBER, key)] : []),
      ownMember(TRANSACTION_MEMBER, stamp.id),
      ownMember(this.#route, release),
      ...(stamp.routes === '' ? [] : [stamp.routes]),
    ];
    const joined = joinedBaggage(own, head.baggage);
    if (joined !== null) return joined;
    this.counts.dropped += 1;
    return head.baggage;
  }

  #ownKey(head: RequestHead, routes: CompiledRoutes): string | undefined {
    return this.#configuredKey?.(head) ?? routes.findKey(head);
  }

  #firstInnerKey(head: RequestHead): string | undefined {
    for (const { findKey } of this.#inner) {
      const key = findKey(head);
      if (key !== undefined && key !== '') return key;
    }
    return undefined;
  }

  /** A request by itself is business too: its calls of inner services belong together. */
  #newId(): string {
    this.#requests += 1;
    return `${this.#idPrefix}.${this.#requests}`;
  }
}

/** Whether it is worth passing on: what is longer counts as absent everywhere, and what is no text breaks libraries. */
function isUsable(value: string | undefined, maxOctets: number): value is string {
  return value !== undefined && value !== '' && value.length <= maxOctets && isUtf8(value);
}
