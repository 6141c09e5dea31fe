import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { HooksConfig } from './config.ts';
import type { HealthCheck } from './health.ts';
import type { Release, Releases } from './releases.ts';
import { describeOutcome, runToEnd, type CommandOutcome } from './service-commands.ts';
import { tailLog } from './software-log.ts';
import type { Running, Software } from './software.ts';
import { waitUntil } from './wait.ts';

/**
 * Software that commands of the operator start and stop. They have to be safe to repeat: after a kill of the agent the
 * same command may run once more. `start` returns once the software was launched. They find the release in
 * `CHANGEOVER_RELEASE` and `CHANGEOVER_VERSION`.
 */
export function createHookCommands(
  config: HooksConfig,
  deps: {
    installDir: string;
    stateDir: string;
    env: Readonly<Record<string, string>>;
    releases: Releases;
    health: HealthCheck;
  },
): Software {
  const logPath = join(deps.stateDir, 'hooks.log');
  const startedPath = join(deps.stateDir, 'started.txt');
  let logOffset = 0;

  const run = (argv: readonly string[], release?: Release): Promise<CommandOutcome> =>
    runToEnd(argv, {
      cwd: deps.installDir,
      timeoutMs: config.timeoutMs,
      logPath,
      env: {
        ...deps.env,
        ...(release && { CHANGEOVER_VERSION: release.version, CHANGEOVER_RELEASE: release.path }),
      },
    });

  const started = async (): Promise<Release | undefined> => {
    const name = await readFile(startedPath, 'utf8').catch(() => undefined);
    return name === undefined ? undefined : deps.releases.read(name);
  };

  const running = async (): Promise<Running> => {
    const release = await started();
    if (!config.status) return { state: 'unknown', release };
    const { code } = await run(config.status);
    return code === 0
      ? { state: 'running', release }
      : { state: 'stopped', exit: `status hook: ${code ?? 'none'}` };
  };

  /** A stop hook that returns early, or does nothing, must not let two versions run at once. */
  const isDown = async (): Promise<boolean> =>
    config.status ? (await run(config.status)).code !== 0 : !(await deps.health.answers());

  return {
    supervised: false,
    running,
    start: async (release) => {
      const present = await running();
      if (present.state === 'running' && present.release?.name === release.name) return;
      logOffset = (await stat(logPath).catch(() => undefined))?.size ?? 0;
      await writeFileAtomic(startedPath, release.name);
      const outcome = await run(config.start, release);
      if (outcome.code === 0) return;
      throw new ChangeoverError(
        'StartFailed',
        `The software could not be started: ${describeOutcome(config.start, outcome, config.timeoutMs)}.`,
        { details: { exitCode: outcome.code } },
      );
    },
    stop: async () => {
      if ((await started()) === undefined && (await isDown())) return undefined;
      const outcome = await run(config.stop, await started());
      if (!(await waitUntil(isDown, { timeoutMs: config.timeoutMs, intervalMs: 50 }))) {
        throw new ChangeoverError(
          'StopFailed',
          `The software still runs after the stop hook: ${describeOutcome(config.stop, outcome, config.timeoutMs)}. Stop it by hand, and retry.`,
        );
      }
      await rm(startedPath, { force: true });
      return outcome.code === 0 ? undefined : describeOutcome(config.stop, outcome, config.timeoutMs);
    },
    lastLines: () => tailLog(logPath, logOffset),
  };
}
