import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ChangeoverError } from '../domain/errors.ts';
import type { SystemdConfig } from './config.ts';
import { workingFolderOf } from './os-process.ts';
import type { Releases } from './releases.ts';
import type { Running, Software } from './software.ts';

const run = promisify(execFile);

/**
 * Software that systemd starts, stops and restarts. The unit refers to the `current` link, for example in
 * `WorkingDirectory=`. The agent needs the right to start and stop it (root, or a polkit rule).
 */
export function createSystemdUnit(
  config: SystemdConfig,
  deps: { releases: Releases; systemctl: string },
): Software {
  const systemctl = async (...args: string[]): Promise<string> => {
    const { stdout } = await run(deps.systemctl, [...args, '--', config.unit], { timeout: config.timeoutMs });
    return stdout;
  };

  const show = async (): Promise<{ active: string; result: string; pid: number }> => {
    const text = await systemctl('show', '--property=ActiveState,Result,MainPID');
    const properties = new Map(text.split('\n').map((line) => splitProperty(line)));
    return {
      active: properties.get('ActiveState') ?? 'unknown',
      result: properties.get('Result') ?? 'unknown',
      pid: Number(properties.get('MainPID') ?? 0),
    };
  };

  const running = async (): Promise<Running> => {
    const { active, result, pid } = await show();
    if (active === 'inactive' || active === 'failed') {
      return { state: 'stopped', exit: `unit ${active}, result ${result}` };
    }
    const folder = pid > 0 ? workingFolderOf(pid) : undefined;
    const release = folder === undefined ? undefined : await deps.releases.ofFolder(folder);
    // The link changes only while the unit is stopped: what runs was started by it.
    return { state: 'running', release: release ?? (await deps.releases.current()) };
  };

  return {
    // systemd does that, by the unit's `Restart=`.
    supervised: false,
    running,
    start: async (release) => {
      const present = await running();
      if (present.state === 'running' && present.release?.name === release.name) return;
      await systemctl('reset-failed').catch(() => undefined);
      await systemctl('start').catch((cause: unknown) => {
        throw new ChangeoverError('StartFailed', `systemctl start ${config.unit} failed: ${String(cause)}`, {
          cause,
        });
      });
    },
    stop: async () => {
      await systemctl('stop').catch((cause: unknown) => {
        throw new ChangeoverError('StopFailed', `systemctl stop ${config.unit} failed: ${String(cause)}`, {
          cause,
        });
      });
      const { active } = await show();
      if (active === 'inactive' || active === 'failed') return undefined;
      throw new ChangeoverError(
        'StopFailed',
        `The unit ${config.unit} is still ${active} after systemctl stop.`,
      );
    },
    lastLines: async () => {
      const args = ['-u', config.unit, '-n', '20', '--no-pager', '-o', 'cat'];
      const { stdout } = await run('journalctl', args, { timeout: 5_000 }).catch(() => ({ stdout: '' }));
      return stdout.split('\n').filter((line) => line.trim() !== '');
    },
  };
}

function splitProperty(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}
