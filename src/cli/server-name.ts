import { nearest } from '../domain/plan/problem.ts';
import type { UpgradeStatus } from '../domain/upgrade/status.ts';

/** Why a server's name cannot be meant, with the one that probably was; undefined where it can. */
export function unknownServer(server: string, { service, servers }: UpgradeStatus): string | undefined {
  const names = servers.map(({ name }) => name);
  if (names.includes(server)) return undefined;
  const near = nearest(server, names);
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  return `The upgrade of ${service} has no server ${server}.${hint}`;
}
