import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Parser, Unpack, type ReadEntry } from 'tar';
import { ChangeoverError } from '../domain/errors.ts';
import { createEntryCheck } from './archive-entries.ts';
import type { ArchiveLimits } from './config.ts';

/**
 * Unpacks a `.tgz`, `.tar.gz` or `.tar` into an empty folder. The archive is read twice: nothing is written before every
 * entry was found harmless (`archive-entries.ts`), and the total, the count and the ratio are within bounds.
 *
 * @throws ChangeoverError `PackageUnsafe`
 */
export async function unpackArchive(archive: {
  path: string;
  fileName: string;
  folder: string;
  limits: ArchiveLimits;
}): Promise<void> {
  const check = createEntryCheck(archive.limits);
  const parser = new Parser({ strict: true });
  // What the library would leave out silently: unknown kinds, and names too long to be honest.
  parser.on('ignoredEntry', (entry: ReadEntry) => {
    parser.emit('error', unsafe(`it holds "${entry.path}" of the unsupported kind ${entry.type}`));
  });
  parser.on('entry', (entry: ReadEntry) => {
    try {
      check.add(entry);
    } catch (error) {
      parser.emit('error', error);
    }
    entry.resume();
  });
  await pump(archive, parser);
  check.end();
  await pump(archive, new Unpack({ cwd: archive.folder, strict: true, preserveOwner: false }));
  await flushToDisk(archive.folder);
}

interface Archive {
  readonly path: string;
  readonly fileName: string;
  readonly limits: ArchiveLimits;
}

async function pump(archive: Archive, sink: Parser): Promise<void> {
  const source = await openBounded(archive);
  const stopped = new AbortController();
  // The first error counts; it stays listened to, as an error that nobody hears would end the process.
  sink.on('error', (error: unknown) => stopped.abort(error));
  const { signal } = stopped;
  const closed = once(sink, 'close', { signal });
  closed.catch(() => undefined);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      const ready = sink.write(chunk);
      signal.throwIfAborted();
      if (!ready) await once(sink, 'drain', { signal });
    }
    sink.end();
    signal.throwIfAborted();
    await closed;
  } catch (error) {
    const cause: unknown = signal.aborted ? signal.reason : error;
    if (cause instanceof ChangeoverError) throw cause;
    throw unsafe(`it cannot be unpacked (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  } finally {
    source.destroy();
  }
}

/** The archive's plain bytes, which end with an error at the first one above the bounds. */
async function openBounded(archive: Archive): Promise<Readable> {
  const { maxUnpackedBytes, maxRatio, maxEntries } = archive.limits;
  const packedBytes = (await stat(archive.path)).size;
  // Headers and padding take up to 2 KB for each entry beside the content.
  const maxBytes = maxUnpackedBytes + maxEntries * 2048;
  let length = 0;
  const bound = new Transform({
    transform: (chunk: Buffer, _, done) => {
      length += chunk.length;
      if (length > maxBytes) done(unsafe(`it unpacks to more than ${maxUnpackedBytes} bytes`));
      else if (length > packedBytes * maxRatio && length > 1024 * 1024) {
        done(unsafe(`it unpacks to more than ${maxRatio} times its size`));
      } else done(null, chunk);
    },
  });
  const file = createReadStream(archive.path);
  file.once('error', (error) => bound.destroy(error));
  if (isPlain(archive.fileName)) return file.pipe(bound);
  const gunzip = createGunzip();
  gunzip.once('error', (error) => bound.destroy(error));
  return file.pipe(gunzip).pipe(bound);
}

function isPlain(fileName: string): boolean {
  if (/\.(tgz|tar\.gz)$/i.test(fileName)) return false;
  if (/\.tar$/i.test(fileName)) return true;
  throw unsafe(`"${fileName}" is no .tgz, .tar.gz or .tar`);
}

/** A release that bears its name is complete also after a power cut: its bytes are on the disk, not only in memory. */
async function flushToDisk(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await flushToDisk(path);
    else if (entry.isFile()) await flush(path);
  }
  await flush(folder);
}

async function flush(path: string): Promise<void> {
  // A file without read permission stays what it is: the package wants it so.
  const handle = await open(path, 'r').catch(() => undefined);
  if (!handle) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unsafe(why: string, cause?: unknown): ChangeoverError {
  return new ChangeoverError('PackageUnsafe', `The package is refused: ${why}.`, { cause });
}
