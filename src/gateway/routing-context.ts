import type { KeyDecision } from '../domain/policy/route-key.ts';
import type { ContextCounts } from '../protocol/gateway.ts';
import type { CompiledRoutes } from './compiled-routes.ts';
import type { RequestHead } from './request-head.ts';

/** What is decided once for a whole business transaction, and remembered with it. */
export interface Stamp {
  /** Its id for the services behind this one; empty: there is none. */
  readonly id: string;
  /** Baggage members with the releases of inner services, comma-separated; empty: nothing was decided. */
  readonly routes: string;
}

export const NO_STAMP: Stamp = { id: '', routes: '' };

/** What the role of a gateway makes of the routing context that travels in `baggage`. */
export interface RoutingContext {
  /** Whether it writes `baggage`; where it does not, that travels with the other fields. */
  readonly writes: boolean;
  readonly counts: ContextCounts;
  /** Tables of inner services, by name, with their versions. */
  readonly innerVersions: Readonly<Record<string, number>>;
  /** A request came. Called once for each. */
  arrived(head: RequestHead): void;
  /**
   * The release for business that is on no server yet. `serves` says whether a release has open servers; `again`: this
   * request asked before.
   */
  decide(
    head: RequestHead,
    routes: CompiledRoutes,
    options: { serves: (release: string) => boolean; again: boolean },
  ): KeyDecision;
  /** The key by which `decide` decides. */
  keyOf(head: RequestHead, routes: CompiledRoutes): string | undefined;
  /** For business that begins with this request; `id` is that of its transaction, where it has one. */
  stamp(head: RequestHead, routes: CompiledRoutes, id: string | undefined): Stamp;
  /** The baggage for the server; empty where there is none to add to the fields. */
  outgoing(
    head: RequestHead,
    routes: CompiledRoutes,
    place: { readonly release: string; readonly stamp: Stamp },
  ): string;
}

export function noCounts(): ContextCounts {
  return { missing: 0, outdated: 0, dropped: 0 };
}

/** A gateway that writes no context: what clients forged of it is gone already when a head is read. */
export class PlainContext implements RoutingContext {
  readonly writes = false;
  readonly counts = noCounts();
  readonly innerVersions = {};

  arrived(): void {
    // Nothing to expect of clients.
  }

  decide(head: RequestHead, routes: CompiledRoutes): KeyDecision {
    return routes.decide(head);
  }

  keyOf(head: RequestHead, routes: CompiledRoutes): string | undefined {
    return routes.findKey(head);
  }

  stamp(): Stamp {
    return NO_STAMP;
  }

  outgoing(): string {
    return '';
  }
}
