/** Bytes into the file of an ingest, hashed on their way: a worker's task. What it returns is what `commit` asks for. */
import { openIngestWriter } from "../../store/index.ts";
import { readChunks } from "./input.ts";
import type { StoreResult, StoreTask } from "./tasks.ts";

/** Throws StoreErrors `blob-digest-mismatch`, `blob-size-mismatch`, `disk-full`. */
export async function storeBytes(task: StoreTask, onProgress: (doneBytes: number) => void): Promise<StoreResult> {
  const { digest, sizeBytes, ingest } = task;
  using writer = openIngestWriter(ingest.path, { digest, size: sizeBytes, offset: ingest.offset });
  for await (const chunk of readChunks(task.bytes)) {
    writer.write(chunk);
    onProgress(writer.position);
  }
  return writer.finish();
}
