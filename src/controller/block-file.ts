import { open, readFile } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import { numberedBlockSchema, type NumberedBlock } from '../protocol/controller.ts';
import { unitCountSchema } from '../protocol/gateway.ts';
import type { ClosedRow } from './block-differences.ts';

const headSchema = z.strictObject({
  format: z.literal(1),
  trial: z.string(),
  /** When the trial's routes came into effect, by the clock, in milliseconds since 1970. */
  startedAtMs: z.number(),
});
/** First line of a block file. */
export type BlockFileHead = z.infer<typeof headSchema>;

const recordSchema = z.strictObject({
  blocks: z.array(numberedBlockSchema).min(1),
  rows: z.array(unitCountSchema.extend({ gateway: z.string(), epoch: z.string() })),
});
/** Blocks that were closed together, and the rows that had grown, as they were then: written as one, or not at all. */
export interface BlockRecord {
  readonly blocks: readonly NumberedBlock[];
  readonly rows: readonly ClosedRow[];
}

/** The blocks of one trial on disk: a line of JSON each time some are closed. */
export interface BlockFile {
  readonly head: BlockFileHead;
  /** On disk when it resolves; where it rejects nothing counts as written. */
  append(record: BlockRecord): Promise<void>;
}

/** Begins a file for another trial, in place of what was there. */
export async function createBlockFile(path: string, head: BlockFileHead): Promise<BlockFile> {
  const line = `${JSON.stringify(head)}\n`;
  await writeFileAtomic(path, line);
  return appender(path, head, Buffer.byteLength(line));
}

/**
 * Reads a file, or undefined where there is none. A last line that is not whole was cut off in the writing: nobody was
 * answered by it, and the next one takes its place.
 *
 * @throws ChangeoverError `Internal` for other damage, naming the file.
 */
export async function openBlockFile(
  path: string,
): Promise<{ readonly file: BlockFile; readonly records: readonly BlockRecord[] } | undefined> {
  const bytes = await bytesOf(path);
  if (bytes === undefined) return undefined;
  const lines = bytes.toString('utf8').split('\n');
  const ended = lines.pop() === '';
  const head = parsed(headSchema, lines[0]);
  if (head === undefined) throw damaged(path, 1);
  const records: BlockRecord[] = [];
  let length = Buffer.byteLength(lines[0] ?? '') + 1;
  for (const [i, line] of lines.entries()) {
    if (i === 0) continue;
    const record = parsed(recordSchema, line);
    if (record === undefined) {
      if (i === lines.length - 1 && ended) break;
      throw damaged(path, i + 1);
    }
    records.push(record);
    length += Buffer.byteLength(line) + 1;
  }
  return { file: appender(path, head, length), records };
}

function appender(path: string, head: BlockFileHead, length: number): BlockFile {
  let end = length;
  return {
    head,
    async append(record) {
      const line = Buffer.from(`${JSON.stringify(record)}\n`);
      const handle = await open(path, 'r+');
      try {
        // What is beyond was cut off in the writing.
        await handle.truncate(end);
        for (let done = 0; done < line.length;) {
          done += (await handle.write(line, done, line.length - done, end + done)).bytesWritten;
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
      end += line.length;
    },
  };
}

async function bytesOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function parsed<T>(schema: z.ZodType<T>, line: string | undefined): T | undefined {
  try {
    return schema.safeParse(JSON.parse(line ?? '')).data;
  } catch {
    return undefined;
  }
}

function damaged(path: string, line: number): ChangeoverError {
  return new ChangeoverError(
    'Internal',
    `The controller does not start: line ${line} of the blocks in ${path} is damaged. Put a backup of that file back, or move it away and start the trial anew.`,
  );
}
