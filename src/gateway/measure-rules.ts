import type { ExchangeMatch, MeasureRules } from '../domain/measure.ts';
import { utf8Octets } from '../domain/policy/route-key.ts';
import { configuredHeaderName, type HeaderName } from './header-name.ts';

/** Counting rules of a table, compiled for one look per exchange. */
export interface CompiledMeasure {
  readonly slowMs: number;
  readonly isAllocated: (method: string, path: string) => boolean;
  readonly volumeHeader: HeaderName | null;
  readonly amountHeader: HeaderName | null;
  /** Whether the exchange counts as transaction volume; `header` is the watched response header's value. */
  readonly isVolume: (exchange: {
    method: string;
    path: string;
    status: number;
    header: string | undefined;
  }) => boolean;
}

export function compileMeasure(rules: MeasureRules): CompiledMeasure {
  const { match, amountHeader } = rules.volume;
  const request = requestMatcher(match);
  const status = statusMatcher(match.status);
  const { header } = match;
  // Values of fields come as octets.
  const value = header?.value === undefined ? undefined : utf8Octets(header.value);
  return {
    slowMs: rules.slowMs,
    isAllocated: requestMatcher(rules.allocated),
    volumeHeader: header === undefined ? null : configuredHeaderName(header.name),
    amountHeader: amountHeader === undefined ? null : configuredHeaderName(amountHeader),
    isVolume: (exchange) =>
      status(exchange.status) &&
      request(exchange.method, exchange.path) &&
      (header === undefined ||
        (exchange.header !== undefined && (value === undefined || value === exchange.header))),
  };
}

function requestMatcher(
  rule: Pick<ExchangeMatch, 'method' | 'path'>,
): (method: string, path: string) => boolean {
  const { method: wantedMethod, path: wantedPath } = rule;
  if (wantedPath === undefined) {
    return wantedMethod === undefined ? () => true : (method) => method === wantedMethod;
  }
  const prefix = wantedPath.endsWith('*') ? wantedPath.slice(0, -1) : undefined;
  return (method, path) =>
    (wantedMethod === undefined || method === wantedMethod) &&
    (prefix === undefined ? path === wantedPath : path.startsWith(prefix));
}

function statusMatcher(wanted: string | undefined): (status: number) => boolean {
  if (wanted === undefined) return () => true;
  const family = /^([1-5])xx$/i.exec(wanted)?.[1];
  if (family !== undefined) return (status) => Math.trunc(status / 100) === Number(family);
  const exact = Number(wanted);
  return (status) => status === exact;
}
