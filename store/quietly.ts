/**
 * Tidying that must not fail what succeeded, nor hide why something failed. What it leaves is cleared up by whoever
 * comes next: see README.md on what a crash leaves.
 */
export function quietly(action: () => unknown): void {
  try {
    action();
  } catch {
    // see above
  }
}
