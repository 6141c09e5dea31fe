import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const cache = new URL('../../node_modules/.cache/changeover-typescript/', import.meta.url);

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  return { format: 'module', source: await compiled(fileURLToPath(url)), shortCircuit: true };
}

/** The compiler takes longer to load than everything else takes to start: it is asked once for each content. */
async function compiled(path) {
  const text = await readFile(path, 'utf8');
  const kept = new URL(`${createHash('sha256').update(text).digest('hex')}.js`, cache);
  try {
    return await readFile(kept, 'utf8');
  } catch {
    const { default: ts } = await import('typescript');
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
      },
    });
    await mkdir(cache, { recursive: true });
    const temporary = new URL(`${randomUUID()}.tmp`, cache);
    await writeFile(temporary, outputText);
    await rename(temporary, kept);
    return outputText;
  }
}
