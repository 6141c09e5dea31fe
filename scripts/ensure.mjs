// Makes a checkout runnable: the right Node, the packages of the lockfile, and a build that is newer than the sources.
// Plain JavaScript on Node's own modules, for a fresh clone has nothing else. Usage: node scripts/ensure.mjs [--no-build]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLOOR = [20, 19];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const dist = join(root, 'dist');
const lockStamp = join(modules, '.changeover-lock');
const buildStamp = join(dist, '.changeover-build');
const SOURCES = ['src', 'demo', 'bench'];

checkNode();
ensurePackages();
if (!process.argv.includes('--no-build')) ensureBuild();

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1])) return;
  fail(
    `Changeover needs Node ${FLOOR.join('.')} or newer; this is ${process.versions.node}.`,
    'Install it from https://nodejs.org, or run `nvm install` in this folder.',
  );
}

function ensurePackages() {
  const wanted = hash([join(root, 'package-lock.json')]);
  if (readIfThere(lockStamp) === wanted) return;
  // Whoever develops has perhaps just run `npm install`: then the packages are there, and others may be using them.
  if (packagesAreThere()) return writeFileSync(lockStamp, wanted);
  step('installing packages (npm ci)', () => {
    // Neither NODE_ENV=production nor an `omit` setting may leave out what building and testing need.
    run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
    writeFileSync(lockStamp, wanted);
  });
}

/** Whether npm's own record of what it installed agrees with the lockfile. */
function packagesAreThere() {
  const installed = readIfThere(join(modules, '.package-lock.json'));
  if (installed === undefined) return false;
  const there = JSON.parse(installed).packages;
  const locked = JSON.parse(readIfThere(join(root, 'package-lock.json')) ?? '{}').packages ?? {};
  return Object.entries(locked).every(
    ([path, entry]) => path === '' || entry.optional || there[path]?.version === entry.version,
  );
}

function ensureBuild() {
  const sources = SOURCES.flatMap((folder) => filesBelow(join(root, folder)));
  const wanted = hash([
    ...sources,
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
    lockStamp,
  ]);
  if (readIfThere(buildStamp) === wanted) return;
  step('building', () => {
    run(process.execPath, [join(modules, 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
    // What runs as it is (the demo's business servers, web pages) goes beside the compiled files.
    for (const file of sources) {
      if (!/\.tsx?$/.test(file)) cpSync(file, join(dist, relative(root, file)), { recursive: true });
    }
    writeFileSync(buildStamp, wanted);
  });
}

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function hash(files) {
  const digest = createHash('sha256');
  for (const file of files) digest.update(`${relative(root, file)}\0`).update(readIfThere(file) ?? '');
  return digest.digest('hex');
}

function readIfThere(file) {
  return existsSync(file) && statSync(file).isFile() ? readFileSync(file, 'utf8') : undefined;
}

function run(command, args) {
  // On Windows npm is a batch file, which only a shell can start.
  const shell = command === 'npm' && process.platform === 'win32';
  const env = { ...process.env, NODE_ENV: 'development' };
  const result = spawnSync(command, args, { cwd: root, env, encoding: 'utf8', shell });
  if (result.error)
    fail(`${command} could not be started: ${result.error.message}`, 'Is Node installed completely?');
  if (result.status !== 0) {
    process.stderr.write(`\n${result.stdout}${result.stderr}`);
    fail(`\`${[command, ...args].join(' ')}\` failed, see above.`, 'Nothing has been started.');
  }
}

function step(what, action) {
  process.stderr.write(`changeover: ${what} … `);
  const startedAt = performance.now();
  action();
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
}

function fail(message, advice) {
  process.stderr.write(`\nchangeover: ${message}\n${advice}\n`);
  process.exit(1);
}
