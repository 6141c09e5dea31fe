import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { renderReport } from '../domain/report/markdown.ts';
import type { ReportStore } from '../ports/report-store.ts';

/** Reports as files, `<upgrade id>.json` and `.md`, in one folder. */
export function reportFiles(folder: string): ReportStore {
  return {
    async write(report) {
      await mkdir(folder, { recursive: true });
      const base = join(resolve(folder), report.upgradeId.replaceAll(/[^A-Za-z0-9._-]/g, '_'));
      const files = {
        [`${base}.json`]: `${JSON.stringify(report, null, 2)}\n`,
        [`${base}.md`]: renderReport(report),
      };
      for (const [file, text] of Object.entries(files)) await writeFileAtomic(file, text);
      return Object.keys(files);
    },
  };
}
