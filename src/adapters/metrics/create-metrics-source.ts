import { ChangeoverError } from '../../domain/errors.ts';
import type { SourcePlan } from '../../domain/plan/source-schema.ts';
import type { MetricsSource } from '../../ports/metrics-source.ts';
import type { OutcomeScale } from './counts.ts';
import type { Reach } from './fetch-json.ts';
import { createHttpMetrics } from './http-json.ts';
import { createPrometheusMetrics } from './prometheus.ts';
import { createSqlMetrics } from './sql.ts';

/** What this worker knows of the world: its environment, for secrets by reference, and the hosts that it may read. */
export interface MetricsAccess extends Reach {
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The metrics source of a plan (`measure.source`), which counts outcomes of `measure.volume.kind`, capped by
 * `decision.cap`. Nothing is connected to before it is read.
 *
 * @throws ChangeoverError `Internal` for `gateways`: what they count is read from the flow controller
 */
export function createMetricsSource(
  source: SourcePlan,
  scale: OutcomeScale,
  access: MetricsAccess,
): MetricsSource {
  const options = { ...access, ...scale };
  switch (source.from) {
    case 'prometheus':
      return createPrometheusMetrics(source, options);
    case 'sql':
      return createSqlMetrics(source, options);
    case 'http':
      return createHttpMetrics(source, options);
    case 'gateways':
      throw new ChangeoverError('Internal', 'What gateways count is read from the flow controller.');
  }
}
