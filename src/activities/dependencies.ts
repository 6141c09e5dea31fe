import type { VolumeKind } from '../domain/measure.ts';
import type { SourcePlan } from '../domain/plan/source-schema.ts';
import type { MetricsSource } from '../ports/metrics-source.ts';
import type { ReportStore } from '../ports/report-store.ts';
import type { RouteRegistry, ServiceLock, TrafficObservatory } from '../ports/route-registry.ts';
import type { ServerAgent } from '../ports/server-agent.ts';

/** What the activities need of the world: ports, wired by the worker. */
export interface ActivityDependencies {
  readonly registry: RouteRegistry;
  readonly lock: ServiceLock;
  readonly observatory: TrafficObservatory;
  readonly agents: ServerAgent;
  readonly reports: ReportStore;
  /** The source of a plan that reads outcomes elsewhere than at the gateways. */
  readonly metrics: (
    source: SourcePlan,
    scale: { readonly kind: VolumeKind; readonly cap?: number | undefined },
  ) => MetricsSource;
}
