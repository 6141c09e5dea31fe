// Installs the software that tests drive and npm does not bring, on a Debian or Ubuntu machine where we are root (a build
// server). Elsewhere it says what is missing: tests that need it skip themselves, or fail where everything is demanded.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** One line each: the command that shows that it is there, and the package that brings it. */
const COMPONENTS = [
  { command: 'haproxy', package: 'haproxy', override: 'HAPROXY' },
  { command: 'prometheus', package: 'prometheus', override: 'PROMETHEUS' },
  { command: 'postgres', package: 'postgresql-15', override: 'POSTGRES' },
];
/** Debian keeps each version of PostgreSQL in a folder of its own, off the path. */
const POSTGRES_FOLDER = '/usr/lib/postgresql/15/bin';

const missing = COMPONENTS.filter(({ command, override }) => !process.env[override] && !isThere(command));
if (missing.length > 0) {
  const packages = missing.map((one) => one.package);
  const canInstall = process.getuid?.() === 0 && isThere('apt-get');
  // One by one, so that what this system does not have keeps nothing else away. The lists of a new machine are empty
  // or old: they are fetched only where installing fails without.
  const installed = (name) => canInstall && install(name);
  let left = packages.filter((name) => !installed(name));
  if (left.length > 0 && canInstall && run('apt-get', ['update', '-qq'])) {
    left = left.filter((name) => !installed(name));
  }
  if (left.length > 0) console.log(`Not installed here: ${left.join(', ')}.`);
}

function install(name) {
  return run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name]);
}

function run(command, args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
}

function isThere(command) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    POSTGRES_FOLDER,
  ];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
