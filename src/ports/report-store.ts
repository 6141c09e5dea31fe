import type { UpgradeReport } from '../domain/report/report.ts';

/** Where reports go when a run ends. Writing the same report again replaces it. */
export interface ReportStore {
  /** Returns the names of what was written, for the operator. */
  write(report: UpgradeReport): Promise<readonly string[]>;
}
