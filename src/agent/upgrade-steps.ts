import { rm } from 'node:fs/promises';
import { ChangeoverError } from '../domain/errors.ts';
import type { OsType, UpgradeParams } from '../domain/upgrade-params.ts';
import type { UPGRADE_STEPS } from '../protocol/agent.ts';
import { unpackArchive } from './archive.ts';
import type { ArchiveLimits } from './config.ts';
import type { Exclusive } from './exclusive.ts';
import type { PackageSource } from './package-source.ts';
import type { Release, Releases } from './releases.ts';
import type { ServerState } from './server-state.ts';
import type { Software } from './software.ts';

export type UpgradeStep = (typeof UPGRADE_STEPS)[number];

export interface StepDeps {
  readonly os: OsType;
  readonly limits: ArchiveLimits;
  readonly source: PackageSource;
  readonly releases: Releases;
  readonly software: Software;
  readonly server: ServerState;
  /** Runs what changes the folder of releases one after the other. */
  readonly inReleases: Exclusive;
  readonly checkpoint: (name: string) => Promise<void>;
}

export interface StepContext {
  readonly params: UpgradeParams;
  /** Ends what may be left at once: fetching, and waiting. */
  readonly signal: AbortSignal;
  readonly note: (text: string) => Promise<void>;
}

export interface UpgradeSteps {
  /** Fetches, verifies and unpacks a package ahead of its use; nothing that runs is touched. */
  readonly prepare: (params: UpgradeParams) => Promise<void>;
  readonly steps: Record<UpgradeStep, (context: StepContext) => Promise<void>>;
}

/**
 * The steps of a local upgrade. Each one may be killed at any instant and repeated, and then has the effect of once
 * (invariant 9). Until `stopping` nothing that runs is touched.
 */
export function createUpgradeSteps(deps: StepDeps): UpgradeSteps {
  const target = async (params: UpgradeParams): Promise<Release> => {
    const release = await deps.releases.find(params);
    if (release) return release;
    throw new ChangeoverError(
      'Internal',
      `The release ${params.version} is no longer complete on this server. Retry: it is fetched again.`,
    );
  };

  const fetching = async ({ params, signal }: Pick<StepContext, 'params' | 'signal'>): Promise<void> => {
    assertOs(deps.os, params);
    if (!(await deps.releases.find(params))) await deps.source.fetch(params, { signal });
  };
  const verifying = async ({ params }: Pick<StepContext, 'params'>): Promise<void> => {
    if (!(await deps.releases.find(params))) await deps.source.verify(params);
  };
  const unpacking = ({ params }: Pick<StepContext, 'params'>): Promise<void> =>
    deps.inReleases(async () => {
      if (await deps.releases.find(params)) return;
      await deps.releases.removeLeftovers();
      const folder = await deps.releases.fresh(params.version);
      try {
        const path = await deps.source.verify(params);
        await unpackArchive({ path, fileName: params.fileName, folder, limits: deps.limits });
        await deps.checkpoint('unpacking:unpacked');
        await deps.releases.complete(folder, params);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  // Unpacked too: while a server is out of traffic it should do nothing that could have been done before.
  const prepare: UpgradeSteps['prepare'] = async (params) => {
    await fetching({ params, signal: new AbortController().signal });
    await verifying({ params });
    await unpacking({ params });
  };

  const steps: UpgradeSteps['steps'] = {
    fetching,
    verifying,
    unpacking,
    stopping: async ({ note }) => {
      const problem = await deps.software.stop();
      if (problem !== undefined) await note(problem);
    },
    switching: async ({ params }) => deps.releases.switchTo(await target(params)),
    starting: async ({ params }) => deps.software.start(await target(params)),
    waitingForHealth: async ({ params, signal }) => {
      await deps.server.awaitHealthy(await target(params), { signal });
    },
  };
  return { prepare, steps };
}

function assertOs(os: OsType, params: UpgradeParams): void {
  if (params.os === os) return;
  throw new ChangeoverError(
    'OsMismatch',
    `The package ${params.fileName} is for ${params.os}, and this server runs ${os}. Give the plan a package for ${os}.`,
    { details: { server: os, package: params.os } },
  );
}
