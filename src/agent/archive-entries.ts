import { posix } from 'node:path';
import type { ReadEntry } from 'tar';
import { ChangeoverError } from '../domain/errors.ts';
import type { ArchiveLimits } from './config.ts';
import { isMarker } from './releases.ts';

type EntryFacts = Pick<ReadEntry, 'path' | 'type' | 'size' | 'mode' | 'linkpath'>;

const SETUID_SETGID = 0o6000;

/** What stands at a path of the archive, as it will on the disk. */
interface Place {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link';
}

/** Judges an archive entry by entry. @throws ChangeoverError `PackageUnsafe` naming the entry and what is wrong. */
export function createEntryCheck(limits: ArchiveLimits): { add(entry: EntryFacts): void; end(): void } {
  /** By normalized lower-case path: what a file system that ignores case would take for the same. */
  const places = new Map<string, Place>();
  let count = 0;
  let bytes = 0;

  const occupy = (entry: EntryFacts, kind: Place['kind']): void => {
    const parts = partsOf(entry.path);
    for (let depth = 1; depth < parts.length; depth += 1) {
      claim(places, { path: parts.slice(0, depth).join('/'), kind: 'folder' });
    }
    claim(places, { path: parts.join('/'), kind });
  };

  return {
    add: (entry) => {
      count += 1;
      bytes += entry.size;
      if (count > limits.maxEntries) throw unsafe(`it holds more than ${limits.maxEntries} entries`);
      if (bytes > limits.maxUnpackedBytes) {
        throw unsafe(`it unpacks to more than ${limits.maxUnpackedBytes} bytes`);
      }
      if (isRoot(entry)) return;
      assertPath(entry.path, entry.path);
      if (((entry.mode ?? 0) & SETUID_SETGID) !== 0) {
        throw unsafe(`"${entry.path}" has a setuid or setgid bit`);
      }
      switch (entry.type) {
        case 'File':
        case 'OldFile':
        case 'ContiguousFile':
          return occupy(entry, 'file');
        case 'Directory':
          return occupy(entry, 'folder');
        case 'SymbolicLink':
          assertSymbolicLink(entry);
          return occupy(entry, 'link');
        case 'Link':
          assertHardLink(entry, places);
          return occupy(entry, 'file');
        default:
          throw unsafe(`"${entry.path}" is neither a file, a folder nor a link, but a ${entry.type}`);
      }
    },
    end: () => {
      if (![...places.values()].some((place) => place.kind === 'file')) throw unsafe('it holds no file');
    },
  };
}

function claim(places: Map<string, Place>, wanted: Place): void {
  const key = wanted.path.normalize('NFC').toLowerCase();
  const present = places.get(key);
  if (!present) {
    places.set(key, wanted);
    return;
  }
  if (present.path !== wanted.path) {
    throw unsafe(`"${present.path}" and "${wanted.path}" differ in upper and lower case only`);
  }
  // A folder may be named again; anything else would be written over, or written through a link.
  if (present.kind !== 'folder' || wanted.kind !== 'folder') throw unsafe(`"${wanted.path}" occurs twice`);
}

function assertPath(path: string, shown: string): void {
  const bad =
    path.startsWith('/') || /^[A-Za-z]:/.test(path)
      ? 'is an absolute path'
      : path.split('/').includes('..')
        ? 'leads out of its folder (..)'
        : path.includes('\\') || hasControlCharacter(path)
          ? 'has a backslash or a control character in its name'
          : partsOf(path).length === 0
            ? 'has no name'
            : isMarker(path)
              ? 'bears a name that is reserved for the agent'
              : undefined;
  if (bad !== undefined) throw unsafe(`"${shown}" ${bad}`);
}

/**
 * Relative, not above the release, and with `..` only at its beginning: `a/../..` may lead elsewhere than it reads when
 * `a` is itself a link.
 */
function assertSymbolicLink(entry: EntryFacts): void {
  const target = entry.linkpath ?? '';
  const ascent = /^(?:\.\.(?:\/|$)|\.\/)*/.exec(target)?.[0] ?? '';
  const rest = target.slice(ascent.length);
  const resolved = posix.join('/', posix.dirname(partsOf(entry.path).join('/')), target);
  const levels = partsOf(ascent).length;
  const depth = partsOf(entry.path).length - 1;
  const leaves =
    target === '' ||
    target.startsWith('/') ||
    /^[A-Za-z]:/.test(target) ||
    target.includes('\\') ||
    rest.split('/').includes('..') ||
    levels > depth;
  if (leaves) throw unsafe(`the link "${entry.path}" leads to "${target}", out of the release (${resolved})`);
}

function assertHardLink(entry: EntryFacts, places: ReadonlyMap<string, Place>): void {
  const target = entry.linkpath ?? '';
  assertPath(target, `${entry.path} -> ${target}`);
  const present = places.get(partsOf(target).join('/').normalize('NFC').toLowerCase());
  if (present?.kind !== 'file' || present.path !== partsOf(target).join('/')) {
    throw unsafe(
      `the hard link "${entry.path}" leads to "${target}", which is no file before it in the archive`,
    );
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function isRoot(entry: EntryFacts): boolean {
  return entry.type === 'Directory' && /^(\.\/?)+$/.test(entry.path);
}

function hasControlCharacter(text: string): boolean {
  return /[\u0000-\u001f\u007f]/.test(text);
}

function unsafe(why: string): ChangeoverError {
  return new ChangeoverError('PackageUnsafe', `The package is refused: ${why}.`);
}
